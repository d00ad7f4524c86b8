/**
 * What rollups must say, computed in the plainest way: keep all values, group them, count, compare, add. It shares no
 * code with the product's processing and knows only the contract's types, so that both cannot be wrong in the same way.
 */
import { type MetricValue, RESOLUTION_MS, RESOLUTIONS, type Resolution } from "../events/schema.ts";

export interface OracleReading {
  readonly gateway: string;
  readonly device: string;
  /** Event time, ms since 1970. */
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

export interface OracleRollup {
  readonly gateway: string;
  readonly device: string;
  readonly metric: string;
  readonly resolution: Resolution;
  /** Start of the window, ms since 1970. */
  readonly window: number;
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly sum: number;
}

/**
 * @param readings each once; what came twice must have been made one before (`distinctReadings` in oracle-ledger.ts).
 * Truths and texts have no rollups.
 */
export function expectedRollups(readings: Iterable<OracleReading>): OracleRollup[] {
  const groups = new Map<
    string,
    { of: Omit<OracleRollup, "count" | "min" | "max" | "sum">; values: number[] }
  >();
  for (const { gateway, device, time, metrics } of readings) {
    for (const [metric, value] of Object.entries(metrics)) {
      if (typeof value !== "number") continue;
      for (const resolution of RESOLUTIONS) {
        const length = RESOLUTION_MS[resolution];
        const of = {
          gateway,
          device,
          metric,
          resolution,
          window: Math.floor(time / length) * length,
        };
        const key = rollupKey(of);
        const group = groups.get(key) ?? { of, values: [] };
        groups.set(key, group);
        group.values.push(value);
      }
    }
  }
  return [...groups.values()].map(({ of, values }) => rollupOf(of, values));
}

/** @param values at least one */
export function rollupOf(
  of: Omit<OracleRollup, "count" | "min" | "max" | "sum">,
  values: readonly number[],
): OracleRollup {
  return {
    ...of,
    count: values.length,
    min: values.reduce((least, value) => Math.min(least, value)),
    max: values.reduce((most, value) => Math.max(most, value)),
    sum: values.reduce((total, value) => total + value),
  };
}

function rollupKey(
  of: Pick<OracleRollup, "gateway" | "device" | "metric" | "resolution" | "window">,
): string {
  return JSON.stringify([of.gateway, of.device, of.metric, of.resolution, of.window]);
}

export interface RollupDifference {
  readonly kind: "missing" | "unexpected" | "different" | "twice";
  readonly expected?: OracleRollup;
  readonly actual?: OracleRollup;
}

/** Sums may be added in another order: relative to the mean's size. */
export const MEAN_TOLERANCE = 1e-9;

/** Whether a window must be there: see `KeptRollup`. */
export type Kept = "yes" | "no" | "unsure";

/**
 * Count, min and max exactly, the mean within `MEAN_TOLERANCE` of the largest value in the window. One that fell out of what is
 * kept may be gone.
 * @param actual one for each window, the newest revision
 * @returns what differs; empty where all agree
 */
export function compareRollups(
  expected: Iterable<OracleRollup & { readonly kept?: Kept }>,
  actual: Iterable<OracleRollup>,
): RollupDifference[] {
  const differences: RollupDifference[] = [];
  const found = new Map<string, OracleRollup>();
  for (const rollup of actual) {
    const key = rollupKey(rollup);
    if (found.has(key)) differences.push({ kind: "twice", actual: rollup });
    found.set(key, rollup);
  }
  for (const wanted of expected) {
    const key = rollupKey(wanted);
    const got = found.get(key);
    found.delete(key);
    const { kept = "yes" } = wanted;
    if (!got && kept === "yes") differences.push({ kind: "missing", expected: wanted });
    if (!got || agree(wanted, got)) continue;
    if (kept === "unsure" && got.count < wanted.count) continue;
    differences.push({ kind: "different", expected: wanted, actual: got });
  }
  for (const rollup of found.values()) differences.push({ kind: "unexpected", actual: rollup });
  return differences;
}

function agree(one: OracleRollup, other: OracleRollup): boolean {
  const size = Math.max(1, Math.abs(one.min), Math.abs(one.max));
  return (
    one.count === other.count &&
    one.min === other.min &&
    one.max === other.max &&
    Math.abs(one.sum / one.count - other.sum / other.count) <= MEAN_TOLERANCE * size
  );
}
