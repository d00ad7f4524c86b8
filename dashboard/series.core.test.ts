import { describe, expect, test } from "vitest";
import { gapThreshold, markGaps, resolutionsFor } from "./series.core.ts";

const MINUTE = 60_000;
const at = (times: readonly number[]) => times.map((time) => ({ time, value: 1 as number | null }));
const marked = (times: readonly number[], gap: number) =>
  markGaps(at(times), gap, (time) => ({ time, value: null })).map(({ time, value }) =>
    value === null ? `hole ${time}` : time,
  );

describe("holes", () => {
  test("two missed readings of a steady sensor are a hole, one is none", () => {
    const times = [0, 10, 20, 40, 50, 80, 90].map((s) => s * 1000);
    const gap = gapThreshold(times, "raw");
    expect(gap).toBe(25_000);
    expect(marked(times, gap)).toEqual([
      0,
      10_000,
      20_000,
      40_000,
      50_000,
      "hole 65000",
      80_000,
      90_000,
    ]);
  });

  test("an empty minute of a sensor that speaks each second is a hole", () => {
    const times = [0, 1, 2, 4].map((m) => m * MINUTE);
    const gap = gapThreshold(times, "1m", [60, 60, 58, 60]);
    expect(marked(times, gap)).toEqual([0, MINUTE, 2 * MINUTE, "hole 180000", 4 * MINUTE]);
  });

  test("a sensor that speaks every ten minutes has no hole in each empty minute", () => {
    const times = [0, 10, 20, 30, 40].map((m) => m * MINUTE);
    expect(marked(times, gapThreshold(times, "1m", [1, 1, 1, 1, 1]))).toEqual(times);
  });

  test("a marker stands strictly between its neighbours, for any points", () => {
    for (const times of [[], [5], [5, 5], [0, 100_000], [0, 1, 1_000_000]]) {
      const points = markGaps(at(times), gapThreshold(times, "raw"), (time) => ({
        time,
        value: null,
      }));
      points.forEach((point, index) => {
        if (point.value !== null) return;
        expect(point.time).toBeGreaterThan(points[index - 1]?.time ?? Number.NaN);
        expect(point.time).toBeLessThan(points[index + 1]?.time ?? Number.NaN);
      });
    }
  });
});

test("auto takes the finest resolution that a range can show", () => {
  expect(resolutionsFor("auto", 15 * MINUTE)[0]).toBe("raw");
  expect(resolutionsFor("auto", 6 * 60 * MINUTE + 1)[0]).toBe("raw");
  expect(resolutionsFor("auto", 24 * 60 * MINUTE)[0]).toBe("1m");
  expect(resolutionsFor("auto", 30 * 24 * 60 * MINUTE)).toEqual(["1h"]);
  expect(resolutionsFor("1m", 1)).toEqual(["1m"]);
});
