/** The checker, checked: each fault that it is there to find is planted once, and what is right passes. */
import { describe, expect, test } from "vitest";
import type { JournalEvent, JournalLoss, JournalReading } from "./journal.ts";
import { judge, judgeCounts } from "./oracle.ts";
import { contentOf, type SentReading } from "./publisher.ts";

const gateway = "gw-1";

/** Readings 1…count, in turn by two devices, acknowledged, written once. */
function readings(count: number): SentReading[] {
  return Array.from({ length: count }, (_, i) => ({
    n: i + 1,
    device: i % 2 === 0 ? "a" : "b",
    writes: 1,
    acknowledged: true,
  }));
}

function event({ n, device }: SentReading, sequence: number, epoch = "e1"): JournalReading {
  return { type: "reading", gateway, epoch, sequence, device, content: contentOf(n) };
}

function loss(from: number, to: number, epoch = "e1"): JournalLoss {
  return { type: "loss", gateway, epoch, sequence: to, from, to, reason: "damage" };
}

function start(epoch: string, previous?: { epoch: string; highest: number }): JournalEvent {
  const at = { type: "epoch", gateway, epoch, sequence: 1, reason: "first-start" } as const;
  return previous ? { ...at, previous } : at;
}

/** The journal of these readings: reading n has the sequence n + 1. */
function journalOf(sent: readonly SentReading[]): JournalEvent[] {
  return [start("e1"), ...sent.map((reading) => event(reading, reading.n + 1))];
}

function without(journal: readonly JournalEvent[], from: number, to: number): JournalEvent[] {
  return journal.filter(({ sequence }) => sequence < from || sequence > to);
}

describe("what is right passes", () => {
  const sent = readings(20);

  test("everything there", () => {
    expect(judge(sent, journalOf(sent))).toMatchObject({
      faults: [],
      acknowledged: 20,
      arrived: 20,
      lost: 0,
      declared: 0,
    });
  });

  test("a batch that came twice", () => {
    const journal = journalOf(sent);
    const verdict = judge(sent, [...journal, ...journal.slice(5, 9)]);
    expect(verdict).toMatchObject({ faults: [], redelivered: 4, resent: 0 });
  });

  test("what the device itself sent twice", () => {
    const twice = sent.map((one) => (one.n === 7 ? { ...one, writes: 2 } : one));
    const seventh = sent[6];
    if (!seventh) throw new Error("no seventh");
    const verdict = judge(twice, [...journalOf(sent), event(seventh, 22)]);
    expect(verdict).toMatchObject({ faults: [], resent: 1 });
  });

  test("a loss that is declared in its place", () => {
    const verdict = judge(sent, [...without(journalOf(sent), 5, 8), loss(5, 8)]);
    expect(verdict).toMatchObject({ faults: [], declared: 4, arrived: 16, overdeclared: 0 });
  });

  test("the end of an epoch declared, and a new one behind it", () => {
    const head = without(journalOf(sent.slice(0, 10)), 8, 99);
    const tail = sent.slice(10).map((one, i) => event(one, i + 2, "e2"));
    const verdict = judge(sent, [
      ...head,
      loss(8, 11),
      start("e2", { epoch: "e1", highest: 11 }),
      ...tail,
    ]);
    expect(verdict).toMatchObject({ faults: [], declared: 4, epochs: ["e1", "e2"] });
  });

  test("what was not acknowledged may be there or not", () => {
    const open = sent.map((one) => (one.n > 18 ? { ...one, acknowledged: false } : one));
    expect(judge(open, journalOf(sent)).faults).toEqual([]);
    expect(judge(open, journalOf(sent.slice(0, 18))).faults).toEqual([]);
    expect(judge(open, [...journalOf(sent.slice(0, 18)), loss(20, 21)]).faults).toEqual([]);
  });
});

describe("planted faults are found", () => {
  const sent = readings(20);
  const journal = journalOf(sent);
  const faultsOf = (events: readonly JournalEvent[], of = sent) => judge(of, events).faults.join();

  test("a reading that is lost without a hole, at the end and in the middle", () => {
    expect(judge(sent, journalOf(sent.slice(0, 19)))).toMatchObject({ lost: 1 });
    const closed = sent.filter(({ n }) => n !== 9).map((one, i) => event(one, i + 2));
    const verdict = judge(sent, [start("e1"), ...closed]);
    expect(verdict.lost).toBe(1);
    expect(verdict.faults.join()).toMatch(/lost without a word: 9 of a/);
  });

  test("a hole", () => {
    const faults = faultsOf(without(journal, 5, 8));
    expect(faults).toMatch(/lost without a word: 4 of b; 5 of a; 6 of b and 1 more/);
    expect(faults).toMatch(/no such sequences.*e1 5–8/);
  });

  test("a changed value, another's value, a reading that nobody sent", () => {
    for (const content of [{ ...contentOf(9), v: 1 }, contentOf(10), contentOf(99), {}]) {
      const changed = journal.map((one) =>
        one.type === "reading" && one.sequence === 10 ? { ...one, content } : one,
      );
      expect(faultsOf(changed)).toMatch(/nothing that was sent: e1-10 of a/);
    }
  });

  test("one id with two contents", () => {
    const other = journal[5];
    if (other?.type !== "reading") throw new Error("no reading");
    expect(faultsOf([...journal, { ...other, sequence: 9 }])).toMatch(/one id with two contents/);
  });

  test("a reading that counts twice and was sent once", () => {
    const double = event({ ...sent[4], n: 5, device: "a", writes: 1, acknowledged: true }, 22);
    expect(judge(sent, [...journal, double]).faults).toEqual([
      "more often than sent: 5 is there 2 times, 1 sent",
    ]);
  });

  test("a loss that is declared in the wrong place", () => {
    // As many as are missing, but of sequences that can never have been the missing readings'.
    const moved = [...without(journal, 5, 8), loss(22, 25)];
    expect(judge(sent, moved)).toMatchObject({ lost: 4 });
  });

  test("a loss that is declared too small", () => {
    const verdict = judge(sent, [...without(journal, 5, 8), loss(5, 7)]);
    expect(verdict.lost).toBe(1);
    expect(verdict.faults.join()).toMatch(/e1 8–8/);
  });

  test("a loss that is declared too large, over what is there", () => {
    const verdict = judge(sent, [...without(journal, 5, 8), loss(5, 10)]);
    expect(verdict.faults.join()).toMatch(/there all the same: 2/);
  });

  test("a loss that is declared beyond what was ever sent", () => {
    expect(faultsOf([...journal, loss(22, 900)])).toMatch(/beyond what was ever sent: 879/);
  });

  test("an epoch whose end is claimed and not there", () => {
    const claimed = [...journal, start("e2", { epoch: "e1", highest: 23 })];
    expect(faultsOf(claimed)).toMatch(/e1 22–23/);
  });

  test("rollups that count one reading twice, or not at all", () => {
    const counts = (a: number, b: number) =>
      new Map([
        ["a", a],
        ["b", b],
      ]);
    expect(judgeCounts([...journal, ...journal], counts(10, 10))).toEqual([]);
    expect(judgeCounts(journal, counts(11, 10))).toEqual(["a: 11 counted, 10 there"]);
    expect(judgeCounts(journal, counts(10, 9))).toEqual(["b: 9 counted, 10 there"]);
  });
});
