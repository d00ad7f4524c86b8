/**
 * The readings topic on both logs: batches that come again, whole and in pieces, and a cloud that ends in the middle and goes
 * on elsewhere; in the end each reading stands there once. The simulator's oracle says which.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, onTestFinished, test } from "vitest";
import type { DeviceReading } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { decodeRecord } from "../simulator/oracle-journal.ts";
import { compareReadings, expectedReadings } from "../simulator/oracle-readings.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog, StoredRecord } from "../stream/port.ts";
import { sharedKafka } from "../test/kafka/shared-kafka.ts";
import { Cloud } from "./cloud.ts";
import { TestJournal } from "./test-support/journal.ts";
import { SETTINGS } from "./test-support/pipeline.ts";

const brokers = await sharedKafka("the readings topic on Kafka");
const logger = pino({ level: "silent" });

type Open = () => Promise<EventLog>;

function embedded(): Open {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-readings-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return async () => new EmbeddedEventLog({ directory, commitRecords: 20 });
}

function kafka(): Open {
  const clientId = `readings-${randomBytes(4).toString("hex")}`;
  return async () => new KafkaEventLog({ brokers: brokers ?? [], clientId, logger });
}

describe.each([
  ["embedded", embedded, true],
  ["Kafka", kafka, brokers !== undefined],
] as const)("on %s", (_, make, there) => {
  test.skipIf(!there)(
    "each reading stands there once, over resent batches and restarts",
    async () => {
      const open = make();
      const namespace = `r${randomBytes(5).toString("hex")}`;
      const names = topicNames(namespace);
      const started = async (enabled = true): Promise<{ log: EventLog; cloud: Cloud }> => {
        const log = await open();
        await log.start();
        onTestFinished(() => log.stop());
        const cloud = new Cloud({
          log,
          namespace,
          rules: [],
          settings: { ...SETTINGS, readings: { enabled, retention_days: 7 } },
          topics: { partitions: 3, events_retention_days: 30 },
          logger,
        });
        onTestFinished(() => cloud.stop());
        await cloud.start();
        return { log, cloud };
      };
      const append = (log: EventLog, records: readonly StoredRecord[]) =>
        log.append(
          names.events,
          records.map(({ key, headers, value }) => ({ key: key ?? "", headers, value })),
        );
      const all = async (log: EventLog, topic: string) => {
        const found: StoredRecord[] = [];
        for await (const record of log.read(topic)) found.push(record);
        return found;
      };
      const check = async (log: EventLog, count: number) => {
        const journals = (await all(log, names.events)).map((record) => decodeRecord(record));
        const actual = (await all(log, names.readings)).map((record) => {
          return { ...record, data: decodeRecord(record).data as DeviceReading };
        });
        expect(compareReadings(expectedReadings(journals), actual)).toEqual([]);
        expect(actual).toHaveLength(count);
      };

      const [one, two] = ["gw-one", "gw-two"].map((name) => {
        const journal = new TestJournal(name);
        const opening = journal.opening();
        const readings = Array.from({ length: 200 }, (_, i) =>
          i % 50 === 49 ? journal.heartbeat() : journal.reading(`d${i % 4}`, { t: i }),
        );
        return [opening, ...readings];
      }) as [StoredRecord[], StoredRecord[]];

      // Turned off at first: what came meanwhile is there too once it is turned on.
      const off = await started(false);
      await append(off.log, one.slice(0, 60));
      await off.cloud.caughtUp();
      expect(off.cloud.status().topologies.map(({ name }) => name)).not.toContain("readings");
      await off.cloud.stop();
      await off.log.stop();

      const first = await started();
      await append(first.log, [...one.slice(40, 120), ...two.slice(0, 50)]);
      await first.cloud.caughtUp();
      // It ends with work at hand: nobody waits for what is appended now.
      await append(first.log, [...one.slice(100, 150), ...two.slice(30, 90)]);
      await first.cloud.stop();
      await first.log.stop();

      const second = await started();
      await append(second.log, [...one.slice(140), ...two.slice(90, 100)]);
      await second.cloud.caughtUp();
      await second.cloud.stop();
      await second.log.stop();

      const third = await started();
      await append(third.log, [...two.slice(80), ...two, ...one.slice(0, 20)]);
      await third.cloud.caughtUp();
      await check(third.log, 2 * 196);
    },
    180_000,
  );
});
