/** Answers a chart: asks the read model at the resolution that fits the range, and marks the holes. */

import type { ReadModel, SeriesQuery } from "../cloud/read-model/port.ts";
import { type MetricValue, RESOLUTION_MS, type Resolution } from "../events/schema.ts";
import type { Series } from "./api-schemas.ts";
import {
  gapThreshold,
  MAX_AUTO_POINTS,
  markGaps,
  resolutionsFor,
  type SeriesResolution,
} from "./series.core.ts";

type Bounds = Pick<Series, "from" | "to">;

/** JSON has no NaN and no infinity; a value that is none of its numbers is shown as a hole. */
function jsonValue(value: MetricValue | null): MetricValue | null {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

async function rawSeries(model: ReadModel, query: SeriesQuery): Promise<Series> {
  // One more than asked for tells whether there are more.
  const found = await model.raw({ ...query, limit: query.limit + 1 });
  const points = found.slice(0, query.limit);
  const gap = gapThreshold(
    points.map((point) => point.time),
    "raw",
  );
  const marked = markGaps<{ time: number; value: MetricValue | null }>(points, gap, (time) => ({
    time,
    value: null,
  }));
  return {
    ...bounds(query),
    resolution: "raw",
    gap,
    truncated: found.length > query.limit,
    times: marked.map((point) => point.time),
    values: marked.map((point) => jsonValue(point.value)),
  };
}

async function rollupSeries(
  model: ReadModel,
  query: SeriesQuery,
  resolution: Resolution,
): Promise<Series> {
  const size = RESOLUTION_MS[resolution];
  // The window in which the range begins belongs to it, though it starts before.
  const from = Math.floor(query.from / size) * size;
  const found = await model.rollups({ ...query, from, limit: query.limit + 1, resolution });
  const windows = found.slice(0, query.limit).map((rollup) => ({
    time: rollup.window,
    mean: (rollup.sum / rollup.count) as number | null,
    min: rollup.min as number | null,
    max: rollup.max as number | null,
    count: rollup.count as number | null,
  }));
  const gap = gapThreshold(
    windows.map((window) => window.time),
    resolution,
    windows.map((window) => window.count ?? 0),
  );
  const marked = markGaps(windows, gap, (time) => ({
    time,
    mean: null,
    min: null,
    max: null,
    count: null,
  }));
  const column = (pick: (window: (typeof marked)[number]) => number | null) =>
    marked.map((window) => jsonValue(pick(window)) as number | null);
  return {
    ...bounds(query),
    resolution,
    gap,
    truncated: found.length > query.limit,
    times: marked.map((window) => window.time),
    values: column((window) => window.mean),
    min: column((window) => window.min),
    max: column((window) => window.max),
    count: column((window) => window.count),
  };
}

function bounds(query: SeriesQuery): Bounds {
  return { from: query.from, to: query.to };
}

export async function readSeries(
  model: ReadModel,
  query: SeriesQuery,
  wanted: SeriesResolution,
): Promise<Series> {
  const candidates = resolutionsFor(wanted, query.to - query.from);
  let answer: Series | undefined;
  for (const resolution of candidates) {
    const last = resolution === candidates.at(-1);
    const limit = last ? query.limit : Math.min(query.limit, MAX_AUTO_POINTS);
    const next =
      resolution === "raw"
        ? await rawSeries(model, { ...query, limit })
        : await rollupSeries(model, { ...query, limit }, resolution);
    // Nothing at a coarser resolution takes nothing away from a finer one that had too much.
    if (next.times.length > 0 || !answer) answer = next;
    if (answer.times.length > 0 && !answer.truncated) return answer;
  }
  return answer as Series;
}

/** Oldest time of which the read model keeps anything of these series, ms; undefined where it keeps nothing. */
export async function firstTime(
  model: ReadModel,
  gateway: string,
  device: string,
  metrics: readonly string[],
): Promise<number | undefined> {
  const everything = { from: -8.64e15, to: 8.64e15, limit: 1 };
  const firsts = await Promise.all(
    metrics.flatMap((metric) => {
      const query = { gateway, device, metric, ...everything };
      return [
        model.rollups({ ...query, resolution: "1h" }).then(([rollup]) => rollup?.window),
        model.raw(query).then(([point]) => point?.time),
      ];
    }),
  );
  const known = firsts.filter((time) => time !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
