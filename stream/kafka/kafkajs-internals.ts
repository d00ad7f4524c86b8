/**
 * The parts of kafkajs 2.2.4 that this adapter stands on, and the only file that reaches into it.
 *
 * kafkajs's public producer and consumer hide what we must decide ourselves: which sequence a resent batch carries, how
 * long to wait when a transaction follows at once, which partition to read from which offset without a consumer group.
 * Below them stand a cluster and brokers that speak Kafka's protocol with SASL and TLS, one method a request; those we
 * use. kafkajs is pinned and no longer developed, so its private names do not move by themselves; the test beside this
 * file fails with a list of what is missing if they ever do.
 *
 * It also cures one fault: RequestQueue.scheduleCheckPendingRequests sets a timer for `throttledUntil - now` although
 * nothing is throttled, which is negative (Node warns of it) and, set again each time it fires, is a timer every
 * millisecond for as long as the connection lives. Without pending requests there is nothing to check later.
 */
import { createRequire } from "node:module";
import type { ISocketFactory, KafkaConfig } from "kafkajs";
import type { SaslMechanism } from "./credentials.ts";

export const PINNED_KAFKAJS = "2.2.4";

/** A request that kafkajs sends as it is: `encode` gives the body, `decode` gets the body of the answer. */
export interface RawRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: {
    decode(body: Buffer): Promise<T>;
    parse(decoded: T): Promise<T>;
  };
  readonly logResponseError: boolean;
}

interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

interface ProducerIdentity {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
}

export interface Broker {
  readonly nodeId: number | string;
  /** By API key; null before it is connected. */
  readonly versions: Readonly<Record<string, { minVersion: number; maxVersion: number }>> | null;
  readonly connectionPool: { send<T>(request: RawRequest<T>): Promise<T> };
  initProducerId(request: {
    transactionalId?: string | undefined;
    transactionTimeout?: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(
    request: ProducerIdentity & { topics: readonly TopicPartitions[] },
  ): Promise<unknown>;
  addOffsetsToTxn(request: ProducerIdentity & { groupId: string }): Promise<unknown>;
  txnOffsetCommit(
    request: ProducerIdentity & {
      groupId: string;
      topics: readonly {
        topic: string;
        partitions: readonly { partition: number; offset: string; metadata?: string | null }[];
      }[];
    },
  ): Promise<unknown>;
  endTxn(request: ProducerIdentity & { transactionResult: boolean }): Promise<unknown>;
  offsetFetch(request: {
    groupId: string;
    topics: readonly { topic: string; partitions: readonly { partition: number }[] }[];
  }): Promise<{
    responses: readonly {
      topic: string;
      partitions: readonly { partition: number; offset: string; metadata: string | null }[];
    }[];
  }>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: readonly { name: string; metadata: Buffer }[];
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: readonly { memberId: string; memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
  }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
  createTopics(request: {
    topics: readonly {
      topic: string;
      numPartitions: number;
      replicationFactor: number;
      configEntries: readonly { name: string; value: string }[];
    }[];
    timeout: number;
  }): Promise<unknown>;
}

export interface Cluster {
  readonly brokerPool: {
    metadata: unknown;
    /** By node id. */
    readonly brokers: Readonly<Record<string, Broker>>;
    findBroker(options: { nodeId: string }): Promise<Broker>;
    findConnectedBroker(): Promise<Broker>;
  };
  connect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  findBroker(options: { nodeId: string }): Promise<Broker>;
  findControllerBroker(): Promise<Broker>;
  findGroupCoordinator(options: { groupId: string; coordinatorType: number }): Promise<Broker>;
  findTopicPartitionMetadata(
    topic: string,
  ): readonly { readonly partitionId: number; readonly leader: number }[];
  fetchTopicsOffset(
    topics: readonly {
      topic: string;
      partitions: readonly { partition: number }[];
      fromBeginning?: boolean;
      /** In its place: the first offset that was sent at or after it, -1 where none was. */
      fromTimestamp?: number;
    }[],
  ): Promise<
    readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[]
  >;
}

interface ClusterOptions extends Pick<KafkaConfig, "sasl" | "ssl"> {
  readonly logger: unknown;
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly socketFactory: ISocketFactory;
  readonly retry: { readonly retries: number; readonly initialRetryTime: number };
  readonly metadataMaxAge: number;
  readonly allowAutoTopicCreation: boolean;
  readonly isolationLevel: number;
}

export interface KafkajsLogEntry {
  readonly label: string;
  readonly namespace: string;
  readonly log: { readonly message: string };
}

interface RequestQueuePrototype {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

const require = createRequire(import.meta.url);
const ClusterClass = require("kafkajs/src/cluster") as new (options: ClusterOptions) => Cluster;
const { createLogger } = require("kafkajs/src/loggers") as {
  createLogger(options: {
    level: number;
    logCreator: () => (entry: KafkajsLogEntry) => void;
  }): unknown;
};
const RequestQueue = require("kafkajs/src/network/requestQueue") as {
  prototype: RequestQueuePrototype;
};

export const { createErrorFromCode } = require("kafkajs/src/protocol/error") as {
  createErrorFromCode(code: number): Error & { readonly type: string };
};
/** CRC-32C of the bytes, unsigned. */
export const crc32C = require("kafkajs/src/protocol/recordBatch/crc32C") as (
  bytes: Buffer,
) => number;
export const COORDINATOR = require("kafkajs/src/protocol/coordinatorTypes") as {
  readonly GROUP: number;
  readonly TRANSACTION: number;
};

export interface SaslContext {
  readonly host: string;
  readonly port: number;
  saslAuthenticate(exchange: object): Promise<unknown>;
}
type SaslProvider = (sasl: {
  readonly username: string;
  readonly password: string;
}) => (context: SaslContext) => { authenticate(): Promise<void> };

/** kafkajs's own exchanges, by mechanism. */
export const SASL_PROVIDERS: Readonly<Record<SaslMechanism, SaslProvider>> = {
  PLAIN: require("kafkajs/src/broker/saslAuthenticator/plain") as SaslProvider,
  "SCRAM-SHA-256": require("kafkajs/src/broker/saslAuthenticator/scram256") as SaslProvider,
  "SCRAM-SHA-512": require("kafkajs/src/broker/saslAuthenticator/scram512") as SaslProvider,
};

/** Versions of a request that kafkajs can write, by API key. */
export function clientVersions(apiKey: number): readonly number[] {
  const { requests } = require("kafkajs/src/protocol/requests") as {
    requests: Readonly<Record<string, { versions: readonly string[] }>>;
  };
  const apiKeys = require("kafkajs/src/protocol/requests/apiKeys") as Record<string, number>;
  const name = Object.keys(apiKeys).find((one) => apiKeys[one] === apiKey) ?? "";
  return (requests[name]?.versions ?? []).map(Number);
}

/** kafkajs's level for everything but debug, which would print every request. */
const KAFKAJS_INFO = 4;

/** Ends of partitions are asked for with open transactions included: see KafkaSession.ranges. */
const READ_UNCOMMITTED = 0;

const schedule = RequestQueue.prototype.scheduleCheckPendingRequests;
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueuePrototype): void {
  if (this.pending.length > 0) schedule.call(this);
};

/** A cluster that retries nothing by itself, not even with another broker: whoever uses it does, and knows why. */
export function createCluster(
  options: Omit<ClusterOptions, "logger" | "retry" | "allowAutoTopicCreation" | "isolationLevel">,
  log: (entry: KafkajsLogEntry) => void,
): Cluster {
  return new ClusterClass({
    ...options,
    logger: createLogger({ level: KAFKAJS_INFO, logCreator: () => log }),
    retry: { retries: 0, initialRetryTime: 50 },
    allowAutoTopicCreation: false,
    isolationLevel: READ_UNCOMMITTED,
  });
}

/** Private names that are not where they were; empty with the pinned version. */
export function missingInternals(): string[] {
  const { version } = require("kafkajs/package.json") as { version: string };
  const BrokerClass = require("kafkajs/src/broker") as { prototype: object };
  const Queue = require("kafkajs/src/network/requestQueue") as { prototype: object };
  const Pool = require("kafkajs/src/network/connectionPool") as { prototype: object };
  const Brokers = require("kafkajs/src/cluster/brokerPool") as { prototype: object };
  const wanted: readonly (readonly [string, object, readonly string[]])[] = [
    [
      "Broker",
      BrokerClass.prototype,
      [
        "initProducerId",
        "addPartitionsToTxn",
        "addOffsetsToTxn",
        "txnOffsetCommit",
        "endTxn",
        "offsetFetch",
        "joinGroup",
        "syncGroup",
        "heartbeat",
        "leaveGroup",
        "createTopics",
      ],
    ],
    [
      "Cluster",
      ClusterClass.prototype,
      [
        "connect",
        "refreshMetadata",
        "addMultipleTargetTopics",
        "findBroker",
        "findControllerBroker",
        "findGroupCoordinator",
        "findTopicPartitionMetadata",
        "fetchTopicsOffset",
      ],
    ],
    ["RequestQueue", Queue.prototype, ["scheduleCheckPendingRequests", "rejectAll"]],
    ["ConnectionPool", Pool.prototype, ["send"]],
    ["BrokerPool", Brokers.prototype, ["findBroker", "findConnectedBroker"]],
  ];
  const missing = wanted.flatMap(([name, prototype, methods]) =>
    methods
      .filter((method) => typeof (prototype as Record<string, unknown>)[method] !== "function")
      .map((method) => `${name}.${method}`),
  );
  if (version !== PINNED_KAFKAJS) missing.push(`kafkajs ${PINNED_KAFKAJS} (it is ${version})`);
  return missing;
}
