/** The cloud on a real Kafka: the same topologies, state restored by another instance halfway. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, onTestFinished, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import { topicNames } from "../events/topics.ts";
import { parseRules } from "../rules/file.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog, StoredRecord } from "../stream/port.ts";
import { sharedKafka } from "../test/kafka/shared-kafka.ts";
import { audit } from "./audit.core.ts";
import { Cloud } from "./cloud.ts";
import { NOON, TestJournal } from "./test-support/journal.ts";
import { SETTINGS } from "./test-support/pipeline.ts";

const brokers = await sharedKafka("the cloud on Kafka");
const logger = pino({ level: "silent" });

describe.skipIf(!brokers)("on Kafka", () => {
  test("a second instance goes on where the first stopped, and everything counts once", async () => {
    const namespace = `t${randomBytes(5).toString("hex")}`;
    const names = topicNames(namespace);
    const directory = mkdtempSync(join(tmpdir(), "tidegate-cloud-kafka-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));

    const open = async (): Promise<{ log: EventLog; cloud: Cloud }> => {
      const log = new KafkaEventLog({ brokers: brokers ?? [], clientId: namespace, logger });
      await log.start();
      onTestFinished(() => log.stop());
      const cloud = new Cloud({
        log,
        namespace,
        rules: parseRules("rules: [{ name: warm, when: t above 90 }]", "rules.yaml"),
        settings: SETTINGS,
        topics: { partitions: 3, events_retention_days: 30 },
        logger,
        readModelDirectory: directory,
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

    const journals = ["gw-one", "gw-two"].map((name) => new TestJournal(name));
    const [one, two] = journals.map((journal) =>
      Array.from({ length: 200 }, (_, i) => journal.reading(`d${i % 4}`, { t: i % 100 })),
    ) as [StoredRecord[], StoredRecord[]];
    const first = await open();
    await append(first.log, one.slice(0, 120));
    await append(first.log, two.slice(0, 50));
    await first.cloud.caughtUp();
    await first.cloud.stop();
    await first.log.stop();

    const { log, cloud } = await open();
    await append(log, [...one.slice(100, 150), ...one.slice(154)]);
    await append(log, [...two.slice(50), ...two.slice(0, 10)]);
    await cloud.caughtUp();

    const entries = [...(await log.latest(names.ledger)).values()].map((record) =>
      decodeEvent("tidegate.ledger", record.value as Uint8Array),
    );
    const rows = audit(entries).rows;
    expect(rows).toMatchObject([
      { gateway: "gw-one", accepted: 200, arrived: 196, missing: 4, duplicates: 20 },
      { gateway: "gw-two", accepted: 200, arrived: 200, missing: 0, duplicates: 10 },
    ]);
    expect(rows[0]?.epochs[0]?.missingRanges).toEqual([[151, 154]]);
    const model = cloud.readModel;
    const query = { metric: "t", from: NOON, to: NOON + 3_600_000, limit: 100 };
    const counts: number[] = [];
    for (const gateway of ["gw-one", "gw-two"]) {
      for (const device of ["d0", "d1", "d2", "d3"]) {
        const windows = await model?.rollups({ ...query, gateway, device, resolution: "1h" });
        counts.push(windows?.[0]?.count ?? 0);
      }
    }
    expect(counts).toEqual([49, 49, 49, 49, 50, 50, 50, 50]);
    expect((await model?.devices({ limit: 10 }))?.total).toBe(8);
    expect((await model?.alertHistory({ limit: 1 }))?.total).toBeGreaterThan(0);
  }, 120_000);
});
