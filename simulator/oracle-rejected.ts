/**
 * What the rejected topic must say: each record of a journal or status that cannot be read or taken is told of once, with its
 * position and a code. It shares no code with the product's processing.
 *
 * A record that came twice, the second time as unreadable as the first, may be told of twice.
 */
import type { GatewayStatus, Loss, RejectedRecord } from "../events/schema.ts";
import { type JournalRecord, journalEvent } from "./oracle-journal.ts";
import type { RefusedReading } from "./oracle-rollups.ts";

export interface ExpectedRejection {
  readonly topic: "events" | "status";
  readonly partition: number;
  readonly offset: number;
  readonly code: string;
  /** Of a record that came before under the same id. */
  readonly repeat: boolean;
}

/** @param refused what the rollups refuse, of `expectedFromJournals` */
export function expectedRejections(
  records: Iterable<JournalRecord>,
  statuses: Iterable<JournalRecord>,
  refused: readonly RefusedReading[],
): ExpectedRejection[] {
  // A loss under the id of an event that it replaces is no copy of that event.
  const seen = new Set<string>();
  const told: ExpectedRejection[] = refused.map((one) => ({
    ...one,
    topic: "events",
    repeat: false,
  }));
  for (const record of records) {
    const event = journalEvent(record);
    if (event === undefined) continue;
    const { partition, offset, fault } = record;
    let repeat = false;
    if (typeof event === "object") {
      const key = `${event.gateway} ${event.id} ${event.type === "tidegate.loss"}`;
      repeat = seen.has(key);
      seen.add(key);
    }
    const code = typeof event === "string" ? event : (fault ?? lossFault(record));
    if (code === undefined) continue;
    told.push({ topic: "events", partition, offset, code, repeat });
  }
  for (const { key, partition, offset, fault, data } of statuses) {
    // A tombstone takes a gateway out.
    if (fault === "no_value") continue;
    const stranger = data !== undefined && (data as GatewayStatus).gateway !== key;
    const code = fault ?? (stranger ? "bad_key" : undefined);
    if (code !== undefined) told.push({ topic: "status", partition, offset, code, repeat: false });
  }
  return told;
}

function lossFault({ type, data }: JournalRecord): string | undefined {
  if (type !== "tidegate.loss" || data === undefined) return undefined;
  const { from, to } = data as Loss;
  return from > to ? "bad_range" : undefined;
}

/**
 * @param topics names of the events and status topics
 * @returns what differs, in words; empty where all agree
 */
export function compareRejections(
  expected: Iterable<ExpectedRejection>,
  actual: Iterable<RejectedRecord>,
  topics: { readonly events: string; readonly status: string },
): string[] {
  const differences: string[] = [];
  const told = new Map<string, number>();
  for (const { topic, partition, offset, code } of actual) {
    const words = `${topic}/${partition}/${offset} ${code}`;
    told.set(words, (told.get(words) ?? 0) + 1);
  }
  for (const { topic, partition, offset, code, repeat } of expected) {
    const words = `${topics[topic]}/${partition}/${offset} ${code}`;
    const times = told.get(words) ?? 0;
    told.delete(words);
    if (times === 0 && !repeat) differences.push(`${words}: not told`);
    if (times > 1) differences.push(`${words}: told ${times} times`);
  }
  for (const words of told.keys()) differences.push(`${words}: nothing is wrong with it`);
  return differences;
}
