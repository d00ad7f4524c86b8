/** Topics as the port describes them, in Kafka's settings. */
import type { TopicSpec } from "../port.ts";
import { faultOf } from "./faults.ts";
import { type Broker, createErrorFromCode } from "./kafkajs-internals.ts";
import type { Connection } from "./session.ts";

const TIMEOUT_MS = 10_000;
const ALREADY_EXISTS = "TOPIC_ALREADY_EXISTS";
const NOT_CONTROLLER = "NOT_CONTROLLER";
/** Kafka's error 5. */
const LEADER_NOT_AVAILABLE = 5;

export function topicSettings(spec: TopicSpec): { name: string; value: string }[] {
  const settings: { name: string; value: string }[] = [
    { name: "cleanup.policy", value: spec.cleanup },
  ];
  // Kafka's own default would delete after a week what the port promises to keep.
  const retention = spec.retentionMs === undefined ? -1 : Math.round(spec.retentionMs);
  settings.push({ name: "retention.ms", value: String(retention) });
  // Kafka deletes by the time in a record and refuses what is an hour ahead. The brokers' clocks are looked after; those of
  // gateways are not, and nothing that was acknowledged may be deleted or refused for it.
  settings.push({ name: "message.timestamp.type", value: "LogAppendTime" });
  return settings;
}

/** Resolves when all have leaders. Those that exist stay as they are. @throws Kafka's refusal of the others */
export async function createTopics(
  connection: Connection,
  specs: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  const unique = [...new Map(specs.map((spec) => [spec.name, spec])).values()];
  if (unique.length === 0) return;
  const topics = unique.map((spec) => ({
    topic: spec.name,
    numPartitions: spec.partitions,
    replicationFactor,
    configEntries: topicSettings(spec),
  }));
  const create = async (broker: Broker) => {
    try {
      await broker.createTopics({ topics, timeout: TIMEOUT_MS });
    } catch (error) {
      const { errors } = error as { errors?: readonly { type?: string }[] };
      const refusal = errors ? errors.find((one) => one.type !== ALREADY_EXISTS) : error;
      if (refusal) throw refusal;
    }
  };
  try {
    await create(await connection.anyBroker());
  } catch (error) {
    if ((error as { type?: string }).type !== NOT_CONTROLLER) throw error;
    await create(await connection.controller());
  }
  connection.forget();
  try {
    await connection.open(unique.map((spec) => spec.name));
  } catch (error) {
    // Made, and not heard of by this broker yet: that passes.
    if (faultOf(error).code === "unknown_topic") throw createErrorFromCode(LEADER_NOT_AVAILABLE);
    throw error;
  }
}
