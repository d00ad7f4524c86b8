import { describe, expect, test } from "vitest";
import { compareAlerts, expectedAlerts, matches, type OracleRule } from "./oracle-alerts.ts";
import type { JournalRecord } from "./oracle-journal.ts";
import { HandJournal, NOON } from "./test-support/oracle-records.ts";

const S = 1000;
const MINUTE = 60 * S;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const warm: OracleRule = {
  name: "warm",
  metric: "t",
  when: { direction: "above", threshold: 5 },
  forMs: 0,
  freshnessMs: HOUR,
  device: "*",
  gateway: "*",
  severity: "critical",
};

/** `seconds state episode`, in short: since when, and whether historical or never fired. */
function told(records: JournalRecord[], rule: Partial<OracleRule> = {}): string[] {
  return expectedAlerts(records, [{ ...warm, ...rule }]).map((one) => {
    const words = [
      (one.changed - NOON) / S,
      one.state,
      one.value,
      `since ${(one.since - NOON) / S}`,
      ...(one.historical ? ["historical"] : []),
      ...(one.fired === false ? ["never fired"] : []),
    ];
    return words.join(" ");
  });
}

/** Readings of one device, at seconds after noon, by its own clock. */
function values(journal: HandJournal, ...points: [second: number, t: number][]): JournalRecord[] {
  return points.map(([second, t]) => {
    journal.now = NOON + second * S;
    return journal.reading("d", { t }, { time: journal.now, clock: "device" });
  });
}

function beat(journal: HandJournal, second: number): JournalRecord {
  journal.now = NOON + second * S;
  return journal.heartbeat();
}

describe("expected alerts", () => {
  test("the whole of a change", () => {
    const journal = new HandJournal("g", "000000000a");
    expect(expectedAlerts(values(journal, [0, 6], [60, 5]), [warm])).toEqual([
      {
        alert: "warm@g/d/t",
        episode: "000000000a-1",
        rule: "warm",
        gateway: "g",
        device: "d",
        metric: "t",
        state: "firing",
        severity: "critical",
        threshold: 5,
        value: 6,
        since: NOON,
        changed: NOON,
        historical: false,
      },
      expect.objectContaining({ state: "resolved", value: 5, fired: true, changed: NOON + MINUTE }),
    ]);
  });

  test("strictly above, at once; a batch that came twice and a late reading change nothing", () => {
    const journal = new HandJournal();
    const records = values(journal, [0, 5], [10, 6], [20, 7], [30, 5], [15, 9]);
    expect(told([...records, ...records])).toEqual([
      "10 firing 6 since 10",
      "30 resolved 5 since 10",
    ]);
  });

  test("for is over with the reading that comes at its end, in the device's time", () => {
    const journal = new HandJournal();
    const records = values(journal, [0, 6], [59, 7], [60, 8], [70, 1], [80, 6], [90, 1]);
    expect(told(records, { forMs: MINUTE })).toEqual([
      "0 pending 6 since 0",
      "60 firing 8 since 0",
      "70 resolved 1 since 0",
      "80 pending 6 since 80",
      "90 resolved 1 since 80 never fired",
    ]);
  });

  test("a sensor that spoke once is carried on by its gateway's heartbeats, not by another's", () => {
    const offsets = { next: 0 };
    const journal = new HandJournal("g", "000000000a", offsets);
    const other = new HandJournal("h", "000000000a", offsets);
    const records = [
      ...values(journal, [0, 6]),
      beat(other, 500),
      beat(journal, 59),
      ...values(journal, [59.5, 7]),
      beat(journal, 60),
      beat(journal, 70),
    ];
    expect(told(records, { forMs: MINUTE })).toEqual([
      "0 pending 6 since 0",
      "60 firing 7 since 0",
    ]);
  });

  test("a firing alert ends where clear holds, a pending one where when does not", () => {
    const journal = new HandJournal();
    const rule: Partial<OracleRule> = { clear: { direction: "below", threshold: 3 } };
    const records = values(journal, [0, 6], [10, 4], [20, 3], [30, 2], [40, 6]);
    expect(told(records, rule)).toEqual([
      "0 firing 6 since 0",
      "30 resolved 2 since 0",
      "40 firing 6 since 40",
    ]);
    expect(told(records, { ...rule, forMs: MINUTE })[1]).toBe("10 resolved 4 since 0 never fired");
  });

  test("what was older than the freshness is historical; a fresh reading makes it fire again, once", () => {
    const journal = new HandJournal();
    const late = (second: number, t: number, sent: number) =>
      journal.reading("d", { t }, { time: NOON + second * S, sent: NOON + sent * S });
    const records = [late(0, 6, 3601), late(10, 7, 3610), late(20, 8, 3700), late(200, 9, 3700)];
    expect(told(records)).toEqual(["0 firing 6 since 0 historical", "10 firing 7 since 0"]);
    expect(told([...records.slice(0, 1), late(30, 1, 9999)])[1]).toBe(
      "30 resolved 1 since 0 historical",
    );
  });

  test("without any time the order of the journal counts, as current, and for goes by the boot clock", () => {
    const journal = new HandJournal();
    const unknown = (t: number, uptime: number, boot = "b") =>
      journal.reading("d", { t }, { received: 5, clock: "unsynced", boot, uptime, sent: NOON });
    const records = [unknown(6, 5), unknown(7, 59_000), unknown(8, 60_005)];
    expect(told(records, { forMs: MINUTE })).toEqual(["0 pending 6 since 0", "0 firing 8 since 0"]);
    const rebooted = [
      unknown(1, 1),
      unknown(6, 5),
      unknown(6, 59_999, "c"),
      unknown(6, 60_000, "c"),
    ];
    expect(told(rebooted, { forMs: MINUTE })).toEqual([
      "0 pending 6 since 0",
      "0 firing 6 since 0",
    ]);
  });

  test("over a reboot a clock that was wrong before makes nothing fire early, and keeps nothing for ever", () => {
    const first = (more: object) => {
      const journal = new HandJournal();
      const reading = journal.reading("d", { t: 6 }, { sent: NOON, ...more });
      journal.boot = "boot-2";
      journal.bootedAt = NOON;
      return [reading, beat(journal, 59), beat(journal, 60)];
    };
    const wanted = ["60 firing 6 since 0"];
    const unset = first({ received: 5, time: NOON, clock: "device" });
    expect(told(unset, { forMs: MINUTE }).slice(1)).toEqual(wanted);
    const ahead = told(first({ received: NOON + 900 * DAY }), { forMs: MINUTE });
    expect(ahead[1]).toMatch(/^60 firing 6/);
    expect(ahead).toHaveLength(2);
  });

  test("a device far ahead of every clock is shown at the time of arrival, and makes nothing after it late", () => {
    const journal = new HandJournal();
    const ahead = journal.reading("d", { t: 6 }, { time: NOON + 900 * DAY, clock: "device" });
    expect(told([ahead, ...values(journal, [10, 1])])).toEqual([
      "0 firing 6 since 0",
      "10 resolved 1 since 0",
    ]);
  });

  test("texts and truths alert nobody, nor do other devices", () => {
    const journal = new HandJournal();
    const records = [journal.reading("d", { t: "hot" }), journal.reading("d", { t: true })];
    expect(told(records)).toEqual([]);
    expect(told(values(journal, [9, 9]), { device: "e*" })).toEqual([]);
    expect(told(values(journal, [9, 9]), { gateway: "?", device: "*d*" })).toHaveLength(1);
  });
});

test.each([
  ["*", "", true],
  ["**", "a", true],
  ["a*", "abc", true],
  ["a*c", "abcbc", true],
  ["a*c", "abcb", false],
  ["a?c", "abc", true],
  ["?", "\u{1F321}", true],
  ["a.c", "abc", false],
  ["", "", true],
  ["", "a", false],
  ["gw-[12]", "gw-1", false],
])("the glob %j and %j", (glob, text, wanted) => {
  expect(matches(glob, text)).toBe(wanted);
});

describe("comparison of alerts", () => {
  const journal = new HandJournal();
  const expected = expectedAlerts(values(journal, [0, 6], [10, 1], [20, 6]), [warm]);
  const [first, second, third] = expected as [
    (typeof expected)[number],
    (typeof expected)[number],
    (typeof expected)[number],
  ];

  test("what agrees has no differences, whatever else the events say", () => {
    const more = expected.map((one) => ({ ...one, message: "warm", condition: "t above 5" }));
    expect(compareAlerts(expected, more, more.slice(2))).toEqual([]);
  });

  test("changes that are missing, unexpected, out of order or different", () => {
    const kinds = (history: typeof expected, state = third) =>
      compareAlerts(expected, history, [state]).map(({ kind }) => kind);
    expect(kinds([first, second])).toEqual(["missing"]);
    expect(kinds([first, second, third, third])).toEqual(["unexpected"]);
    expect(kinds([second, first, third])).toEqual(["different"]);
    const changes: Partial<typeof first>[] = [
      { episode: "x" },
      { since: 1 },
      { changed: 1 },
      { historical: true },
      { value: 7 },
      { severity: "info" },
    ];
    for (const change of changes) {
      expect(kinds([{ ...first, ...change }, second, third])).toEqual(["different"]);
    }
    expect(kinds([first, { ...second, fired: false }, third])).toEqual(["different"]);
  });

  test("a state that is not the last change, is not there, or has no history", () => {
    const kinds = (states: typeof expected) =>
      compareAlerts(expected, expected, states).map(({ kind }) => kind);
    expect(kinds([second])).toEqual(["state"]);
    expect(kinds([])).toEqual(["state"]);
    expect(kinds([third, { ...third, alert: "other" }])).toEqual(["state"]);
  });
});
