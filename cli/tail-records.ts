/** The last records of a topic, and those that come after, as `tidegate tail` and the HTTP API give them. */
import type { EventLog, PartitionRange, StoredRecord } from "../stream/port.ts";

export interface TailRequest {
  readonly topic: string;
  /** How many of the newest records come first; Infinity for all. */
  readonly last: number;
  readonly follow: boolean;
}

/**
 * Hands records to `onRecords`, the kept ones by time of sending, then new ones as they come.
 * Resolves at the end of what is there, or with `follow` when the signal says so.
 * @throws EventLogError `unknown_topic`, `unreachable`
 */
export async function tailRecords(
  log: EventLog,
  request: TailRequest,
  signal: AbortSignal,
  onRecords: (records: readonly StoredRecord[]) => Promise<void> | void,
): Promise<void> {
  const ranges = await log.ranges(request.topic);
  const from = new Map(ranges.map((range) => [range.partition, startOf(range, request.last)]));
  let kept: StoredRecord[] = [];
  for await (const record of log.read(request.topic, from)) {
    if (signal.aborted) return;
    kept.push(record);
    // An endless history must not be held in memory only to be sorted.
    if (request.last === Number.POSITIVE_INFINITY && kept.length >= 1000) {
      await onRecords(kept);
      kept = [];
    }
  }
  kept = byTime(kept);
  if (Number.isFinite(request.last)) kept = request.last === 0 ? [] : kept.slice(-request.last);
  if (kept.length > 0) await onRecords(kept);
  if (!request.follow || signal.aborted) return;

  const ends = new Map(ranges.map((range) => [range.partition, range.end]));
  const tail = log.tail([request.topic], {
    from: "end",
    positions: new Map([[request.topic, ends]]),
    onRecords,
  });
  await tail.start();
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  }
  await tail.stop();
}

/**
 * Partitions merged by time of sending. Within a partition the order of the log stays, whatever the sender's clock did: a
 * record counts as sent no earlier than the one before it.
 */
export function byTime(records: readonly StoredRecord[]): StoredRecord[] {
  const latest = new Map<number, number>();
  const timed = records.map((record) => {
    const time = Math.max(record.timestamp, latest.get(record.partition) ?? record.timestamp);
    latest.set(record.partition, time);
    return { record, time };
  });
  // Array.sort keeps the order of what is equal, and records of one partition come in theirs.
  return timed.sort((a, b) => a.time - b.time).map(({ record }) => record);
}

function startOf(range: PartitionRange, last: number): number {
  return Math.max(range.start, range.end - last);
}
