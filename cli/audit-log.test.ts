import { describe, expect, test } from "vitest";
import { audit } from "../cloud/audit.core.ts";
import type { GatewayStatus, LedgerEntry } from "../events/schema.ts";
import { printed } from "./audit.ts";
import { withClaims } from "./audit-log.ts";

const entry = (overrides: Partial<LedgerEntry>): LedgerEntry => ({
  gateway: "gw-1",
  epoch: "aaaaaaaaaa",
  received: [[1, 10]],
  declared_lost: [],
  missing: [],
  duplicates: 0,
  accepted: 10,
  ...overrides,
});
const status = (accepted: number, epoch = "aaaaaaaaaa") =>
  ({ gateway: "gw-1", epoch, accepted }) as GatewayStatus;

describe("withClaims", () => {
  test("a ledger that is behind does not look complete", () => {
    const [row] = audit(withClaims([entry({})], [status(25)])).rows;
    expect(row).toMatchObject({ accepted: 25, arrived: 10, onTheWay: 15, missing: 0 });
  });

  test("an older claim changes nothing", () => {
    expect(withClaims([entry({})], [status(3)])).toEqual([entry({})]);
  });

  test("an epoch of which nothing has arrived is on the way as a whole", () => {
    const { totals } = audit(withClaims([entry({})], [status(7, "bbbbbbbbbb")]));
    expect(totals).toMatchObject({ accepted: 17, arrived: 10, onTheWay: 7 });
  });
});

describe("printed", () => {
  test("a planted gap is named to the sequence", () => {
    const report = audit([
      entry({
        received: [
          [1, 4],
          [8, 10],
        ],
        missing: [[5, 7]],
        duplicates: 2,
      }),
    ]);
    expect(report.verdict).toBe("missing");
    const text = printed(report);
    expect(text).toMatch(/^gw-1 {5}aaaaaaaaaa {8}10 {8}7 {11}0 {8}3 {10}2 {14}0$/m);
    expect(text).toMatch(/^gw-1 aaaaaaaaaa lacks 5–7$/m);
    expect(text).toMatch(/Something is missing\.\n$/);
  });

  test("nothing heard of yet is said as such", () => {
    expect(printed(audit([]))).toMatch(/^Nothing has arrived yet.*log\.\n$/);
    const totals = { ...audit([]).totals, declaredLost: 21_213 };
    expect(printed({ rows: [], totals, verdict: "complete" })).toBe(
      "Nothing is missing; 21,213 are declared lost.\n",
    );
  });
});
