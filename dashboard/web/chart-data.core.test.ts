import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addReading,
  addRollup,
  type ChartData,
  dropBefore,
  extremes,
  fromSeries,
  MAX_CHART_POINTS,
} from "./chart-data.core.ts";

const empty: ChartData = { resolution: "raw", gap: 25, times: [], values: [] };
const grown = (times: readonly number[], data = empty) =>
  times.reduce((before, time) => addReading(before, time, time), data);
const rollup = (window: number, sum: number, count: number, min: number, max: number) => ({
  gateway: "g",
  device: "d",
  metric: "m",
  resolution: "1m" as const,
  window,
  count,
  min,
  max,
  sum,
  revision: 1,
});

test("a reading that comes after silence has a hole before it", () => {
  const data = grown([10, 20, 60]);
  expect(data.times).toEqual([10, 20, 40, 60]);
  expect(data.values).toEqual([10, 20, null, 60]);
});

test("a late reading takes its place, a repeated one replaces", () => {
  const data = addReading(grown([10, 30, 20]), 20, 7);
  expect(data.times).toEqual([10, 20, 30]);
  expect(data.values).toEqual([10, 7, 30]);
});

test("times stay ascending and no reading is lost, in whatever order they come", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 60 }), (times) => {
      const data = grown(times);
      const readings = data.times.filter((_, index) => data.values[index] !== null);
      expect(readings).toEqual([...new Set(times)].sort((a, b) => a - b));
      expect(data.times).toHaveLength(data.values.length);
      const sorted = [...data.times].sort((a, b) => a - b);
      expect(data.times).toEqual(sorted);
    }),
  );
});

test("a window that changes keeps its place in every column", () => {
  const start: ChartData = {
    resolution: "1m",
    gap: 60_000,
    times: [0],
    values: [1],
    min: [0],
    max: [2],
  };
  const once = addRollup(start, rollup(60_000, 30, 3, 5, 15));
  const twice = addRollup(once, rollup(60_000, 50, 4, 5, 20));
  expect(twice.times).toEqual([0, 60_000]);
  expect(twice.values).toEqual([1, 12.5]);
  expect(twice.min).toEqual([0, 5]);
  expect(twice.max).toEqual([2, 20]);
});

test("a chart that stays open does not grow for ever", () => {
  const full: ChartData = {
    ...empty,
    times: Array.from({ length: MAX_CHART_POINTS }, (_, i) => i),
    values: Array.from({ length: MAX_CHART_POINTS }, () => 1),
  };
  const data = addReading(full, MAX_CHART_POINTS, 5);
  expect(data.times).toHaveLength(MAX_CHART_POINTS);
  expect(data.times[0]).toBe(1);
  expect(data.values.at(-1)).toBe(5);
});

test("what moves out of sight is dropped but for the point from which the line enters", () => {
  expect(dropBefore(grown([10, 20, 30, 40]), 25).times).toEqual([20, 30, 40]);
  expect(dropBefore(empty, 25)).toBe(empty);
});

test("extremes are those of the band, within the range only", () => {
  expect(extremes(grown([10, 20, 30]), 15, 25)).toEqual({ min: 20, max: 20, last: 20 });
  expect(extremes(grown([10]), 20, 30)).toBeUndefined();
  const band: ChartData = { ...empty, times: [1, 2], values: [5, 6], min: [1, 4], max: [9, 7] };
  expect(extremes(band, 0, 3)).toEqual({ min: 1, max: 9, last: 6 });
});

test("what is no number is a hole", () => {
  const data = fromSeries({
    resolution: "raw",
    from: 0,
    to: 9,
    gap: 5,
    truncated: false,
    times: [1, 2, 3],
    values: [1, "off", true],
  });
  expect(data.values).toEqual([1, null, null]);
});
