import { describe, expect, test } from "vitest";
import { type ArrivedReading, checkLedger, parseLedger } from "./oracle-ledger.ts";

const HEADER = { t: "ledger", version: 2, kind: "fleet", options: {}, at: 0 };
const V = { t: "device", i: 0, d: "a", m: ["v"] };
const VW = { t: "device", i: 1, d: "a", m: ["v", "w"] };

function lines(...entries: object[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
}

const sent = (n: number, time: number | null, v: number) => ["s", n, 0, 0, time, v];
const ack = (...n: number[]) => ["a", 1, ...n];
const resent = (n: number) => ["r", n, 1];

/** Three acknowledged, of which 2 was written twice; 4 never acknowledged; 5 and 6 alike in everything. */
const LEDGER = parseLedger(
  lines(
    HEADER,
    VW,
    ["s", 1, 0, 1, 10, 1, true],
    ack(1),
    V,
    sent(2, 20, 2),
    resent(2),
    ack(2),
    sent(3, 30, 3),
    ack(3),
    sent(4, 40, 4),
    sent(5, 50, 5),
    sent(6, 50, 5),
    ack(5, 6),
    ["x", 1, 0, 2],
    { t: "end", at: 2, sent: 6, acknowledged: 5 },
  ),
);

function arrived(sequence: number, time: number, metrics: ArrivedReading["metrics"]) {
  return { id: `epoch-${sequence}`, gateway: "g", device: "a", time, metrics };
}

const GOOD = [
  arrived(1, 10, { w: true, v: 1 }),
  arrived(2, 20, { v: 2 }),
  arrived(3, 30, { v: 3 }),
  arrived(4, 50, { v: 5 }),
  arrived(5, 50, { v: 5 }),
];

describe("the ledger's check", () => {
  test("everything acknowledged is there: good, whatever became of the rest", () => {
    expect(checkLedger(LEDGER, GOOD)).toEqual({
      ok: true,
      sent: 6,
      acknowledged: 5,
      arrived: 5,
      resentArrived: 0,
      redelivered: 0,
      missing: [],
      surplus: [],
      changed: [],
      unknown: [],
    });
    expect(checkLedger(LEDGER, [...GOOD, arrived(6, 40, { v: 4 })])).toMatchObject({ ok: true });
  });

  test("a message written twice may stand there twice, a batch under the same ids any number of times", () => {
    expect(checkLedger(LEDGER, [...GOOD, arrived(6, 20, { v: 2 })])).toMatchObject({
      ok: true,
      resentArrived: 1,
    });
    expect(checkLedger(LEDGER, [...GOOD, ...GOOD.slice(2)])).toMatchObject({
      ok: true,
      arrived: 5,
      redelivered: 3,
    });
  });

  test("a planted loss is found", () => {
    const verdict = checkLedger(LEDGER, GOOD.toSpliced(2, 1));
    expect(verdict).toMatchObject({ ok: false, missing: [{ time: 30, metrics: { v: 3 } }] });
  });

  test("a planted loss of one of two that are alike is found", () => {
    const verdict = checkLedger(LEDGER, GOOD.slice(0, 4));
    expect(verdict).toMatchObject({ ok: false, missing: [{ time: 50 }] });
    expect(verdict.missing).toHaveLength(1);
  });

  test("a planted duplicate under a new id is found", () => {
    const verdict = checkLedger(LEDGER, [...GOOD, arrived(6, 10, { v: 1, w: true })]);
    expect(verdict).toMatchObject({ ok: false, surplus: [{ times: 2, message: { time: 10 } }] });
    const third = [arrived(6, 20, { v: 2 }), arrived(7, 20, { v: 2 })];
    expect(checkLedger(LEDGER, [...GOOD, ...third])).toMatchObject({
      ok: false,
      surplus: [{ times: 3 }],
    });
  });

  test("a planted wrong value is found, as changed and as missing", () => {
    const verdict = checkLedger(LEDGER, GOOD.with(2, arrived(3, 30, { v: 3.5 })));
    expect(verdict).toMatchObject({
      ok: false,
      missing: [{ time: 30 }],
      changed: [{ message: { metrics: { v: 3 } }, arrived: { metrics: { v: 3.5 } } }],
    });
  });

  test("a reading that nobody sent is found, and the same id of another gateway is another event", () => {
    expect(checkLedger(LEDGER, [...GOOD, arrived(6, 60, { v: 6 })])).toMatchObject({
      ok: false,
      unknown: [{ time: 60 }],
    });
    const other = { ...arrived(1, 10, { v: 1, w: true }), gateway: "h" };
    expect(checkLedger(LEDGER, [...GOOD, other])).toMatchObject({ ok: false, redelivered: 0 });
  });
});

describe("readings without a time of their own", () => {
  const timeless = parseLedger(
    lines(HEADER, V, sent(1, null, 7), sent(2, null, 7), ["f", 2, 1], ack(1, 2)),
  );
  const there = (sequence: number, v = 7) => ({
    ...arrived(sequence, 0, { v }),
    time: undefined,
  });

  test("are counted by device and content", () => {
    expect(checkLedger(timeless, [there(1), there(2)])).toMatchObject({ ok: true, arrived: 2 });
    expect(checkLedger(timeless, [there(1)])).toMatchObject({ ok: false, missing: [{}] });
    const more = [there(1), there(2), there(3)];
    expect(checkLedger(timeless, more)).toMatchObject({ ok: true, resentArrived: 1 });
    expect(checkLedger(timeless, [...more, there(4)])).toMatchObject({
      ok: false,
      surplus: [{ times: 4 }],
    });
    expect(checkLedger(timeless, [there(1), there(2), there(3, 8)])).toMatchObject({
      ok: false,
      unknown: [{ metrics: { v: 8 } }],
      changed: [],
    });
  });
});

describe("reading a ledger", () => {
  test("counts, and whether it came to its end", () => {
    expect(LEDGER).toMatchObject({ dropped: 2, complete: true, kind: "fleet", from: 0, to: 2 });
    expect(LEDGER.messages.map(({ writes }) => writes)).toEqual([1, 2, 1, 1, 1, 1]);
  });

  test("times are told from the beginning; one may have been measured at another", () => {
    const text = lines({ ...HEADER, at: 1000 }, V, ["s", 1, 5, 0, [-3, 4], 7], ["a", 9, 1]);
    expect(parseLedger(text)).toMatchObject({
      from: 1000,
      to: 1009,
      messages: [{ at: 1005, time: 997, metrics: { v: 7 }, acknowledged: true }],
    });
  });

  test("a line that a kill cut off is passed over, another one is not", () => {
    const text = lines(HEADER, V, sent(1, 10, 1));
    const torn = parseLedger(`${text}["a",`);
    expect(torn).toMatchObject({ complete: false, messages: [{ acknowledged: false }] });
    expect(() => parseLedger(`${text}["a",\n${lines(ack(1))}`)).toThrow();
  });

  test("what is no ledger, or speaks of what was never sent, is refused", () => {
    expect(() => parseLedger(lines({ t: "sent" }))).toThrow(/not a ledger of version 2/);
    expect(() => parseLedger(lines({ ...HEADER, version: 1 }))).toThrow(/version 2/);
    expect(() => parseLedger(lines(HEADER, ack(7)))).toThrow(/line 2: message 7 was never sent/);
    expect(() => parseLedger(lines(HEADER, sent(1, 1, 1)))).toThrow(/device 0 has no name/);
  });
});
