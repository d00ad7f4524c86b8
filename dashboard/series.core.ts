/**
 * Which resolution answers a range, and where a series has holes. Pure.
 *
 * A hole is shown as one, never as a line drawn across it: the API puts an explicit null where one begins. What a hole
 * is depends on how often the series speaks, so it is judged against the usual distance of its own points: a sensor
 * that reports every ten minutes has none just because nine windows of a minute in ten are empty.
 */
import { RESOLUTION_MS, type Resolution } from "../events/schema.ts";

export const SERIES_RESOLUTIONS = ["auto", "raw", "1m", "1h"] as const;
export type SeriesResolution = (typeof SERIES_RESOLUTIONS)[number];

/** A chart is some hundred pixels wide; beyond this, points lie on top of each other and a phone only gets slow. */
export const MAX_AUTO_POINTS = 5000;
/** Hard limit of one answer: about 1 MB of JSON. */
export const MAX_POINTS = 50_000;

/** A page that asks for six hours may ask for a moment more. */
const ROUNDING_MS = 1000;
/** Up to here `auto` tries raw readings first: six hours at one reading in 5 s are 4,320 points. */
const RAW_UP_TO_MS = 6 * 3_600_000 + ROUNDING_MS;
/** Up to here it takes minutes: two days are 2,880 windows. */
const MINUTES_UP_TO_MS = 2 * 86_400_000 + ROUNDING_MS;

/** Silence longer than this many usual distances is a hole: one lost reading makes none yet, two do. */
const GAP_DISTANCES = 2.5;
/** A series with this many readings in a usual window would not leave one empty by chance. */
const DENSE_COUNT = 3;
/** Raw readings closer than this never make a hole: jitter of a fast sensor is no silence. */
const MIN_RAW_GAP_MS = 5000;

/** Resolutions to try for a range, best first; the next is taken where one has too many points, or none. */
export function resolutionsFor(
  wanted: SeriesResolution,
  rangeMs: number,
): readonly Exclude<SeriesResolution, "auto">[] {
  if (wanted !== "auto") return [wanted];
  if (rangeMs <= RAW_UP_TO_MS) return ["raw", "1m", "1h"];
  if (rangeMs <= MINUTES_UP_TO_MS) return ["1m", "1h"];
  return ["1h"];
}

function lowerMedian(numbers: readonly number[]): number | undefined {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/**
 * Distance in ms beyond which two neighbouring points have a hole between them.
 * @param times ascending, ms
 * @param counts readings in each window, for rollups
 */
export function gapThreshold(
  times: readonly number[],
  resolution: "raw" | Resolution,
  counts: readonly number[] = [],
): number {
  const floor = resolution === "raw" ? MIN_RAW_GAP_MS : RESOLUTION_MS[resolution];
  if (resolution !== "raw" && (lowerMedian(counts) ?? 0) >= DENSE_COUNT) return floor;
  const distances: number[] = [];
  for (let index = 1; index < times.length; index++) {
    const distance = (times[index] ?? 0) - (times[index - 1] ?? 0);
    if (distance > 0) distances.push(distance);
  }
  return Math.max(floor, (lowerMedian(distances) ?? floor) * GAP_DISTANCES);
}

/**
 * The points with a marker after each one that a hole follows.
 * @param marker makes the point that stands for the hole, at the given time
 */
export function markGaps<T extends { readonly time: number }>(
  points: readonly T[],
  gapMs: number,
  marker: (time: number) => T,
): readonly T[] {
  const marked: T[] = [];
  let previous: T | undefined;
  for (const point of points) {
    if (previous && point.time - previous.time > gapMs) {
      marked.push(marker(previous.time + Math.min(gapMs, (point.time - previous.time) / 2)));
    }
    marked.push(point);
    previous = point;
  }
  return marked;
}
