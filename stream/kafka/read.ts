/** Reading up to the end as it is now: for `read`, `latest` and the restoring of state. */
import type { StoredRecord } from "../port.ts";
import { StaleLeaderFault } from "./faults.ts";
import type { KafkaSettings } from "./options.ts";
import { PartitionReader } from "./partition-reader.ts";
import { withDeadline } from "./retry.ts";
import { KafkaSession } from "./session.ts";

export interface ReadPart {
  readonly records: readonly StoredRecord[];
  /** Where to go on in the partition that they are of. */
  readonly next: number;
}

/** One partition, and a record that is known to stand in it: a leader that does not have it is none any more. */
export interface OnlyPartition {
  readonly partition: number;
  readonly knownOffset: number;
}

/**
 * What is in these partitions (default all) from the positions (default the start) to the end at the time of the call,
 * batch by batch; open transactions at the end are waited for. `next` of the last part of a partition is behind it.
 * @throws EventLogError
 */
export async function* readToEnd(
  settings: KafkaSettings,
  topic: string,
  from: ReadonlyMap<number, number>,
  signal: AbortSignal,
  only?: OnlyPartition,
): AsyncGenerator<ReadPart> {
  const doing = `read ${topic}`;
  const session = new KafkaSession(settings);
  const reader = new PartitionReader(settings, session);
  const ends = new Map<number, number>();
  const positions = new Map<number, number>();
  try {
    const ranges = await withDeadline(settings, doing, signal, () =>
      session.use([topic], async (connection) => {
        const found = await connection.ranges(topic);
        if (!only) return found;
        const { partition, knownOffset } = only;
        const mine = found.filter((one) => one.partition === partition);
        if (mine.some(({ end }) => end <= knownOffset))
          throw new StaleLeaderFault(topic, partition);
        return mine;
      }),
    );
    for (const one of ranges) {
      ends.set(one.partition, one.end);
      positions.set(one.partition, from.get(one.partition) ?? one.start);
    }
    for (;;) {
      const wanted = [...positions]
        .filter(([partition, position]) => position < (ends.get(partition) ?? 0))
        .map(([partition, position]) => ({ topic, partition, position }));
      if (wanted.length === 0) return;
      const fetches = await withDeadline(settings, doing, signal, () =>
        reader.poll(wanted, signal),
      );
      for (const one of fetches) {
        if (positions.get(one.partition) !== one.position) continue;
        const end = ends.get(one.partition) ?? 0;
        positions.set(one.partition, one.next);
        for (const batch of one.batches) {
          const all = batch.records();
          const records = batch.next <= end ? all : all.filter((record) => record.offset < end);
          yield { records, next: batch.next };
        }
        yield { records: [], next: one.next };
      }
    }
  } finally {
    session.close();
  }
}

/** The newest record of each key, without deleted keys. */
export async function latestByKey(
  records: AsyncIterable<StoredRecord>,
): Promise<Map<string, StoredRecord>> {
  const latest = new Map<string, StoredRecord>();
  for await (const record of records) {
    if (record.key === null) continue;
    latest.delete(record.key);
    // A copy, so that one small value does not keep the whole fetch in memory.
    if (record.value !== null) {
      latest.set(record.key, { ...record, value: new Uint8Array(record.value) });
    }
  }
  return latest;
}
