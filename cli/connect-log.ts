/** Which event log a command works on: Kafka where brokers are set, else the embedded one of the data directory. */
import { join } from "node:path";
import type { Logger } from "pino";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog } from "../stream/port.ts";

export interface LogSettings {
  readonly data_dir: string;
  readonly namespace: string;
  readonly kafka: { readonly brokers: readonly string[] };
}

/** How long a command that a person waits for tries to reach Kafka, ms. */
export const PATIENCE_MS = 4000;

/** @param program begins the client id that Kafka's logs and quotas know us by */
export function createEventLog(
  settings: LogSettings,
  program: string,
  logger: Logger,
  patienceMs?: number,
): EventLog {
  const { brokers } = settings.kafka;
  return brokers.length > 0
    ? new KafkaEventLog({
        brokers,
        clientId: `tidegate-${program}`,
        logger,
        ...(patienceMs === undefined ? {} : { limits: { callDeadlineMs: patienceMs } }),
      })
    : new EmbeddedEventLog({ directory: join(settings.data_dir, "log"), logger });
}
