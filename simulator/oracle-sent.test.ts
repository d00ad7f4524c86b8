import { describe, expect, test } from "vitest";
import type { JournalRecord } from "./oracle-journal.ts";
import { promisedRecognitions } from "./oracle-redelivery.ts";
import { checkSent, type SentReading, type SentWrite } from "./oracle-sent.ts";
import { HandJournal, NOON } from "./test-support/oracle-records.ts";

/** A device's readings as they were written, and the journal in which they were stored. */
class Sender {
  readonly journal = new HandJournal();
  readonly sent: SentReading[] = [];
  readonly records: JournalRecord[] = [this.journal.opening()];
  connection = 1;
  #order = 0;

  write(more: Partial<SentWrite> = {}): SentWrite {
    this.#order += 1;
    const { connection } = this;
    const first = { qos: 1, messageId: this.#order, dup: false, fresh: true } as const;
    return { connection, order: this.#order, ...first, ...more };
  }

  /** @param stored how often it stands in the journal */
  read(value: number, more: Partial<SentReading> & { stored?: number } = {}): SentReading {
    const { stored = 1, ...fields } = more;
    const reading: SentReading = {
      gateway: "g",
      device: "d",
      time: NOON + value,
      metrics: { t: value, on: true },
      writes: [this.write()],
      acknowledged: true,
      ...fields,
    };
    this.sent.push(reading);
    for (let times = 0; times < stored; times += 1) this.store(reading);
    return reading;
  }

  store({ device, metrics, time }: SentReading): void {
    this.records.push(this.journal.reading(device, metrics, time === undefined ? {} : { time }));
  }

  check(options = {}) {
    return checkSent(this.sent, this.records, options);
  }
}

const GOOD = { ok: true, missing: [], surplus: [], changed: [], unknown: [], order: [] };

describe("what devices sent", () => {
  test("all there, once, under ids that came twice; what was not acknowledged may be absent or there", () => {
    const sender = new Sender();
    sender.read(1);
    sender.read(2, { acknowledged: false });
    sender.read(3, { acknowledged: false, stored: 0 });
    const alike = { time: undefined, metrics: { t: 5 } };
    for (const _ of [1, 2, 3]) sender.read(5, alike);
    sender.records.push(...sender.records.slice(2));
    expect(sender.check()).toEqual({
      ...GOOD,
      sent: 6,
      acknowledged: 4,
      arrived: 5,
      repeated: 0,
      declaredLost: 0,
    });
  });

  test("a planted loss is found, one of several that are alike too", () => {
    const sender = new Sender();
    const lost = sender.read(1, { stored: 0 });
    sender.read(2);
    expect(sender.check()).toMatchObject({ ok: false, missing: [lost] });
    const alike = new Sender();
    for (const stored of [1, 0, 1]) alike.read(5, { time: undefined, stored });
    expect(alike.check().missing).toHaveLength(1);
  });

  test("a declared loss explains as many absences as it has positions, of its own gateway", () => {
    const sender = new Sender();
    sender.read(1, { stored: 0 });
    sender.read(2, { stored: 0 });
    sender.records.push(sender.journal.loss(3));
    sender.read(3);
    expect(sender.check()).toMatchObject({ ...GOOD, declaredLost: 2 });
    sender.read(4, { stored: 0 });
    expect(sender.check()).toMatchObject({ ok: false });
    expect(sender.check().missing).toHaveLength(3);
    const other = new Sender();
    other.read(1, { stored: 0 });
    other.records.push(new HandJournal("h").loss(9));
    expect(other.check().missing).toHaveLength(1);
  });

  test("a reading that stands there more often than it was sent as a message is found", () => {
    const sender = new Sender();
    sender.read(1, { stored: 2 });
    expect(sender.check()).toMatchObject({ ok: false, surplus: [{ times: 2 }] });
    const twice = new Sender();
    twice.read(1, { writes: [twice.write(), twice.write()], stored: 2 });
    expect(twice.check()).toMatchObject({ ...GOOD, arrived: 2, repeated: 1 });
  });

  test("a repeat may be stored, but not where it must be recognised", () => {
    const sender = new Sender();
    const again = sender.write({ messageId: 1, dup: true, fresh: false });
    sender.read(1, { writes: [sender.write(), again], stored: 2 });
    expect(sender.check()).toMatchObject({ ...GOOD, repeated: 1 });
    expect(sender.check({ recognised: new Set([again]) })).toMatchObject({
      ok: false,
      surplus: [{ times: 2 }],
    });
  });

  test("another value, and what nobody sent", () => {
    const sender = new Sender();
    const reading = sender.read(1, { stored: 0 });
    sender.store({ ...reading, metrics: { t: 1.5, on: true } });
    expect(sender.check()).toMatchObject({
      ok: false,
      missing: [reading],
      changed: [{ reading, stored: { metrics: { t: 1.5 } } }],
    });
    const stranger = new Sender();
    stranger.store({ ...reading, device: "x" });
    expect(stranger.check()).toMatchObject({ ok: false, unknown: [{ device: "x" }] });
  });

  test("readings of one connection stand in the order of their sending, those of two in any", () => {
    const sender = new Sender();
    const first = sender.read(1, { stored: 0 });
    const second = sender.read(2, { stored: 0 });
    sender.store(second);
    sender.store(first);
    expect(sender.check()).toMatchObject({ ok: false, order: [{ first, second }] });
    const apart = new Sender();
    const one = apart.read(1, { stored: 0 });
    apart.connection = 2;
    apart.store(apart.read(2, { stored: 0 }));
    apart.store(one);
    expect(apart.check()).toMatchObject(GOOD);
  });
});

describe("repeats that must be recognised", () => {
  /** One reading sent twice with DUP, and what was sent between. */
  function promised(more: Partial<SentWrite>, persistent: boolean, between: Partial<SentWrite>[]) {
    const sender = new Sender();
    const first = sender.write({ qos: more.qos ?? 1 });
    for (const one of between) sender.read(9, { writes: [sender.write(one)] });
    const again = sender.write({ messageId: 1, dup: true, fresh: false, ...more });
    sender.read(1, { writes: [first, again] });
    return promisedRecognitions(sender.sent, persistent).has(again);
  }

  test("at QoS 1 in a persistent session, over this connection or the next, within 64 publishes", () => {
    expect(promised({}, true, [])).toBe(true);
    expect(promised({ connection: 2 }, true, [])).toBe(true);
    expect(promised({}, true, new Array(62).fill({}))).toBe(true);
    expect(promised({}, false, [])).toBe(false);
    expect(promised({ connection: 3 }, true, [])).toBe(false);
    expect(promised({}, true, new Array(64).fill({}))).toBe(false);
    expect(promised({}, true, [{ messageId: 1 }])).toBe(false);
    expect(promised({ messageId: 2 }, true, [])).toBe(false);
  });

  test("at QoS 2 on one connection, and over any in a persistent session", () => {
    expect(promised({ qos: 2 }, false, [])).toBe(true);
    expect(promised({ qos: 2, connection: 2 }, false, [])).toBe(false);
    expect(promised({ qos: 2, connection: 5 }, true, new Array(99).fill({}))).toBe(true);
  });

  test("a second message on purpose is none of them, its repeat is", () => {
    const sender = new Sender();
    const writes = [sender.write(), sender.write(), sender.write({ messageId: 2 })].map(
      (write, at) => ({ ...write, dup: at === 2, fresh: at < 2 }),
    );
    sender.read(1, { writes });
    expect([...promisedRecognitions(sender.sent, true)]).toEqual([writes[2]]);
  });
});
