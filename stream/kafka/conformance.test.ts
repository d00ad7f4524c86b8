/** The suite that all event logs pass, on a real Kafka of its own, because the suite takes it away and brings it back. */
import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, describe } from "vitest";
import { KafkaBroker } from "../../test/kafka/kafka-broker.ts";
import { kafkaCanRun } from "../../test/kafka/shared-kafka.ts";
import { eventLogConformance } from "../conformance.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";

const canRun = await kafkaCanRun("conformance of the event log on Kafka");
const logger = pino({ level: process.env.TIDEGATE_TEST_LOG ?? "silent" }, pino.destination(2));

describe.skipIf(!canRun)("on Kafka", () => {
  const broker = new KafkaBroker();
  beforeAll(() => broker.start(), 120_000);
  afterAll(() => broker.stop());

  eventLogConformance({
    name: "kafka",
    // A producer tells a resend from the batch before it; one of another process, after a restart, does not.
    capabilities: { away: true, dropsResentBatches: false },
    timeoutMs: 40_000,
    create: async () => {
      const namespace = `t${randomBytes(5).toString("hex")}`;
      return {
        namespace,
        open: (options) =>
          new KafkaEventLog({
            brokers: [broker.address],
            clientId: namespace,
            logger,
            limits: {
              ...(options?.commitRecords ? { commitRecords: options.commitRecords } : {}),
              sessionTimeoutMs: 6000,
              callDeadlineMs: 5000,
              longestPauseMs: 500,
              unknownTopicMs: 200,
            },
          }),
        leave: () => broker.kill(),
        comeBack: () => broker.start(),
        dispose: async () => {},
      };
    },
  });
});
