/** Which event log a command works on: Kafka where brokers are set, else the embedded one of the data directory. */
import { join } from "node:path";
import type { Logger } from "pino";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import type { KafkaLimits } from "../stream/kafka/options.ts";
import type { EventLog } from "../stream/port.ts";
import { createKafkaLog, type KafkaLogSettings } from "./kafka-log.ts";

export interface LogSettings extends KafkaLogSettings {
  readonly data_dir: string;
  readonly namespace: string;
}

/**
 * What a command that a person waits for puts up with. A broker that takes connections and says nothing (it hangs, it
 * swaps) is given up after one request and what is left of the call: about 5 s in all.
 */
export const IMPATIENT = {
  connectionTimeoutMs: 2500,
  requestTimeoutMs: 2500,
  callDeadlineMs: 4000,
} as const satisfies Partial<KafkaLimits>;

/** @param program begins the client id that Kafka's logs and quotas know us by */
export function createEventLog(
  settings: LogSettings,
  program: string,
  logger: Logger,
  limits: Partial<KafkaLimits> = {},
): EventLog {
  return settings.kafka.brokers.length > 0
    ? createKafkaLog(settings, program, logger, limits)
    : new EmbeddedEventLog({ directory: join(settings.data_dir, "log"), logger });
}
