/** The same run judged whole and in parts: the verdict is the same, whatever is wrong with it. */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Alert } from "../events/schema.ts";
import { LedgerWriter } from "./ledger.ts";
import { LedgerParts } from "./ledger-parts.ts";
import { expectedAlerts, type OracleRule } from "./oracle-alerts.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import { readLedger } from "./oracle-ledger.ts";
import { expectedFromJournals } from "./oracle-rollups.ts";
import { sfc32 } from "./random.ts";
import { type CloudView, verifyParts, verifyRun } from "./verify.ts";
import { CloudParts } from "./verify-cloud.ts";

const directory = mkdtempSync(join(tmpdir(), "tidegate-cloud-"));
afterAll(() => rm(directory, { recursive: true }));

const START = Date.UTC(2026, 10, 21, 12);
const KEEP = { "1m": 168, "1h": 9600 };
const DEVICES = 12;
const RULE: OracleRule = {
  name: "warm",
  metric: "v",
  when: { direction: "above", threshold: 80 },
  forMs: 20_000,
  freshnessMs: 3_600_000,
  device: "*",
  gateway: "*",
  severity: "warning",
};

interface Made {
  readonly file: string;
  readonly journal: JournalRecord[];
}

/** Twelve devices at two gateways; some readings have no time, some come twice, one gateway does not know the time at first. */
function made(seed: number): Made {
  const random = sfc32(seed);
  const file = join(directory, `ledger-${seed}`);
  const writer = new LedgerWriter(file);
  writer.start();
  const rules = [RULE] as never;
  writer.write({ t: "ledger", kind: "fleet", rules, options: {}, at: START });
  const journal: JournalRecord[] = [];
  const sequences = new Map<string, number>();
  const event = (gateway: string, at: number, type: string, data: object, own?: number) => {
    const sequence = own ?? (sequences.get(gateway) ?? 0) + 1;
    if (own === undefined) sequences.set(gateway, sequence);
    const unsynced = gateway === "h" && at < 90_000;
    const clock = unsynced ? "unsynced" : "synced";
    const received = unsynced ? at : START + at + 5;
    journal.push({
      key: gateway,
      partition: gateway === "g" ? 0 : 1,
      offset: journal.length,
      timestamp: START + at + 10,
      headers: { ce_id: `0123456789-${sequence}`, ce_source: `/gateways/${gateway}` },
      type,
      data: { received, clock, boot: "b", uptime: 1000 + at, ...data },
    });
  };
  const last = new Map<number, number>();
  for (let n = 1; n <= 600; n += 1) {
    const at = n * 300;
    const index = Math.floor(random() * DEVICES);
    const gateway = index < 5 ? "g" : "h";
    const device = `d/${index}`;
    const metrics = { v: Math.round(100 * random()) };
    const timed = index % 3 > 0;
    const time = timed ? START + at : undefined;
    writer.write({ t: "sent", n, at: START + at, d: device, time, m: metrics });
    if (random() < 0.95) writer.write({ t: "ack", n, at: START + at + 20 });
    event(gateway, at, "tidegate.reading", { device, metrics, ...(timed ? { time } : {}) });
    last.set(index, journal.length - 1);
    if (random() < 0.05) event(gateway, at, "tidegate.reading", { device: "stranger", metrics });
    if (random() < 0.03) journal.push({ ...(journal.at(-1) as JournalRecord) });
    if (random() < 0.1) event(gateway, at + 100, "tidegate.heartbeat", { interval: 10_000 });
    if (gateway === "h" && at > 90_000 && !journal.some(({ type }) => type === "tidegate.clock")) {
      event("h", at, "tidegate.clock", { offset: START - 1000, change: "set" });
    }
  }
  writer.write({ t: "end", at: START + 200_000, sent: 600, acknowledged: 570 });
  writer.stop();
  return { file, journal: journal.map((record, offset) => ({ ...record, offset })) };
}

function viewOf(journal: readonly JournalRecord[]): CloudView {
  const alerts = expectedAlerts(journal, [RULE]) as Alert[];
  return {
    journal,
    rollups: expectedFromJournals(journal, KEEP).rollups.map(({ kept: _, ...rollup }) => rollup),
    alerts,
    states: [...new Map(alerts.map((alert) => [alert.alert, alert])).values()],
    keepHours: KEEP,
  };
}

function both(file: string, view: CloudView) {
  const place = mkdtempSync(join(directory, "run-"));
  const ledger = new LedgerParts(file, { directory: place, partMessages: 70, pieceBytes: 3000 });
  expect(ledger.count).toBeGreaterThan(4);
  const cloud = new CloudParts(ledger, place, KEEP);
  for (const record of view.journal) cloud.event(record);
  const name = (text: string) => text.replaceAll("/", "%2F");
  for (const rollup of view.rollups) {
    const { gateway, device, metric, resolution, window } = rollup;
    cloud.rollup(`${gateway}/${name(device)}/${metric}/${resolution}/${window}`, rollup);
  }
  for (const alert of view.alerts) cloud.alert(alert);
  for (const alert of view.states) cloud.state(alert.alert, alert);
  const rules = [RULE];
  return [
    verifyRun(readLedger(file), view, rules),
    verifyParts(ledger.head, () => cloud.parts(), rules),
  ].map((verdict) => ({
    ...verdict,
    readings: { ...verdict.readings, changed: verdict.readings.changed.length },
    unknown: verdict.readings.unknown.map(({ id }) => id).sort(),
    missing: verdict.readings.missing.map((one) => JSON.stringify(one)).sort(),
    rollups: verdict.rollups.map((one) => JSON.stringify(one)).sort(),
    alerts: { ...verdict.alerts, differences: verdict.alerts?.differences.length },
  }));
}

test.each([1, 2, 3])("seed %i: nothing is wrong", (seed) => {
  const { file, journal } = made(seed);
  const [whole, parts] = both(file, viewOf(journal));
  expect(whole).toMatchObject({ ok: true, gateways: ["g", "h"], devices: DEVICES });
  expect(whole?.readings.redelivered).toBeGreaterThan(3);
  expect(whole?.alerts.expected).toBeGreaterThan(5);
  expect(parts).toEqual(whole);
});

test.each<[string, (made: Made) => CloudView]>([
  [
    "readings gone, one changed, one too many",
    ({ journal }) => {
      const readings = journal.filter(({ type }) => type === "tidegate.reading");
      const [a, b, c] = [readings[50], readings[300], readings[400]];
      const left = journal.filter((record) => record !== a && record !== b);
      const odd = { ...(c as JournalRecord), headers: { ...c?.headers, ce_id: "0123456789-9999" } };
      return viewOf([
        ...left,
        { ...odd, offset: 5000, data: { ...(odd.data as object), time: 7 } },
      ]);
    },
  ],
  [
    "readings of two devices under one id: only the first counts anywhere",
    ({ journal }) => {
      const own = journal.filter(
        ({ key, type, data }) =>
          key === "g" &&
          type === "tidegate.reading" &&
          (data as { device: string }).device !== "d/1",
      );
      const one = journal.find(({ data }) => (data as { device?: string }).device === "d/1");
      const others = new Set(own.slice(-10));
      return viewOf(
        journal.map((record) =>
          others.has(record) ? { ...record, headers: one?.headers ?? {} } : record,
        ),
      );
    },
  ],
  [
    "windows and alerts",
    ({ journal }) => {
      const view = viewOf(journal);
      return {
        ...view,
        rollups: view.rollups.slice(1).map((one, at) => (at === 20 ? { ...one, count: 99 } : one)),
        alerts: view.alerts.slice(0, -1),
        states: view.states.slice(1),
      };
    },
  ],
])("%s", (_, change) => {
  const one = made(7);
  const [whole, parts] = both(one.file, change(one));
  expect(whole?.ok).toBe(false);
  expect(parts?.unknown).toEqual(whole?.unknown);
  expect({ ...parts, readings: parts?.readings.ok }).toEqual({
    ...whole,
    readings: whole?.readings.ok,
  });
});
