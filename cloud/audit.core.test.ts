import { expect, test } from "vitest";
import type { LedgerEntry } from "../events/schema.ts";
import { audit, totalsOf } from "./audit.core.ts";

function entry(more: Partial<LedgerEntry>): LedgerEntry {
  return {
    gateway: "gw-one",
    epoch: "0000000001",
    received: [],
    declared_lost: [],
    missing: [],
    duplicates: 0,
    accepted: 0,
    ...more,
  };
}

test("nothing heard of is neither complete nor missing", () => {
  expect(audit([])).toMatchObject({ rows: [], verdict: "empty", totals: { accepted: 0 } });
});

test("rows by gateway, epochs in the order they came, totals that add up", () => {
  const report = audit([
    entry({ gateway: "gw-two", received: [[1, 5]], accepted: 8, first_received: 5 }),
    entry({ epoch: "0000000009", received: [[1, 3]], accepted: 3, first_received: 10 }),
    entry({
      epoch: "0000000001",
      received: [
        [1, 4],
        [7, 20],
      ],
      missing: [
        [5, 6],
        [21, 22],
      ],
      declared_lost: [[9, 12]],
      duplicates: 3,
      accepted: 22,
      closed: true,
      first_received: 20,
    }),
    entry({ epoch: "0000000005", accepted: 2 }),
  ]);
  expect(report.verdict).toBe("missing");
  expect(report.rows.map((row) => row.gateway)).toEqual(["gw-one", "gw-two"]);
  expect(report.rows[0]?.epochs.map((one) => one.epoch)).toEqual([
    "0000000009",
    "0000000001",
    "0000000005",
  ]);
  expect(report.rows[0]?.epochs[1]).toEqual({
    epoch: "0000000001",
    closed: true,
    accepted: 22,
    arrived: 14,
    onTheWay: 0,
    missing: 4,
    duplicates: 3,
    declaredLost: 4,
    missingRanges: [
      [5, 6],
      [21, 22],
    ],
    declaredLostRanges: [[9, 12]],
  });
  expect(report.totals).toEqual({
    accepted: 35,
    arrived: 22,
    onTheWay: 5,
    missing: 4,
    duplicates: 3,
    declaredLost: 4,
  });
  for (const row of report.rows) {
    expect(row.arrived + row.onTheWay + row.missing + row.declaredLost).toBe(row.accepted);
  }
});

test("what is on its way is not missing", () => {
  const report = audit([entry({ received: [[1, 5]], accepted: 90 })]);
  expect(report.verdict).toBe("complete");
  expect(totalsOf(entry({ received: [[1, 5]], accepted: 90 })).onTheWay).toBe(85);
});
