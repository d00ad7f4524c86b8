/** The oracles take a day of forty devices, a hundred thousand records: one that took the square of it would not come back. */
import { expect, test } from "vitest";
import { expectedAlerts } from "./oracle-alerts.ts";
import { auditJournal } from "./oracle-audit.ts";
import { expectedDevices } from "./oracle-devices.ts";
import { expectedLedger } from "./oracle-ledger-topic.ts";
import { expectedFromJournals } from "./oracle-rollups.ts";
import { checkSent, type SentReading, storedReadings } from "./oracle-sent.ts";
import { fleetDay } from "./test-support/fleet-day.ts";

const rule = (name: string, forMs: number, threshold: number) =>
  ({
    name,
    metric: "t",
    when: { direction: "above", threshold },
    forMs,
    freshnessMs: 3_600_000,
    device: "*",
    gateway: "*",
    severity: "warning",
  }) as const;

test("a day of forty devices", () => {
  const records = fleetDay(4, 10);
  expect(records.length).toBe(4 + 4 * 8640 + 40 * 1440);
  expect(auditJournal(records).faults).toEqual([]);
  expect(expectedLedger(records)).toHaveLength(4);
  const { rollups } = expectedFromJournals(records, { "1m": 12, "1h": 48 });
  expect(rollups.length).toBe(80 * (1440 + 24));
  expect(expectedDevices(records)).toHaveLength(40);
  const rules = [rule("short", 60_000, 0), rule("never", 1e9, 0), rule("always", 600_000, -99)];
  expect(expectedAlerts(records, rules).length).toBeGreaterThan(300);
  const sent = storedReadings(records).map(({ gateway, device, time, metrics }): SentReading => {
    const write = {
      connection: 1,
      order: 1,
      qos: 1,
      messageId: 1,
      dup: false,
      fresh: true,
    } as const;
    return { gateway, device, time, metrics, writes: [write], acknowledged: true };
  });
  expect(checkSent(sent, records).ok).toBe(true);
});
