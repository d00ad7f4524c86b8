import { describe, expect, test } from "vitest";
import { compareRollups } from "./oracle.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import { expectedFromJournals, type KeptRollup } from "./oracle-rollups.ts";
import { HandJournal, NOON } from "./test-support/oracle-records.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const KEEP = { "1m": 2, "1h": 24 };

/** `hours from noon: values' count, sum`, and what is not surely kept. */
function hours(records: JournalRecord[], resolution = "1h", keep = KEEP): string[] {
  return expectedFromJournals(records, keep)
    .rollups.filter((one) => one.resolution === resolution)
    .map(({ window, count, sum, kept }) => {
      const words = `${(window - NOON) / HOUR}: ${count}, ${sum}`;
      return kept === "yes" ? words : `${words} ${kept}`;
    });
}

const refused = (records: JournalRecord[], keep = KEEP) =>
  expectedFromJournals(records, keep).refused.map(({ offset, code }) => `${offset} ${code}`);

function at(journal: HandJournal, ms: number, t: number): JournalRecord {
  journal.now = NOON + ms;
  return journal.reading("d", { t, on: true });
}

describe("expected rollups of journals", () => {
  test("each event once, by the device's time or the gateway's", () => {
    const journal = new HandJournal();
    const records = [
      at(journal, 0, 1),
      at(journal, HOUR, 2),
      journal.reading("d", { t: 4 }, { time: NOON + 1, clock: "device" }),
    ];
    expect(hours([...records, ...records])).toEqual(["0: 2, 5", "1: 1, 2"]);
    expect(refused(records)).toEqual([]);
  });

  test("late by more than is kept is refused, once for a reading, and its window may be gone", () => {
    const journal = new HandJournal();
    const late = (back: number) => journal.reading("d", { t: 9, u: 9 }, { time: NOON - back });
    const records = [at(journal, 0, 1), at(journal, HOUR, 2), at(journal, 2 * HOUR, 3)];
    journal.now = NOON + 2 * HOUR;
    records.push(late(HOUR), late(-HOUR));
    // Metric u is new: nothing of it has fallen out.
    expect(hours(records)).toEqual([
      "0: 1, 1",
      "1: 2, 11",
      "2: 1, 3",
      "-1: 1, 9",
      "-1: 1, 9",
      "1: 1, 9",
    ]);
    expect(hours(records, "1m")).toEqual([
      "0: 1, 1 no",
      "1: 2, 11",
      "2: 1, 3",
      "-1: 1, 9 no",
      "1: 1, 9",
    ]);
    expect(refused(records)).toEqual(["3 too_late"]);
  });

  test("more than a day ahead of every clock is refused, up to a day counts", () => {
    const journal = new HandJournal();
    const ahead = (ms: number) => journal.reading("d", { t: 1 }, { time: journal.now + ms });
    expect(refused([ahead(DAY), ahead(DAY + 1)])).toEqual(["1 in_future"]);
    journal.now = 60_000;
    expect(refused([ahead(900 * DAY)])).toEqual([]);
  });

  test("readings without a time wait for their boot's clock event, and are refused where another boot begins", () => {
    const journal = new HandJournal();
    const unknown = (t: number, uptime: number, boot: string) =>
      journal.reading("d", { t }, { received: 5, clock: "unsynced", boot, uptime });
    const clock = (boot: string, offset: number) =>
      journal.event("clock", { ...journal.stamp(), boot, offset, reason: "synced" });
    const records = [unknown(1, 100, "a"), unknown(2, 200, "a"), journal.reading("d", { t: 3 })];
    records[2] = { ...(records[2] as JournalRecord), data: undefined, fault: "schema" };
    const waiting = expectedFromJournals(records, KEEP);
    expect([...waiting.waiting]).toEqual([["g", 2]]);
    expect(waiting.rollups).toEqual([]);
    records.push(clock("a", NOON - 50), unknown(4, HOUR, "a"), unknown(8, 300, "b"));
    expect(hours(records)).toEqual(["0: 3, 7"]);
    records.push(unknown(16, 1, "c"), clock("c", NOON + HOUR));
    expect(hours(records)).toEqual(["0: 3, 7", "1: 1, 16"]);
    expect(refused(records)).toEqual(["5 no_time"]);
    expect(expectedFromJournals(records, KEEP).waiting.size).toBe(0);
    const truths = journal.reading("d", { on: true }, { clock: "unsynced", boot: "d" });
    expect(expectedFromJournals([truths], KEEP)).toMatchObject({ refused: [], rollups: [] });
  });

  test("no more than 30,000 readings of a gateway wait", () => {
    const journal = new HandJournal();
    const unknown = (gateway: HandJournal) =>
      gateway.reading("d", { t: 1 }, { received: 5, clock: "unsynced", boot: "a" });
    const records = Array.from({ length: 30_001 }, () => unknown(journal));
    records.push(unknown(new HandJournal("h")));
    expect(refused(records)).toEqual(["30000 no_time"]);
    expect([...expectedFromJournals(records, KEEP).waiting.values()]).toEqual([30_000, 1]);
  });

  test("a clock years ahead does not end a series, and lets nothing go before it has gone on for a day", () => {
    const journal = new HandJournal();
    const gone = 900 * DAY;
    const records = [at(journal, 0, 1), at(journal, gone, 2), at(journal, HOUR, 3)];
    expect(hours(records)).toEqual(["0: 1, 1", `${gone / HOUR}: 1, 2`, "1: 1, 3"]);
    expect(refused(records)).toEqual([]);
    const stays = [at(journal, 0, 1), at(journal, gone, 2), at(journal, gone + DAY, 2)];
    expect(hours([...stays, at(journal, 0, 3)])).toEqual([
      "0: 2, 4 unsure",
      `${gone / HOUR}: 1, 2 unsure`,
      `${gone / HOUR + 24}: 1, 2`,
    ]);
  });
});

describe("comparison with what is kept", () => {
  const journal = new HandJournal();
  const [one] = expectedFromJournals([at(journal, 0, 1), at(journal, 1, 2)], KEEP).rollups as [
    KeptRollup,
  ];
  const { kept: _, ...actual } = one;
  const less = { ...actual, count: 1, max: 1, sum: 1 };
  const kinds = (kept: KeptRollup["kept"], found: (typeof actual)[]) =>
    compareRollups([{ ...one, kept }], found).map(({ kind }) => kind);

  test("what is kept must be there, what fell out may be gone but not begin anew", () => {
    expect(kinds("yes", [actual])).toEqual([]);
    expect(kinds("yes", [])).toEqual(["missing"]);
    expect(kinds("no", [])).toEqual([]);
    expect(kinds("no", [actual])).toEqual([]);
    expect(kinds("no", [less])).toEqual(["different"]);
    expect(kinds("unsure", [less])).toEqual([]);
    expect(kinds("unsure", [{ ...actual, count: 3 }])).toEqual(["different"]);
  });

  test("windows that nobody expects, or twice", () => {
    expect(compareRollups([], [actual]).map(({ kind }) => kind)).toEqual(["unexpected"]);
    expect(kinds("yes", [actual, actual])).toEqual(["twice"]);
  });
});
