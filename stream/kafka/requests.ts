/** The two requests that carry records, written and read here so that batches pass through untouched. */
import { createErrorFromCode, type RawRequest } from "./kafkajs-internals.ts";
import type { AbortedTransaction } from "./record-batch.ts";
import { WireReader, WireWriter } from "./wire.ts";

const READ_COMMITTED = 1;
/** All in-sync replicas have it. */
const ACKS_ALL = -1;

export interface ProduceEntry {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
}

export interface Produced {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
}

/** Produce, version 7: the first that takes zstd. @throws in `parse` the first partition's error */
export function produceRequest(
  entries: readonly ProduceEntry[],
  transactionalId: string | null,
  timeoutMs: number,
): RawRequest<readonly Produced[]> {
  return {
    logResponseError: false,
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: "Produce",
      encode: async () => {
        const size = entries.reduce((sum, one) => sum + one.batch.length + 64, 64);
        const writer = new WireWriter(size)
          .string(transactionalId)
          .int16(ACKS_ALL)
          .int32(timeoutMs);
        writer.array([...Map.groupBy(entries, (one) => one.topic)], ([topic, of]) =>
          writer.string(topic).array(of, (one) => {
            writer.int32(one.partition).int32(one.batch.length).raw(one.batch);
          }),
        );
        const buffer = writer.bytes();
        return { buf: buffer, buffer };
      },
    },
    response: {
      decode: async (body) => {
        const reader = new WireReader(body);
        const produced = reader.array(() => {
          const topic = reader.string();
          return reader.array((): Produced => {
            const partition = reader.int32();
            const errorCode = reader.int16();
            const baseOffset = reader.int64();
            reader.at += 16;
            return { topic, partition, errorCode, baseOffset };
          });
        });
        return Object.assign(produced.flat(), { clientSideThrottleTime: reader.int32() });
      },
      parse: async (produced) => {
        const failed = produced.find((one) => one.errorCode !== 0);
        if (failed) throw createErrorFromCode(failed.errorCode);
        return produced;
      },
    },
  };
}

export interface FetchEntry {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

export interface Fetched {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Next free offset, open transactions counted in. */
  readonly end: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly recordSet: Buffer;
}

export interface FetchLimits {
  readonly waitMs: number;
  readonly bytes: number;
  readonly partitionBytes: number;
}

const NOTHING = Buffer.alloc(0);

/** Fetch, version 11, of what is committed. Errors of partitions are for the caller to look at. */
export function fetchRequest(
  entries: readonly FetchEntry[],
  limits: FetchLimits,
): RawRequest<readonly Fetched[]> {
  return {
    logResponseError: false,
    request: {
      apiKey: 1,
      apiVersion: 11,
      apiName: "Fetch",
      encode: async () => {
        const writer = new WireWriter(256 + entries.length * 64)
          .int32(-1)
          .int32(limits.waitMs)
          .int32(1)
          .int32(limits.bytes)
          .int8(READ_COMMITTED)
          .int32(0)
          .int32(-1);
        writer
          .array([...Map.groupBy(entries, (one) => one.topic)], ([topic, of]) =>
            writer.string(topic).array(of, (one) => {
              writer
                .int32(one.partition)
                .int32(-1)
                .int64(one.position)
                .int64(-1)
                .int32(limits.partitionBytes);
            }),
          )
          .int32(0)
          .string("");
        const buffer = writer.bytes();
        return { buf: buffer, buffer };
      },
    },
    response: {
      decode: async (body) => {
        const reader = new WireReader(body);
        const clientSideThrottleTime = reader.int32();
        const errorCode = reader.int16();
        if (errorCode !== 0) throw createErrorFromCode(errorCode);
        reader.int32();
        const fetched = reader.array(() => {
          const topic = reader.string();
          return reader.array((): Fetched => {
            const partition = reader.int32();
            const code = reader.int16();
            const end = reader.int64();
            reader.at += 16;
            const aborted = reader.array(() => ({
              producerId: reader.int64(),
              firstOffset: reader.int64(),
            }));
            reader.int32();
            const size = reader.int32();
            const recordSet = size > 0 ? reader.slice(size) : NOTHING;
            return { topic, partition, errorCode: code, end, aborted, recordSet };
          });
        });
        return Object.assign(fetched.flat(), { clientSideThrottleTime });
      },
      parse: async (fetched) => fetched,
    },
  };
}
