import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "@prometheus-io/client";
import { expect, onTestFinished, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import type { LedgerEntry, RejectedRecord } from "../events/schema.ts";
import { parseRules } from "../rules/file.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import {
  type EventLog,
  EventLogError,
  type EventLogErrorCode,
  type StoredRecord,
  type TopicSpec,
} from "../stream/port.ts";
import { audit } from "./audit.core.ts";
import { Cloud } from "./cloud.ts";
import { registerCloudMetrics } from "./metrics.ts";
import { NAMES, NOON, statusRecord, TestJournal } from "./test-support/journal.ts";
import { SETTINGS } from "./test-support/pipeline.ts";

const silent = { info() {}, warn() {}, error() {} };
const RULES = parseRules("rules: [{ name: warm, when: t above 90 }]", "rules.yaml");

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-cloud-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function openLog(directory: string): Promise<EmbeddedEventLog> {
  const log = new EmbeddedEventLog({ directory, commitRecords: 50 });
  await log.start();
  onTestFinished(() => log.stop());
  return log;
}

function cloudOn(log: EventLog, readModelDirectory?: string): Cloud {
  const cloud = new Cloud({
    log,
    namespace: "test",
    rules: RULES,
    settings: SETTINGS,
    topics: { partitions: 3, events_retention_days: 30 },
    logger: silent,
    ...(readModelDirectory === undefined ? {} : { readModelDirectory }),
  });
  onTestFinished(() => cloud.stop());
  return cloud;
}

async function append(log: EventLog, records: readonly StoredRecord[]): Promise<void> {
  for (const [topic, some] of Map.groupBy(records, (record) => record.topic)) {
    await log.append(
      topic,
      some.map(({ key, headers, value }) => ({ key: key ?? "", headers, value })),
    );
  }
}

test("journals in the embedded log become ledger, rollups, devices, alerts and a read model", async () => {
  const directories = { log: temporary(), model: temporary() };
  const journals = ["gw-one", "gw-two", "gw-three"].map((name) => new TestJournal(name));
  const batches = journals.map((journal) =>
    Array.from({ length: 300 }, (_, i) => journal.reading(`d${i % 10}`, { t: i % 100 })),
  );
  const [first, second, third] = batches as [StoredRecord[], StoredRecord[], StoredRecord[]];

  let log = await openLog(directories.log);
  let cloud = cloudOn(log, directories.model);
  expect(cloud.status().state).toBe("stopped");
  await expect(cloud.caughtUp()).rejects.toMatchObject({ code: "closed" });
  await cloud.start();
  await cloud.start();
  // One journal with a planted gap of 5 and a planted duplicate of 20, one with its batch twice, in pieces.
  await append(log, [...first.slice(0, 100), ...first.slice(105), ...first.slice(200, 220)]);
  await append(log, second.slice(0, 150));
  await cloud.caughtUp();
  expect(cloud.status()).toMatchObject({ state: "running" });
  expect(cloud.status().topologies.map((one) => [one.name, one.lag])).toEqual([
    ["ledger", 0],
    ["rollups", 0],
    ["devices", 0],
    ["alerts", 0],
  ]);
  await cloud.stop();
  await log.stop();

  log = await openLog(directories.log);
  cloud = cloudOn(log, directories.model);
  await cloud.start();
  await append(log, [...second.slice(100), ...third, ...third]);
  await append(log, [statusRecord("gw-three", "0000000001", 310)]);
  const broken = { ...(third[0] as StoredRecord), headers: { ce_id: "x" } };
  await append(log, [broken]);
  await cloud.caughtUp();
  const model = cloud.readModel;
  if (!model) throw new Error("there is a read model");

  const entries = [...(await log.latest(NAMES.ledger)).values()].map((record) =>
    decodeEvent("tidegate.ledger", record.value as Uint8Array),
  );
  expect(await model.ledger()).toEqual(
    entries.toSorted((a: LedgerEntry, b: LedgerEntry) => (a.gateway < b.gateway ? -1 : 1)),
  );
  const report = audit(entries);
  expect(report.verdict).toBe("missing");
  const rows = Object.fromEntries(report.rows.map((row) => [row.gateway, row]));
  expect(rows["gw-one"]).toMatchObject({ accepted: 300, arrived: 295, missing: 5, duplicates: 20 });
  expect(rows["gw-one"]?.epochs[0]?.missingRanges).toEqual([[101, 105]]);
  expect(rows["gw-two"]).toMatchObject({ arrived: 300, missing: 0, duplicates: 50 });
  expect(rows["gw-three"]).toMatchObject({
    accepted: 310,
    arrived: 300,
    onTheWay: 10,
    duplicates: 300,
  });

  const query = { device: "d5", metric: "t", from: NOON - 1, to: NOON + 3_600_000, limit: 1000 };
  const count = async (gateway: string) => {
    const windows = await model.rollups({ ...query, gateway, resolution: "1m" });
    return windows.reduce((sum, one) => sum + one.count, 0);
  };
  // Of the planted gap, sequences 101 to 105, none is of device 5: it counts whole everywhere.
  expect([await count("gw-one"), await count("gw-two"), await count("gw-three")]).toEqual([
    30, 30, 30,
  ]);
  expect((await model.devices({ limit: 100 })).total).toBe(30);
  expect((await model.alertHistory({ limit: 1 })).total).toBeGreaterThan(0);
  const rejected: RejectedRecord[] = [];
  for await (const record of log.read(NAMES.rejected)) {
    rejected.push(decodeEvent("tidegate.rejected-record", record.value as Uint8Array));
  }
  expect(rejected).toMatchObject([{ topology: "ledger", code: "bad_source", topic: NAMES.events }]);

  const registry = new Registry();
  registerCloudMetrics(registry, cloud);
  const text = await registry.metrics();
  expect(text).toContain('tidegate_topology_lag_records{topology="ledger"} 0');
  expect(text).toContain("tidegate_ledger_missing_events 5");
  expect(text).toContain('tidegate_topology_up{topology="alerts"} 1');
});

/** A log whose broker does not answer at first. */
class AwayLog extends EmbeddedEventLog {
  refusals = 0;
  code: EventLogErrorCode = "unreachable";
  override async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new EventLogError(this.code, "planted: no broker answers");
    }
    await super.createTopics(specs);
  }
}

test.each(["unreachable", "not_authorized"] as const)(
  "a log that does not let us in yet (%s) is waited for, and says why",
  async (code) => {
    const log = new AwayLog({ directory: temporary() });
    await log.start();
    onTestFinished(() => log.stop());
    log.refusals = 1;
    log.code = code;
    const cloud = cloudOn(log, temporary());
    await cloud.start();
    const lastError = "planted: no broker answers";
    expect(cloud.status()).toEqual({ state: "waiting", lastError, topologies: [] });
    expect(await cloud.readModel?.gateways()).toEqual([]);
    await cloud.caughtUp();
    expect(cloud.status()).toMatchObject({ state: "running" });
    expect(cloud.status().lastError).toBeUndefined();
    await cloud.stop();
  },
);

test("what waiting does not change is an error", async () => {
  const log = new AwayLog({ directory: temporary() });
  await log.start();
  onTestFinished(() => log.stop());
  log.refusals = 1;
  log.code = "invalid";
  const refused = cloudOn(log, temporary());
  await expect(refused.start()).rejects.toMatchObject({ code: "invalid" });
  expect(refused.status().state).toBe("stopped");
});

test("stopping while it waits is quick, and it can start again", async () => {
  const log = new AwayLog({ directory: temporary() });
  await log.start();
  onTestFinished(() => log.stop());
  log.refusals = 1_000_000;
  const cloud = cloudOn(log);
  await cloud.start();
  await cloud.stop();
  await cloud.stop();
  expect(cloud.status().state).toBe("stopped");
  log.refusals = 0;
  await cloud.start();
  await cloud.caughtUp();
  expect(cloud.status().state).toBe("running");
});
