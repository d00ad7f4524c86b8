/**
 * What went wrong between us and Kafka, told once: a code for callers (EventLogError) and what whoever asked should do.
 * kafkajs's own `retriable` is of no use for that: it calls ECONNREFUSED non-retriable, and it is the commonest of all.
 */
import { EventLogError, type EventLogErrorCode } from "../port.ts";
import { ConnectionFault } from "./connection-fault.ts";

export const REACTIONS = [
  /** The connection is of no use any more: throw it away and make another. */
  "reconnect",
  /** Leaders or coordinators moved: ask for the metadata again. */
  "refresh",
  /** The broker is not ready: ask the same again in a moment. */
  "retry",
  /** The producer id is of no use any more: get a new one and send the same batch with it. */
  "renew",
  /** Somebody else has taken over this transactional id. */
  "fenced",
  /** The consumer group has changed or does not know us: join again. */
  "rejoin",
  /** The position is not in the log (any more). */
  "reposition",
  /** The batch is too large as a whole. */
  "split",
  /** The broker does not take our time: send the batch without one. */
  "untimed",
  /** It was done before: the answer to an earlier try was lost. */
  "done",
  /** Asking again will not help by itself; somebody has to change something. */
  "refused",
] as const;
export type Reaction = (typeof REACTIONS)[number];

export interface Fault {
  readonly code: EventLogErrorCode;
  readonly reaction: Reaction;
  /** One line for people. */
  readonly message: string;
  readonly cause: unknown;
}

type Row = readonly [code: EventLogErrorCode, reaction: Reaction];

/** By Kafka's protocol error (kafkajs: `error.type`). What is not here is `unreachable` and tried again. */
export const PROTOCOL_FAULTS: Readonly<Record<string, Row>> = {
  LEADER_NOT_AVAILABLE: ["unreachable", "refresh"],
  NOT_LEADER_FOR_PARTITION: ["unreachable", "refresh"],
  REPLICA_NOT_AVAILABLE: ["unreachable", "refresh"],
  FENCED_LEADER_EPOCH: ["unreachable", "refresh"],
  UNKNOWN_LEADER_EPOCH: ["unreachable", "refresh"],
  KAFKA_STORAGE_ERROR: ["unreachable", "refresh"],
  NOT_CONTROLLER: ["unreachable", "refresh"],
  NOT_COORDINATOR_FOR_GROUP: ["unreachable", "refresh"],
  // Also said by one that has lost the others, and is the coordinator no more.
  GROUP_COORDINATOR_NOT_AVAILABLE: ["unreachable", "refresh"],
  GROUP_LOAD_IN_PROGRESS: ["unreachable", "retry"],
  CONCURRENT_TRANSACTIONS: ["unreachable", "retry"],
  // A leader that has lost the others says so: perhaps another has taken over, and it is the last to hear of it.
  REQUEST_TIMED_OUT: ["unreachable", "reconnect"],
  NOT_ENOUGH_REPLICAS: ["unreachable", "refresh"],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: ["unreachable", "refresh"],
  UNKNOWN_TOPIC_OR_PARTITION: ["unknown_topic", "refresh"],
  OFFSET_OUT_OF_RANGE: ["invalid", "reposition"],
  DUPLICATE_SEQUENCE_NUMBER: ["unreachable", "done"],
  UNKNOWN_PRODUCER_ID: ["unreachable", "renew"],
  OUT_OF_ORDER_SEQUENCE_NUMBER: ["unreachable", "renew"],
  INVALID_PRODUCER_EPOCH: ["unreachable", "fenced"],
  INVALID_PRODUCER_ID_MAPPING: ["unreachable", "fenced"],
  INVALID_TXN_STATE: ["unreachable", "fenced"],
  TRANSACTION_COORDINATOR_FENCED: ["unreachable", "fenced"],
  REBALANCE_IN_PROGRESS: ["unreachable", "rejoin"],
  ILLEGAL_GENERATION: ["unreachable", "rejoin"],
  UNKNOWN_MEMBER_ID: ["unreachable", "rejoin"],
  FENCED_INSTANCE_ID: ["unreachable", "rejoin"],
  MESSAGE_TOO_LARGE: ["invalid", "split"],
  RECORD_LIST_TOO_LARGE: ["invalid", "split"],
  INVALID_TIMESTAMP: ["unreachable", "untimed"],
  INVALID_TOPIC_EXCEPTION: ["invalid", "refused"],
  INVALID_PARTITIONS: ["invalid", "refused"],
  INVALID_REPLICATION_FACTOR: ["invalid", "refused"],
  INVALID_CONFIG: ["invalid", "refused"],
  INVALID_REQUEST: ["invalid", "refused"],
  INVALID_RECORD: ["invalid", "refused"],
  INVALID_SESSION_TIMEOUT: ["invalid", "refused"],
  INVALID_TRANSACTION_TIMEOUT: ["invalid", "refused"],
  INCONSISTENT_GROUP_PROTOCOL: ["invalid", "refused"],
  POLICY_VIOLATION: ["invalid", "refused"],
  UNSUPPORTED_VERSION: ["invalid", "refused"],
  UNSUPPORTED_COMPRESSION_TYPE: ["invalid", "refused"],
  TOPIC_AUTHORIZATION_FAILED: ["not_authorized", "refused"],
  GROUP_AUTHORIZATION_FAILED: ["not_authorized", "refused"],
  CLUSTER_AUTHORIZATION_FAILED: ["not_authorized", "refused"],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ["not_authorized", "refused"],
  SASL_AUTHENTICATION_FAILED: ["not_authorized", "reconnect"],
  UNSUPPORTED_SASL_MECHANISM: ["not_authorized", "reconnect"],
  ILLEGAL_SASL_STATE: ["not_authorized", "reconnect"],
  SECURITY_DISABLED: ["not_authorized", "reconnect"],
};

/** By the name of kafkajs's own errors and of ours, where no broker has said anything. */
export const CLIENT_FAULTS: Readonly<Record<string, Row>> = {
  KafkaJSConnectionError: ["unreachable", "reconnect"],
  KafkaJSConnectionClosedError: ["unreachable", "reconnect"],
  KafkaJSRequestTimeoutError: ["unreachable", "reconnect"],
  KafkaJSLockTimeout: ["unreachable", "reconnect"],
  KafkaJSTimeout: ["unreachable", "reconnect"],
  KafkaJSBrokerNotFound: ["unreachable", "reconnect"],
  KafkaJSNoBrokerAvailableError: ["unreachable", "reconnect"],
  KafkaJSGroupCoordinatorNotFound: ["unreachable", "reconnect"],
  KafkaJSMetadataNotLoaded: ["unreachable", "reconnect"],
  KafkaJSTopicMetadataNotLoaded: ["unreachable", "refresh"],
  StaleLeaderFault: ["unreachable", "reconnect"],
  UnknownTopicFault: ["unknown_topic", "refresh"],
  NotCreatedFault: ["not_authorized", "refused"],
  NotAllowedFault: ["not_authorized", "refused"],
  KafkaJSSASLAuthenticationError: ["not_authorized", "reconnect"],
  KafkaJSServerDoesNotSupportApiKey: ["invalid", "refused"],
};

/** Kafka says only that a topic or partition is unknown; this says which was asked for. */
export class UnknownTopicFault extends Error {
  constructor(topics: readonly string[]) {
    super(`there is no topic ${topics.join(" or no topic ")}, or it has too few partitions`);
    this.name = "UnknownTopicFault";
  }
}

/** A broker that has lost the others leads on, as far as it knows, and lacks what was written since. */
export class StaleLeaderFault extends Error {
  constructor(topic: string, partition: number) {
    super(`who answers for ${topic}/${partition} lacks what is known to stand in it`);
    this.name = "StaleLeaderFault";
  }
}

/** Topics that are missing, and that we may not make or are told not to. */
export class NotCreatedFault extends Error {
  constructor(
    code: "unknown_topic" | "not_authorized",
    topics: readonly string[],
    user: string | undefined,
  ) {
    const who = user === undefined ? "we" : `user "${user}"`;
    const why =
      code === "not_authorized" ? `${who} may not create it` : "topics.create is set to false";
    super(
      `there is no topic ${topics.join(" or no topic ")}, and ${why}: make it with \`tidegate topics create\` as somebody who may`,
    );
    this.name = code === "not_authorized" ? "NotCreatedFault" : "UnknownTopicFault";
  }
}

/** Kafka says that something is not allowed, and neither what nor to whom. */
export class NotAllowedFault extends Error {
  constructor(said: string, topics: readonly string[], user: string | undefined) {
    const who = user === undefined ? "we" : `user "${user}"`;
    const what = topics.length > 0 ? ` (${topics.join(", ")})` : "";
    super(`${said}${what}: ${who} may not; grant the rights that \`tidegate doctor\` names`);
    this.name = "NotAllowedFault";
  }
}

interface AnyError {
  readonly name?: string;
  readonly type?: string;
  readonly code?: unknown;
  /** `host:port` */
  readonly broker?: string;
  readonly message?: string;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/** The innermost error that one of the tables knows decides; kafkajs wraps them in each other. */
export function faultOf(error: unknown): Fault {
  if (error instanceof EventLogError) {
    const reaction = error.code === "unreachable" ? "retry" : "refused";
    return { code: error.code, reaction, message: error.message, cause: error };
  }
  if (error instanceof ConnectionFault) {
    return { code: error.code, reaction: "reconnect", message: error.message, cause: error };
  }
  let row: Row | undefined;
  let message = "";
  for (let at = error as AnyError | undefined, depth = 0; at && depth < 8; depth++) {
    const found = PROTOCOL_FAULTS[at.type ?? ""] ?? CLIENT_FAULTS[at.name ?? ""];
    if (found) row = found;
    if (found || !message) message = told(at);
    at = (at.errors?.[0] ?? at.cause) as AnyError | undefined;
  }
  const [code, reaction] = row ?? (["unreachable", "reconnect"] as const);
  return { code, reaction, message: message || String(error), cause: error };
}

/** In words for people: kafkajs's say which of its requests it was, and rarely of which broker. */
function told({ type, name, broker, message }: AnyError): string {
  if (type) return `${type}: ${message}`;
  if (name === "KafkaJSRequestTimeoutError") return `${broker} does not answer`;
  if (name === "KafkaJSConnectionClosedError") return `${broker} closed the connection`;
  if (name !== "KafkaJSConnectionError") return `${message}`;
  if (message === "Connection timeout") return `${broker} takes no connection`;
  return `${message}`.replace(/^Connection error: /, "");
}

/** For callers of the port. */
export function eventLogError(error: unknown, doing: string): EventLogError {
  if (error instanceof EventLogError) return error;
  const fault = faultOf(error);
  return new EventLogError(fault.code, `Kafka: ${doing}: ${fault.message}`, { cause: error });
}
