/**
 * Topics as the port describes them, in Kafka's settings, and how they come to be.
 *
 * What is there is left as it is and nothing is asked of it but that we may see it: who may write its topics and nothing
 * else needs no right to create any.
 */
import type { TopicSpec } from "../port.ts";
import { metadataRequest } from "./admin-requests.ts";
import { faultOf, NotAllowedFault, NotCreatedFault } from "./faults.ts";
import { type Broker, createErrorFromCode } from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./options.ts";
import type { Connection } from "./session.ts";

const TIMEOUT_MS = 10_000;
const ALREADY_EXISTS = "TOPIC_ALREADY_EXISTS";
const NOT_CONTROLLER = "NOT_CONTROLLER";
/** Kafka's error codes. */
export const UNKNOWN_TOPIC = 3;
const LEADER_NOT_AVAILABLE = 5;
export const TOPIC_NOT_ALLOWED = 29;

export type TopicDefaults = Pick<
  KafkaSettings,
  "createTopics" | "replicationFactor" | "minInsyncReplicas"
>;

/** @param minInsyncReplicas below 1 leaves it to the broker */
export function topicSettings(
  spec: TopicSpec,
  minInsyncReplicas = -1,
): { name: string; value: string }[] {
  const settings: { name: string; value: string }[] = [
    { name: "cleanup.policy", value: spec.cleanup },
  ];
  // Kafka's own default would delete after a week what the port promises to keep.
  const retention = spec.retentionMs === undefined ? -1 : Math.round(spec.retentionMs);
  settings.push({ name: "retention.ms", value: String(retention) });
  // Kafka deletes by the time in a record and refuses what is an hour ahead. The brokers' clocks are looked after; those of
  // gateways are not, and nothing that was acknowledged may be deleted or refused for it.
  settings.push({ name: "message.timestamp.type", value: "LogAppendTime" });
  if (minInsyncReplicas > 0) {
    settings.push({ name: "min.insync.replicas", value: String(minInsyncReplicas) });
  }
  return settings;
}

/** Resolves when all have leaders. Those that exist stay as they are. @throws Kafka's refusal of the others */
export async function createTopics(
  connection: Connection,
  specs: readonly TopicSpec[],
  defaults: TopicDefaults,
): Promise<void> {
  const unique = new Map(specs.map((spec) => [spec.name, spec]));
  if (unique.size === 0) return;
  const user = connection.credentials.sasl?.username;
  const { topics: found } = await connection.ask(metadataRequest([...unique.keys()]));
  const hidden = found.filter(({ errorCode }) => errorCode === TOPIC_NOT_ALLOWED);
  if (hidden.length > 0) {
    const names = hidden.map(({ name }) => name).sort();
    throw new NotAllowedFault("TOPIC_AUTHORIZATION_FAILED", names, user);
  }
  const missing = found
    .filter(({ errorCode }) => errorCode === UNKNOWN_TOPIC)
    .flatMap(({ name }) => unique.get(name) ?? []);
  if (missing.length > 0) {
    if (!defaults.createTopics) throw new NotCreatedFault("unknown_topic", namesOf(missing), user);
    await create(connection, missing, defaults);
    connection.forget();
  }
  try {
    await connection.open([...unique.keys()]);
  } catch (error) {
    // Made, and not heard of by this broker yet: that passes.
    if (faultOf(error).code === "unknown_topic") throw createErrorFromCode(LEADER_NOT_AVAILABLE);
    throw error;
  }
}

async function create(
  connection: Connection,
  specs: readonly TopicSpec[],
  { replicationFactor, minInsyncReplicas }: TopicDefaults,
): Promise<void> {
  const topics = specs.map((spec) => ({
    topic: spec.name,
    numPartitions: spec.partitions,
    replicationFactor,
    configEntries: topicSettings(spec, minInsyncReplicas),
  }));
  const ask = async (broker: Broker) => {
    try {
      await broker.createTopics({ topics, timeout: TIMEOUT_MS });
    } catch (error) {
      const { errors } = error as { errors?: readonly { type?: string }[] };
      const refusal = errors ? errors.find((one) => one.type !== ALREADY_EXISTS) : error;
      if (!refusal) return;
      if (faultOf(refusal).code !== "not_authorized") throw refusal;
      const user = connection.credentials.sasl?.username;
      throw new NotCreatedFault("not_authorized", namesOf(specs), user);
    }
  };
  try {
    await ask(await connection.anyBroker());
  } catch (error) {
    if ((error as { type?: string }).type !== NOT_CONTROLLER) throw error;
    await ask(await connection.controller());
  }
}

function namesOf(specs: readonly TopicSpec[]): string[] {
  return specs.map((spec) => spec.name);
}
