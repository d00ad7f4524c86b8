/** What a run of bench/processors.ts wrote, as somebody reads it who gets to each record once: is it right, and how much is it? */
import { decodeEvent } from "../events/codec.ts";
import type { EventLog } from "../stream/port.ts";

/** Of each window the newest aggregate. */
export interface Results {
  readonly windows: ReadonlyMap<string, string>;
  /** Records, of which compaction leaves the last for each window. */
  readonly emitted: number;
  /** Readings' metrics that the hours count. */
  readonly counted: number;
}

export async function readResults(log: EventLog, topic: string): Promise<Results> {
  const newest = new Map<string, Uint8Array>();
  let emitted = 0;
  for await (const { key, value } of log.read(topic)) {
    emitted += 1;
    if (key === null) throw new Error(`${topic} has a record without a key`);
    if (value === null) newest.delete(key);
    else newest.set(key, value);
  }
  const windows = new Map<string, string>();
  let counted = 0;
  for (const [key, value] of newest) {
    const { count, min, max, sum, resolution } = decodeEvent("tidegate.rollup", value);
    windows.set(key, `${count} ${min} ${max} ${sum}`);
    if (resolution === "1h") counted += count;
  }
  return { windows, emitted, counted };
}

/** @throws Error where they differ, or where not every reading was counted once */
export function checkResults(
  what: string,
  results: Results,
  expected: Results | undefined,
  counted: number,
): void {
  if (results.counted !== counted) {
    throw new Error(`${what} counted ${results.counted} values of ${counted}`);
  }
  if (!expected) return;
  for (const key of new Set([...results.windows.keys(), ...expected.windows.keys()])) {
    const ours = results.windows.get(key);
    const theirs = expected.windows.get(key);
    if (ours === theirs) continue;
    throw new Error(`${what}: window ${key} is ${ours}, and of another run ${theirs}`);
  }
}
