/** The event log on Kafka from a program's settings; it loads nothing of the embedded one. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { KafkaConfig } from "../stream/kafka/config.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { KafkaLimits, KafkaLogOptions } from "../stream/kafka/options.ts";
import type { TopicSettings } from "../stream/topic-specs.ts";
import { kafkaCredentials } from "./kafka-credentials.ts";

const TAKES_READINGS: ReadonlySet<string> = new Set(["gateway", "start"]);
/** What who runs a gateway has to know of an outage. */
const KEPT = "readings are acknowledged and kept, and everything goes on by itself when it answers";

export interface KafkaLogSettings {
  /** Of a program that runs processors; the others keep nothing. */
  readonly data_dir?: string;
  readonly kafka: KafkaConfig;
  readonly topics: TopicSettings;
}

/**
 * The Kafka that the settings name. It need not answer; what they say of it must make sense.
 * @throws SettingsError with every fault of credentials and their files
 */
export function createKafkaLog(
  settings: KafkaLogSettings,
  program: string,
  logger: Logger,
  limits: Partial<KafkaLimits> = {},
): KafkaEventLog {
  return new KafkaEventLog(kafkaOptions(settings, program, logger, limits));
}

export function kafkaOptions(
  { data_dir, kafka, topics }: KafkaLogSettings,
  program: string,
  logger: Logger,
  limits: Partial<KafkaLimits> = {},
): KafkaLogOptions {
  const { create, replication_factor, min_insync_replicas } = topics;
  return {
    brokers: kafka.brokers,
    clientId: `tidegate-${program}`,
    // Made by whoever runs processors, and by nobody else.
    ...(data_dir === undefined ? {} : { stateDirectory: join(data_dir, "state") }),
    logger,
    limits,
    credentials: kafkaCredentials(kafka),
    ...(TAKES_READINGS.has(program) ? { meanwhile: KEPT } : {}),
    ...(create === undefined ? {} : { createTopics: create }),
    ...(replication_factor === undefined ? {} : { replicationFactor: replication_factor }),
    ...(min_insync_replicas === undefined ? {} : { minInsyncReplicas: min_insync_replicas }),
  };
}
