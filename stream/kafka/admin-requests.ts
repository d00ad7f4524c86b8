/**
 * Requests that only ask, for what kafkajs's own do not tell: errors for each topic instead of the first, rights, settings.
 * Their versions are the oldest that Kafka 4 still takes, or the first with what is needed (Kafka 2.3).
 */
import type { RawRequest } from "./kafkajs-internals.ts";
import { WireReader, WireWriter } from "./wire.ts";

export const API_KEYS = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  offsetFetch: 9,
  findCoordinator: 10,
  joinGroup: 11,
  heartbeat: 12,
  syncGroup: 14,
  createTopics: 19,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  addOffsetsToTxn: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
  describeConfigs: 32,
  describeQuorum: 55,
} as const;
export type ApiName = keyof typeof API_KEYS;

/** Kafka's numbers of operations, as bits of what a principal may do. */
export const OPERATIONS = {
  Read: 3,
  Write: 4,
  Create: 5,
  Describe: 8,
  DescribeConfigs: 10,
  IdempotentWrite: 12,
} as const;
export type Operation = keyof typeof OPERATIONS;

export interface PartitionMetadata {
  readonly partition: number;
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface TopicMetadata {
  readonly name: string;
  readonly errorCode: number;
  readonly partitions: readonly PartitionMetadata[];
  /** Bits of Operation; undefined where the broker does not say. */
  readonly operations: number | undefined;
}

export interface ClusterMetadata {
  readonly brokers: readonly {
    readonly id: number;
    readonly host: string;
    readonly port: number;
  }[];
  readonly clusterId: string;
  readonly topics: readonly TopicMetadata[];
  readonly operations: number | undefined;
}

const NOT_TOLD = -0x8000_0000;
const toldOrNot = (bits: number) => (bits === NOT_TOLD ? undefined : bits);

export function mayDo(bits: number | undefined, operation: Operation): boolean | undefined {
  return bits === undefined ? undefined : (bits & (1 << OPERATIONS[operation])) !== 0;
}

function request<T>(
  api: ApiName,
  apiVersion: number,
  write: (writer: WireWriter) => void,
  read: (reader: WireReader) => T,
): RawRequest<T> {
  return {
    logResponseError: false,
    request: {
      apiKey: API_KEYS[api],
      apiVersion,
      apiName: api,
      encode: async () => {
        const writer = new WireWriter();
        write(writer);
        const buffer = writer.bytes();
        return { buf: buffer, buffer };
      },
    },
    response: {
      decode: async (body) => read(new WireReader(body)),
      parse: async (decoded) => decoded,
    },
  };
}

/** Version 8. Creates nothing, also where brokers create topics that are asked for. */
export function metadataRequest(topics: readonly string[] | null): RawRequest<ClusterMetadata> {
  return request(
    "metadata",
    8,
    (writer) =>
      (topics === null ? writer.int32(-1) : writer.array(topics, (name) => writer.string(name)))
        .int8(0)
        .int8(1)
        .int8(1),
    (reader) => {
      reader.int32();
      const brokers = reader.array(() => {
        const id = reader.int32();
        const host = reader.string();
        const port = reader.int32();
        reader.string();
        return { id, host, port };
      });
      const clusterId = reader.string();
      reader.int32();
      const found = reader.array((): TopicMetadata => {
        const errorCode = reader.int16();
        const name = reader.string();
        reader.int8();
        const partitions = reader.array((): PartitionMetadata => {
          reader.int16();
          const partition = reader.int32();
          const leader = reader.int32();
          reader.int32();
          const replicas = reader.array(() => reader.int32());
          const inSync = reader.array(() => reader.int32());
          reader.array(() => reader.int32());
          return { partition, leader, replicas, inSync };
        });
        return { name, errorCode, partitions, operations: toldOrNot(reader.int32()) };
      });
      return { brokers, clusterId, topics: found, operations: toldOrNot(reader.int32()) };
    },
  );
}

export interface TopicConfigs {
  readonly topic: string;
  readonly errorCode: number;
  readonly values: ReadonlyMap<string, string>;
}

const TOPIC_RESOURCE = 2;

/** DescribeConfigs, version 1. */
export function topicConfigsRequest(
  topics: readonly string[],
  names: readonly string[],
): RawRequest<readonly TopicConfigs[]> {
  return request(
    "describeConfigs",
    1,
    (writer) =>
      writer
        .array(topics, (topic) =>
          writer
            .int8(TOPIC_RESOURCE)
            .string(topic)
            .array(names, (name) => writer.string(name)),
        )
        .int8(0),
    (reader) => {
      reader.int32();
      return reader.array(() => {
        const errorCode = reader.int16();
        reader.string();
        reader.int8();
        const topic = reader.string();
        const values = reader.array((): readonly [string, string] => {
          const name = reader.string();
          const value = reader.string();
          reader.at += 3;
          reader.array(() => {
            reader.string();
            reader.string();
            reader.int8();
          });
          return [name, value];
        });
        return { topic, errorCode, values: new Map(values) };
      });
    },
  );
}

/**
 * Whether we may read as a group: a heartbeat of nobody, version 0. The right is looked at first; what comes else
 * ("unknown member", "not the coordinator") changes nothing.
 */
export function groupProbe(group: string): RawRequest<number> {
  return request(
    "heartbeat",
    0,
    (writer) => writer.string(group).int32(-1).string("tidegate-doctor"),
    (reader) => reader.int16(),
  );
}

/** Whether we may write under a transactional id: the end of a transaction of a producer that there is not, version 0. */
export function transactionProbe(transactionalId: string): RawRequest<number> {
  return request(
    "endTxn",
    0,
    (writer) => writer.string(transactionalId).int64(-1).int16(-1).int8(0),
    (reader) => {
      reader.int32();
      return reader.int16();
    },
  );
}

/** Topic of the quorum of controllers, the same in every cluster. */
const METADATA_TOPIC = "__cluster_metadata";

/**
 * The time on the clock of the quorum's leader, ms since 1970: DescribeQuorum, version 1, in which the leader gives it for
 * itself. Undefined where it is not told, or where we may not ask.
 */
export function quorumTimeRequest(): RawRequest<{ readonly time?: number }> {
  return request(
    "describeQuorum",
    1,
    (writer) => {
      // The end of the header (no tags); then compact arrays, whose lengths are one more than they are.
      writer.int8(0).int8(2);
      writer.int8(METADATA_TOPIC.length + 1).raw(Buffer.from(METADATA_TOPIC));
      writer.int8(2).int32(0).int8(0).int8(0).int8(0);
    },
    (reader) => {
      const compact = <T>(read: () => T) => Array.from({ length: reader.int8() - 1 }, read);
      reader.int8();
      const error = reader.int16();
      if (error !== 0) return {};
      let time: number | undefined;
      compact(() => {
        reader.slice(reader.int8() - 1);
        compact(() => {
          reader.int32();
          if (reader.int16() !== 0) return;
          const leader = reader.int32();
          reader.at += 12;
          const replica = () => {
            const id = reader.int32();
            reader.int64();
            const fetched = reader.int64();
            reader.int64();
            reader.int8();
            if (id === leader && fetched > 0) time = fetched;
          };
          compact(replica);
          compact(replica);
          reader.int8();
        });
        reader.int8();
      });
      return time === undefined ? {} : { time };
    },
  );
}
