/** The points of one chart and how they grow while it is open. Pure: each change gives a new value. */
import type { Rollup } from "../../events/schema.ts";
import type { Series } from "./api-types.ts";

type Column = readonly (number | null)[];

export interface ChartData {
  readonly resolution: Series["resolution"];
  /** Neighbours further apart have a hole between them, ms. */
  readonly gap: number;
  readonly times: readonly number[];
  readonly values: Column;
  /** Both absent for raw readings. */
  readonly min?: Column;
  readonly max?: Column;
}

/** A chart that stays open for days must not grow for ever; twice what the server answers at most in `auto`. */
export const MAX_CHART_POINTS = 10_000;

/** What is no number has no place on a chart; it is a hole there. */
function numeric(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function fromSeries(series: Series): ChartData {
  return {
    resolution: series.resolution,
    gap: series.gap,
    times: series.times,
    values: series.values.map(numeric),
    ...(series.min && series.max ? { min: series.min, max: series.max } : {}),
  };
}

interface Point {
  readonly value: number | null;
  readonly min: number | null;
  readonly max: number | null;
}
const HOLE: Point = { value: null, min: null, max: null };

/** Index of the first time that is not before the given one; late readings are near the end, so it looks from there. */
function position(times: readonly number[], time: number): number {
  let index = times.length;
  while (index > 0 && (times[index - 1] ?? 0) >= time) index -= 1;
  return index;
}

function splice(
  data: ChartData,
  index: number,
  remove: number,
  points: readonly (readonly [time: number, point: Point])[],
): ChartData {
  const put = <T>(column: readonly T[], items: readonly T[]) => [
    ...column.slice(0, index),
    ...items,
    ...column.slice(index + remove),
  ];
  const column = (name: keyof Point) => points.map(([, point]) => point[name]);
  return {
    ...data,
    times: put(
      data.times,
      points.map(([time]) => time),
    ),
    values: put(data.values, column("value")),
    ...(data.min && data.max
      ? { min: put(data.min, column("min")), max: put(data.max, column("max")) }
      : {}),
  };
}

function upsert(data: ChartData, time: number, point: Point): ChartData {
  const index = position(data.times, time);
  if (data.times[index] === time) return splice(data, index, 1, [[time, point]]);
  const before = data.times[index - 1];
  const isAfterHole = before !== undefined && time - before > data.gap;
  const hole: [number, Point][] = isAfterHole
    ? [[before + Math.min(data.gap, (time - before) / 2), HOLE]]
    : [];
  const grown = splice(data, index, 0, [...hole, [time, point]]);
  return grown.times.length > MAX_CHART_POINTS
    ? splice(grown, 0, grown.times.length - MAX_CHART_POINTS, [])
    : grown;
}

export function addReading(data: ChartData, time: number, value: number): ChartData {
  return upsert(data, time, { value: numeric(value), min: null, max: null });
}

export function addRollup(data: ChartData, rollup: Rollup): ChartData {
  return upsert(data, rollup.window, {
    value: numeric(rollup.sum / rollup.count),
    min: rollup.min,
    max: rollup.max,
  });
}

/** Leaves out what is older than `from`, but keeps one point before it, so that the line enters the chart from its edge. */
export function dropBefore(data: ChartData, from: number): ChartData {
  let keep = 0;
  while (keep + 1 < data.times.length && (data.times[keep + 1] ?? 0) < from) keep += 1;
  return keep > 0 ? splice(data, 0, keep, []) : data;
}

export interface Extremes {
  readonly min: number;
  readonly max: number;
  readonly last: number;
}

/** Lowest, highest and newest value within `[from, to]`; undefined where there is none. */
export function extremes(data: ChartData, from: number, to: number): Extremes | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let last: number | undefined;
  data.times.forEach((time, index) => {
    const value = data.values[index];
    if (time < from || time > to || value === null || value === undefined) return;
    min = Math.min(min, data.min?.[index] ?? value);
    max = Math.max(max, data.max?.[index] ?? value);
    last = value;
  });
  return last === undefined ? undefined : { min, max, last };
}
