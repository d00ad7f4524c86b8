import { describe, expect, test } from "vitest";
import { auditJournal } from "./oracle-audit.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import { HandJournal, handStatus } from "./test-support/oracle-records.ts";

const A = "000000000a";
const B = "000000000b";

/** Six events; 3 to 5 are one declared loss. */
function whole(journal = new HandJournal()): JournalRecord[] {
  return [
    journal.opening(),
    journal.reading("d", { t: 1 }),
    journal.loss(5),
    journal.reading("d", { t: 2 }),
  ];
}

const kinds = (records: JournalRecord[], statuses: JournalRecord[] = [], options = {}) =>
  auditJournal(records, statuses, options).faults.map(({ kind }) => kind);

describe("the audit of a journal", () => {
  test("a whole journal, a batch that came twice under the same ids, a tick between", () => {
    const records = whole();
    const tick = { ...records[0], type: "tidegate.tick", headers: {} } as JournalRecord;
    const audit = auditJournal([...records, tick, ...records.slice(1)], [handStatus("g", A, 8)]);
    expect(audit.faults).toEqual([]);
    expect(audit.gateways.get("g")).toEqual([
      {
        epoch: A,
        reason: "first-start",
        highest: 6,
        accepted: 8,
        events: 3,
        duplicates: 3,
        declared: [[3, 5]],
        missing: [],
        onTheWay: 2,
      },
    ]);
  });

  test("a loss that grew after it was sent is another event", () => {
    const journal = new HandJournal();
    const records = [journal.opening(), journal.loss(4), journal.loss(7, 2)];
    expect(auditJournal(records)).toMatchObject({ faults: [] });
    expect(auditJournal(records).gateways.get("g")).toMatchObject([{ declared: [[2, 7]] }]);
  });

  test("what a damaged buffer declares lost although it had been sent has arrived", () => {
    const journal = new HandJournal();
    const records = [journal.opening(), journal.heartbeat(), journal.loss(2, 1)];
    expect(auditJournal(records)).toMatchObject({ faults: [] });
    expect(auditJournal(records).gateways.get("g")).toMatchObject([{ declared: [], events: 2 }]);
  });

  test("a hole is missing, one at the end only where nothing is on its way any more", () => {
    const records = whole();
    expect(auditJournal(records.toSpliced(1, 1)).faults).toMatchObject([
      { kind: "missing", gateway: "g", epoch: A, ranges: [[2, 2]] },
    ]);
    const claims = [handStatus("g", A, 9)];
    expect(kinds(records, claims)).toEqual([]);
    expect(auditJournal(records, claims, { still: true }).faults).toMatchObject([
      { kind: "missing", ranges: [[7, 9]] },
    ]);
  });

  test("an id with two contents, and an event under another's key or partition", () => {
    const records = whole();
    const [, second] = records as [JournalRecord, JournalRecord];
    const changed = { ...second, data: { ...(second.data as object), metrics: { t: 9 } } };
    expect(kinds([...records, changed])).toEqual(["changed"]);
    expect(kinds([...records, { ...second, partition: 1 }])).toEqual(["partition"]);
    expect(kinds([...records, { ...second, key: "h" }])).toEqual(["unreadable"]);
    expect(kinds([...records, { ...second, data: undefined, fault: "schema" }])).toEqual([
      "unreadable",
      "changed",
    ]);
  });

  test("an event behind one that was accepted later, or behind the next epoch", () => {
    const journal = new HandJournal();
    const [opening, one, two] = [
      journal.opening(),
      journal.reading("d", { t: 1 }),
      journal.heartbeat(),
    ];
    const next = new HandJournal("g", B).opening({ epoch: A, highest: 3 }, "salvage");
    expect(kinds([opening, one, two, next])).toEqual([]);
    expect(kinds([opening, two, one, next])).toEqual(["order"]);
    expect(kinds([opening, one, next, two])).toEqual(["order"]);
    expect(kinds([opening, one, two, next, two])).toEqual([]);
  });

  test("damage is declared again where it is damaged again, also of an epoch that was left; what was full is not", () => {
    const declared = (reason: string, from: number, later = 0) => {
      const journal = new HandJournal();
      journal.now += later;
      journal.sequence = 3;
      return journal.event("loss", { ...journal.stamp(), from, to: 4, reason });
    };
    const journal = new HandJournal();
    const [opening, one] = [journal.opening(), journal.reading("d", { t: 1 })];
    const next = new HandJournal("g", B).opening({ epoch: A, highest: 4 }, "salvage");
    const damaged = [declared("damage", 3), declared("damage", 2, 60_000)];
    expect(kinds([opening, one, ...damaged, next])).toEqual([]);
    expect(kinds([opening, one, damaged[0] as JournalRecord, next, ...damaged])).toEqual([]);
    const lost = auditJournal([opening, ...damaged, next]);
    expect(lost.faults).toEqual([]);
    expect(lost.gateways.get("g")?.[0]).toMatchObject({ declared: [[2, 4]] });
    const full = [declared("full", 3), declared("full", 3, 60_000)];
    expect(kinds([opening, one, ...full, next])).toEqual(["changed"]);
  });

  test("epochs go on from each other", () => {
    const begun = (epoch: string, highest: number) =>
      new HandJournal("g", B).opening({ epoch, highest }, "salvage");
    expect(kinds([...whole(), begun(A, 6)])).toEqual([]);
    expect(kinds([...whole(), begun(A, 5)])).toEqual(["epoch"]);
    expect(kinds([...whole(), begun(A, 8)])).toEqual(["missing"]);
    expect(kinds([...whole(), begun("000000000x", 0)])).toEqual(["epoch"]);
    expect(kinds([...whole(), new HandJournal("g", B).opening(undefined, "restored")])).toEqual([
      "epoch",
    ]);
    expect(kinds([new HandJournal().reading("d", { t: 1 })])).toEqual(["epoch"]);
    expect(
      kinds([...whole(), new HandJournal("h", B).opening({ epoch: A, highest: 1 }, "moved")]),
    ).toEqual([]);
    const elsewhere = { epoch: "000000000x", highest: 3, gateway: "g-copy" };
    expect(kinds([...whole(), new HandJournal("g", B).opening(elsewhere, "moved")])).toEqual([]);
  });

  test("what a status says was forwarded is there, and no status takes anything back", () => {
    expect(kinds(whole(), [handStatus("g", A, 6, { forwarded: 6 })])).toEqual([]);
    expect(kinds(whole(), [handStatus("g", A, 7, { forwarded: 7 })])).toEqual(["status"]);
    expect(kinds(whole(), [handStatus("g", A, 5, { forwarded: 6 })])).toEqual(["status"]);
    const back = [4, 3].map((forwarded) => handStatus("g", A, 6, { forwarded }));
    expect(kinds(whole(), back)).toEqual(["status"]);
  });
});
