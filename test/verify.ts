/**
 * Is everything that was acknowledged there, and did it count once? From outside: through the command that everybody
 * has, and by computations that share no code with the product's processing.
 */
import { expect } from "vitest";
import type { RecordJson } from "../cli/record-json.ts";
import type { DeviceReading, Reading } from "../events/schema.ts";
import { compareRollups, expectedRollups, type OracleRollup } from "../simulator/oracle.ts";
import {
  type ArrivedReading,
  checkLedger,
  distinctReadings,
  readLedger,
} from "../simulator/oracle-ledger.ts";
import { compareReadings, expectedReadings } from "../simulator/oracle-readings.ts";
import { type JournalEntry, trueTimes } from "../simulator/oracle-time.ts";
import { run } from "./program.ts";

/** All records of a topic. @param where the flags that lead to the log: `--data-dir DIR` or `--brokers LIST` */
export async function recordsOf(topic: string, where: readonly string[]): Promise<RecordJson[]> {
  const { code, stdout, stderr } = await run(["tail", topic, "--all", "--no-follow", ...where]);
  if (code !== 0) throw new Error(stderr);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RecordJson);
}

/** Readings with their time; one whose gateway never knew it has that of its receipt. */
export async function readingsOf(where: readonly string[]): Promise<ArrivedReading[]> {
  const records = await recordsOf("events", where);
  const entries = records.map(({ key, type, data }) => ({
    gateway: key ?? "",
    type: type ?? "",
    data: data as JournalEntry["data"],
  }));
  const times = trueTimes(entries);
  return records.flatMap(({ id = "", key, type, data }, i) => {
    if (type !== "tidegate.reading") return [];
    const { device, received, metrics } = data as Reading;
    return [{ id, gateway: key ?? "", device, time: times[i] ?? received, metrics }];
  });
}

/** The newest of each window. */
export async function rollupsOf(where: readonly string[]): Promise<OracleRollup[]> {
  const newest = new Map<string, OracleRollup>();
  for (const record of await recordsOf("rollups", where)) {
    if (record.key === null) continue;
    if (record.data === null) newest.delete(record.key);
    else newest.set(record.key, record.data as OracleRollup);
  }
  return [...newest.values()];
}

export interface AuditJson {
  readonly verdict: string;
  readonly totals: Readonly<Record<string, number>>;
}

export async function auditOf(
  where: readonly string[],
): Promise<{ code: number | null; report: AuditJson }> {
  const { code, stdout, stderr } = await run(["audit", "--json", ...where]);
  if (stdout === "") throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as AuditJson };
}

/** Waits until the backlog is through, then holds everything against the simulator's ledger and the naive rollups. */
export async function verifyRun(where: readonly string[], ledgerFile: string): Promise<void> {
  const sent = readLedger(ledgerFile);
  const acknowledged = sent.messages.filter((message) => message.acknowledged).length;
  expect(acknowledged).toBeGreaterThan(0);
  await expect
    .poll(
      async () => {
        const { accepted = 0, onTheWay = 1 } = (await auditOf(where)).report.totals;
        return { through: onTheWay === 0, claimed: accepted >= acknowledged };
      },
      { timeout: 60_000, interval: 250 },
    )
    .toEqual({ through: true, claimed: true });
  const records = await readingsOf(where);
  const verdict = checkLedger(sent, records);
  expect({ missing: verdict.missing, surplus: verdict.surplus, changed: verdict.changed }).toEqual({
    missing: [],
    surplus: [],
    changed: [],
  });

  const { code, report } = await auditOf(where);
  expect(report).toMatchObject({ verdict: "complete", totals: { missing: 0, declaredLost: 0 } });
  expect(code).toBe(0);
  const journal = (await recordsOf("events", where)).filter((r) => r.type !== "tidegate.tick");
  const ids = new Set(journal.map((record) => `${record.source} ${record.id}`));
  expect(report.totals.arrived).toBeLessThanOrEqual(ids.size);

  const expected = expectedRollups(distinctReadings(records));
  await expect
    .poll(async () => compareRollups(expected, await rollupsOf(where)), {
      timeout: 60_000,
      interval: 500,
    })
    .toEqual([]);
}

/** Waits until the readings topic has all that the journals have, then holds it against them: each once, in order, unchanged. */
export async function verifyReadings(where: readonly string[]): Promise<void> {
  const journals = (await recordsOf("events", where)).map((record) => {
    const { key, partition, offset, sent, type = "", id = "", source = "", data } = record;
    const headers = { ce_type: type, ce_id: id, ce_source: source };
    return { key, partition, offset, timestamp: Date.parse(sent), headers, type, data };
  });
  const expected = expectedReadings(journals);
  expect(expected.length).toBeGreaterThan(0);
  const differences = async () => {
    const readings = (await recordsOf("readings", where)).map(
      ({ key, type = "", id = "", data }) => {
        return { key, headers: { ce_type: type, ce_id: id }, data: data as DeviceReading };
      },
    );
    return compareReadings(expected, readings).slice(0, 10);
  };
  await expect.poll(differences, { timeout: 60_000, interval: 500 }).toEqual([]);
}
