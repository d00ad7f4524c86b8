/**
 * What an event's times say, by the words of docs/time.md, for the oracles of alerts, rollups and devices. It shares no code
 * with the product's processing.
 */
import type { Reading, Stamp } from "../events/schema.ts";
import type { JournalRecord } from "./oracle-journal.ts";

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

/** What shows a time from before there was this software was never set. */
const NEVER_SET = Date.UTC(2024, 0, 1);

/** When the log got it, by whichever of the gateway's clock and the log's is later. */
export function arrivedAt(stamp: Stamp, { timestamp }: JournalRecord): number {
  return Math.max(stamp.received, timestamp);
}

/** The latest that anything told of in this record can have happened: Infinity where no clock was set. */
export function latestAt(stamp: Stamp, record: JournalRecord): number {
  const arrived = arrivedAt(stamp, record);
  return arrived < NEVER_SET ? Number.POSITIVE_INFINITY : arrived;
}

/** Neither the device nor the gateway knew the time. */
export function isTimeless({ time, clock }: Reading): boolean {
  return time === undefined && clock === "unsynced";
}

/**
 * When a reading is taken to have happened by whoever cannot wait for its time: the device's time, else the gateway's, else
 * that of sending; never later than it can have been.
 */
export function takenTime(reading: Reading, record: JournalRecord): number {
  const told = reading.time ?? (isTimeless(reading) ? record.timestamp : reading.received);
  return Math.min(told, latestAt(reading, record));
}
