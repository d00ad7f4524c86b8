import { describe, expect, test } from "vitest";
import type { LedgerEntry } from "../events/schema.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import { compareLedger, expectedLedger } from "./oracle-ledger-topic.ts";
import { HandJournal, handStatus, NOON } from "./test-support/oracle-records.ts";

const A = "000000000a";
const B = "000000000b";
const S = 1000;

describe("the expected ledger", () => {
  test("events, a hole, a declared loss of which something turned up, a batch twice, a claim", () => {
    const journal = new HandJournal();
    const batch = [journal.opening(), journal.reading("d", { t: 1 })];
    const hole = journal.reading("d", { t: 2 });
    const lost = journal.reading("d", { t: 3 });
    const loss = journal.loss(6, 4);
    const rest = journal.heartbeat();
    const records = [...batch, ...batch, loss, loss, rest, lost];
    expect(hole.offset).toBe(2);
    expect(expectedLedger(records, [handStatus("g", A, 9), handStatus("g", A, 8)])).toEqual([
      {
        gateway: "g",
        epoch: A,
        received: [
          [1, 2],
          [4, 7],
        ],
        declared_lost: [[5, 6]],
        missing: [[3, 3]],
        duplicates: 3,
        accepted: 9,
        first_received: NOON,
        last_received: NOON + 5 * S,
      },
    ]);
  });

  test("the next epoch closes the one it names: what did not come is missing", () => {
    const journal = new HandJournal();
    const next = new HandJournal("g", B);
    const records = [journal.opening(), next.opening({ epoch: A, highest: 4 }, "salvage")];
    expect(expectedLedger(records, [handStatus("g", A, 5)])).toMatchObject([
      { epoch: A, received: [[1, 1]], missing: [[2, 5]], accepted: 5, closed: true },
      { epoch: B, received: [[1, 1]], missing: [], accepted: 1 },
    ]);
  });

  test("a moved card does not close another gateway's epoch; a beginning without memory closes all of its own", () => {
    const moved = new HandJournal("h", B).opening({ epoch: A, highest: 4 }, "moved");
    expect(expectedLedger([moved]).map(({ epoch }) => epoch)).toEqual([B]);
    const journal = new HandJournal();
    const anew = new HandJournal("g", B);
    anew.now = NOON + 60 * S;
    const records = [journal.opening(), anew.opening(), new HandJournal("h", A).opening()];
    expect(expectedLedger(records, [handStatus("g", A, 3)])).toMatchObject([
      { gateway: "g", epoch: A, closed: true, missing: [[2, 3]] },
      { gateway: "g", epoch: B, missing: [] },
      { gateway: "h", epoch: A, missing: [] },
    ]);
    expect(expectedLedger(records)[2]).not.toHaveProperty("closed");
  });

  test("an epoch known by its status alone ends with a beginning without memory after it, not before", () => {
    const anew = new HandJournal("g", B).opening();
    const before = handStatus("g", A, 3, { at: NOON - S });
    const after = handStatus("g", A, 3, { at: NOON + S });
    const entry = { epoch: A, received: [], accepted: 3 };
    expect(expectedLedger([anew], [before])[1]).toEqual({
      gateway: "g",
      ...entry,
      declared_lost: [],
      missing: [[1, 3]],
      duplicates: 0,
      closed: true,
    });
    expect(expectedLedger([anew], [after])[1]).toMatchObject({ ...entry, missing: [] });
  });
});

describe("comparison of ledgers", () => {
  const journal = new HandJournal();
  const records: JournalRecord[] = [journal.opening(), journal.loss(4), journal.heartbeat()];
  const [entry] = expectedLedger(records) as [LedgerEntry];

  test("what agrees has no differences, in whatever order its members stand", () => {
    const turned = Object.fromEntries(Object.entries(entry).reverse()) as unknown as LedgerEntry;
    expect(compareLedger([entry], [turned])).toEqual([]);
    expect(compareLedger([entry], [{ ...entry, closed: false }])).toEqual([]);
  });

  test.each<Partial<LedgerEntry>>([
    { received: [[1, 4]] },
    { declared_lost: [] },
    { missing: [[2, 2]] },
    { duplicates: 1 },
    { accepted: 6 },
    { closed: true },
    { first_received: 1 },
    { last_received: 1 },
  ])("%j is found", (change) => {
    const actual = { ...entry, ...change };
    expect(compareLedger([entry], [actual])).toEqual([
      { kind: "different", key: `g/${A}`, expected: entry, actual },
    ]);
  });

  test("entries that are missing, unexpected or there twice are found", () => {
    expect(compareLedger([entry], []).map(({ kind }) => kind)).toEqual(["missing"]);
    expect(compareLedger([], [entry]).map(({ kind }) => kind)).toEqual(["unexpected"]);
    expect(compareLedger([entry], [entry, entry]).map(({ kind }) => kind)).toEqual(["twice"]);
  });
});
