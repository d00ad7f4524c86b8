import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RejectedRecord, Rollup } from "../events/schema.ts";
import type { StoredRecord } from "../stream/port.ts";
import { rollupTopology } from "./rollups.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function driver(keepHours = { "1m": 48, "1h": 24 * 400 }, commitInputs = 1) {
  const { events, rollups, rejected } = NAMES;
  return new TopologyTestDriver(
    rollupTopology({ events, rollups, rejected, changelog: "changelog", keepHours }),
    { commitInputs },
  );
}

const windows = (run: TopologyTestDriver) => run.latest<Rollup>(NAMES.rollups);

test("readings come to one window of a minute and one of an hour for each series", () => {
  const run = driver();
  const journal = new TestJournal("gw-one", "0000000001", { stepMs: 20_000 });
  run.records([
    journal.reading("a", { t: 1, open: true, note: "text" }),
    journal.reading("a", { t: 4 }),
    journal.reading("a", { t: -2 }),
    journal.reading("a", { t: 10 }),
  ]);
  expect(windows(run).get(`gw-one/a/t/1m/${NOON}`)).toEqual({
    gateway: "gw-one",
    device: "a",
    metric: "t",
    resolution: "1m",
    window: NOON,
    count: 3,
    min: -2,
    max: 4,
    sum: 3,
    revision: 3,
  });
  expect(windows(run).get(`gw-one/a/t/1m/${NOON + 60_000}`)).toMatchObject({ count: 1, sum: 10 });
  expect(windows(run).get(`gw-one/a/t/1h/${NOON}`)).toMatchObject({ count: 4, min: -2, max: 10 });
  expect(windows(run).size).toBe(3);
});

test("what comes twice counts once, whole batches, between others and over epochs", () => {
  const run = driver(undefined, 5);
  const one = new TestJournal("gw-one", "0000000001");
  const two = new TestJournal("gw-one", "0000000002");
  const batch = Array.from({ length: 10 }, () => one.reading("a", { t: 1 }));
  const other = Array.from({ length: 10 }, () => two.reading("a", { t: 1 }));
  run.records([...batch, ...batch, ...other, ...batch, ...other]);
  run.records(batch.flatMap((record, i) => [record, other[i] as StoredRecord]));
  expect(windows(run).get(`gw-one/a/t/1h/${NOON}`)).toMatchObject({ count: 20, sum: 20 });
});

test("a late reading changes the window it belongs to", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.reading("a", { t: 5 }),
    journal.reading("a", { t: 7 }, { time: NOON - 20 * DAY, clock: "device" }),
    journal.reading("a", { t: 9 }, { time: NOON - 20 * DAY + 1, clock: "device" }),
    journal.reading("a", { t: 6 }),
  ]);
  expect(windows(run).get(`gw-one/a/t/1h/${NOON}`)).toMatchObject({ count: 2, sum: 11 });
  expect(windows(run).get(`gw-one/a/t/1h/${NOON - 20 * DAY}`)).toMatchObject({ count: 2, sum: 16 });
});

test("beyond what is kept a reading is refused with a record, and its window never begins anew", () => {
  const run = driver({ "1m": 2, "1h": 48 });
  const journal = new TestJournal();
  const old = NOON - 3 * DAY;
  run.records([journal.reading("a", { t: 1 }, { time: old })]);
  expect(windows(run).size).toBe(2);
  run.records([journal.reading("a", { t: 2 })]);
  // Both windows fell out of what is kept. The leap may be a clock's mistake: nothing is deleted yet.
  expect(windows(run).size).toBe(4);
  run.records([
    journal.reading("a", { t: 3, u: 5 }, { time: old }),
    journal.reading("a", { t: 4 }, { time: NOON - DAY }),
  ]);
  expect(windows(run).get(`gw-one/a/t/1h/${old}`)).toMatchObject({ count: 1, sum: 1 });
  // Another series of the same reading is new and has nothing to fall out of.
  expect(windows(run).get(`gw-one/a/u/1h/${old}`)).toMatchObject({ count: 1, sum: 5 });
  expect(windows(run).get(`gw-one/a/t/1h/${NOON - DAY}`)).toMatchObject({ count: 1, sum: 4 });
  expect(windows(run).has(`gw-one/a/t/1m/${NOON - DAY}`)).toBe(false);
  const told = run.events<RejectedRecord>(NAMES.rejected);
  expect(told.map((one) => [one.offset, one.code])).toEqual([
    [2, "too_late"],
    [3, "too_late"],
  ]);
  expect(told[0]?.message).toContain("1m, 1h of t");
  expect(told[1]?.message).toContain("1m of t");
  // A day later they are gone from topic and state.
  for (const hour of [20, 25, 26]) {
    journal.now = NOON + hour * HOUR;
    run.records([journal.reading("a", { t: 2 })]);
  }
  expect([...windows(run).keys()].filter((key) => key.endsWith(`/${old}`))).toHaveLength(2);
  expect(windows(run).has(`gw-one/a/t/1h/${old}`)).toBe(false);
  const number = Math.floor(old / HOUR);
  expect(run.state.has(`1m/gw-one/a/t/${number}`)).toBe(false);
  expect(run.state.has(`1m/gw-one/a/u/${number}`)).toBe(false);
});

test("state is bounded by what is kept, however long a series lives or is silent", () => {
  const packs = (run: TopologyTestDriver, resolution: string) =>
    [...run.state.keys()].filter((key) => key.startsWith(`${resolution}/`)).length;
  const inTopic = (run: TopologyTestDriver, resolution: string) =>
    [...windows(run).values()].filter((one) => one.resolution === resolution).length;
  const run = driver({ "1m": 2, "1h": 5 }, 100);
  const journal = new TestJournal("gw-one", "0000000001", { stepMs: 60_000 });
  for (let hour = 0; hour < 40; hour++) {
    run.records(Array.from({ length: 60 }, () => journal.reading("a", { t: hour })));
    expect(packs(run, "1m")).toBeLessThanOrEqual(2);
    expect(packs(run, "1h")).toBeLessThanOrEqual(2);
  }
  expect(inTopic(run, "1m")).toBe(120);
  // Hours go by whole days.
  expect(inTopic(run, "1h")).toBe(24 + 4);
  // 90 hours of minutes at once are more than one step may delete: the rest goes as the series lives on.
  const wide = driver({ "1m": 90, "1h": 5 }, 1000);
  const long = new TestJournal("gw-one", "0000000001", { stepMs: 600_000 });
  wide.records(Array.from({ length: 540 }, () => long.reading("a", { t: 1 })));
  expect(packs(wide, "1m")).toBe(90);
  long.now += 365 * DAY;
  wide.records([long.reading("a", { t: 1 })]);
  wide.records(Array.from({ length: 144 }, () => long.reading("a", { t: 1 })));
  // A day after the leap.
  expect(packs(wide, "1m")).toBe(90 + 24);
  wide.records(Array.from({ length: 30 }, () => long.reading("a", { t: 1 })));
  expect(packs(wide, "1m")).toBe(29);
  expect(inTopic(wide, "1m")).toBe(175);
});

test("a series that speaks once a week, each time a leap, keeps no more than a bounded number of windows", () => {
  const run = driver({ "1m": 2, "1h": 24 }, 100);
  const journal = new TestJournal("gw-one", "0000000001", { stepMs: 7 * DAY });
  run.records(Array.from({ length: 300 }, () => journal.reading("a", { t: 1 })));
  const keys = [...run.state.keys()];
  expect(keys.filter((key) => key.startsWith("1m/")).length).toBeLessThanOrEqual(51);
  expect(keys.filter((key) => key.startsWith("1h/")).length).toBeLessThanOrEqual(50);
});

test("none from the future, none that cannot be read", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.reading("a", { t: 1 }, { time: NOON + 2 * DAY }),
    journal.record("tidegate.reading", new Uint8Array([0xff])),
    journal.record("tidegate.reading", null),
    journal.heartbeat(),
    journal.reading("a", { t: 8 }, { time: NOON + DAY }),
  ]);
  expect([...windows(run).values()].map((one) => [one.resolution, one.window])).toEqual([
    ["1m", NOON + DAY],
    ["1h", NOON + DAY],
  ]);
  expect(run.events<RejectedRecord>(NAMES.rejected).map((one) => [one.offset, one.code])).toEqual([
    [0, "in_future"],
    [1, "not_cbor"],
    [2, "no_value"],
  ]);
});

test("a gateway's clock that is years ahead for an hour does not end its series: true readings count on, and again", () => {
  const run = driver();
  const journal = new TestJournal();
  const ahead = (ms: number) => ({ received: ms, sent: ms });
  const later = NOON + 10 * 365 * DAY;
  run.records([
    journal.reading("a", { t: 1 }, ahead(NOON)),
    journal.reading("a", { t: 2 }, ahead(later)),
    journal.reading("a", { t: 3 }, ahead(later + HOUR)),
    journal.reading("a", { t: 4 }, ahead(NOON + 1000)),
    journal.reading("a", { t: 5 }, ahead(NOON + HOUR)),
    journal.reading("a", { t: 6 }, ahead(later + 1000)),
    journal.reading("a", { t: 7 }, ahead(NOON + HOUR + 1000)),
    journal.reading("a", { t: 8 }, ahead(NOON + 2000)),
  ]);
  const hour = (window: number) => windows(run).get(`gw-one/a/t/1h/${window}`);
  expect(run.events(NAMES.rejected)).toEqual([]);
  expect(hour(NOON)).toMatchObject({ count: 3, sum: 13 });
  expect(hour(NOON + HOUR)).toMatchObject({ count: 2, sum: 12 });
  expect(hour(later)).toMatchObject({ count: 2, sum: 8 });
  expect(hour(later + HOUR)).toMatchObject({ count: 1, sum: 3 });
  expect(windows(run).get(`gw-one/a/t/1m/${NOON}`)).toMatchObject({ count: 3, sum: 13 });
});

test("a clock that was half a year behind, then ten years ahead, then right: every window stays for a day", () => {
  const run = driver();
  const journal = new TestJournal();
  const times = [NOON - 180 * DAY, NOON + 3650 * DAY, NOON, NOON + 2 * HOUR, NOON + 23 * HOUR];
  run.records(times.map((at) => journal.reading("a", { t: 1 }, { received: at, sent: at })));
  expect(run.events(NAMES.rejected)).toEqual([]);
  for (const resolution of ["1m", "1h"]) {
    const kept = [...windows(run).values()].filter((one) => one.resolution === resolution);
    expect(kept.map((one) => one.window).toSorted()).toEqual(times.toSorted());
  }
});

test("a gateway whose clock was never set says nothing against the device's time", () => {
  const run = driver();
  const journal = new TestJournal("gw-one", "0000000001", { now: 60_000 });
  run.records([journal.reading("a", { t: 1 }, { time: NOON, clock: "device" })]);
  expect(windows(run).has(`gw-one/a/t/1h/${NOON}`)).toBe(true);
  expect(run.events(NAMES.rejected)).toEqual([]);
});

test("a sum beyond what a number holds stays the largest number, and the window is told on", () => {
  const run = driver();
  const journal = new TestJournal();
  const values = [1e308, 1e308, 5, -1e308];
  run.records(values.map((t) => journal.reading("a", { t })));
  expect(windows(run).get(`gw-one/a/t/1m/${NOON}`)).toMatchObject({
    count: 4,
    min: -1e308,
    max: 1e308,
    sum: Number.MAX_VALUE - 1e308,
  });
  run.records([1, 2, 3].map(() => journal.reading("b", { t: -1e308 })));
  expect(windows(run).get(`gw-one/b/t/1h/${NOON}`)).toMatchObject({ sum: -Number.MAX_VALUE });
});

test("names with a slash stay apart", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([journal.reading("a/b", { c: 1 }), journal.reading("a", { "b/c": 2 })]);
  expect([...windows(run).values()].map((one) => [one.device, one.metric, one.sum])).toEqual([
    ["a/b", "c", 1],
    ["a/b", "c", 1],
    ["a", "b/c", 2],
    ["a", "b/c", 2],
  ]);
});

describe("against a naive computation", () => {
  const reading = fc.record({
    device: fc.constantFrom("a", "b"),
    gateway: fc.constantFrom("gw-one", "gw-two"),
    // CBOR's shortest form of -0 is 0.
    value: fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map((value) => value + 0),
    // Within what is kept, so that every reading counts.
    lateMs: fc.integer({ min: 0, max: 5 * HOUR }),
  });

  test("any readings, duplicated and late in any way, in commits of any size", () => {
    fc.assert(
      fc.property(
        fc.array(reading, { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        fc.integer({ min: 1, max: 20 }),
        (readings, again, commitInputs) => {
          const journals = new Map(
            ["gw-one", "gw-two"].map((name) => [name, new TestJournal(name)] as const),
          );
          const records = readings.map((one) =>
            (journals.get(one.gateway) as TestJournal).reading(
              one.device,
              { t: one.value },
              { time: NOON - one.lateMs },
            ),
          );
          const sent = [...records];
          for (const at of again) {
            sent.splice(at % (sent.length + 1), 0, records[at % records.length] as StoredRecord);
          }
          const run = driver({ "1m": 24, "1h": 24 }, commitInputs);
          run.records(sent);

          // In the order in which each was sent first: floating sums depend on it.
          const model = new Map<string, number[]>();
          for (const record of new Set(sent)) {
            const one = readings[records.indexOf(record)] as (typeof readings)[number];
            for (const [resolution, ms] of [
              ["1m", 60_000],
              ["1h", HOUR],
            ] as const) {
              const window = Math.floor((NOON - one.lateMs) / ms) * ms;
              const key = `${one.gateway}/${one.device}/t/${resolution}/${window}`;
              model.set(key, [...(model.get(key) ?? []), one.value]);
            }
          }
          const got = [...windows(run)].map(([key, { count, min, max, sum }]) => [
            key,
            { count, min, max, sum },
          ]);
          const wanted = [...model].map(([key, values]) => [
            key,
            {
              count: values.length,
              min: Math.min(...values),
              max: Math.max(...values),
              sum: values.reduce((a, b) => a + b),
            },
          ]);
          expect(Object.fromEntries(got)).toEqual(Object.fromEntries(wanted));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("the topic shows the state whatever a commit holds, through late readings and leaps of a clock", () => {
    const keepHours = { "1m": 3, "1h": 30 };
    const reading = fc.record({
      device: fc.constantFrom("a", "b"),
      value: fc.integer({ min: -9, max: 9 }),
      stepMs: fc.oneof(fc.nat(90_000), fc.constant(-80 * DAY), fc.constant(80 * DAY)),
      lateMs: fc.oneof(fc.constant(0), fc.nat(5 * HOUR), fc.nat(60 * HOUR)),
    });
    fc.assert(
      fc.property(
        fc.array(reading, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 2, max: 70 }),
        (readings, commitInputs) => {
          const journal = new TestJournal();
          const records = readings.map(({ device, value, stepMs, lateMs }) => {
            journal.now += stepMs;
            const time = journal.now - lateMs;
            return journal.reading(device, { t: value }, { time, clock: "device" });
          });
          const one = driver(keepHours);
          const many = driver(keepHours, commitInputs);
          one.records(records);
          many.records(records);
          const told = (run: TopologyTestDriver) => Object.fromEntries(windows(run));
          expect(told(many)).toEqual(told(one));
          const gone = many.outputs.filter(({ event }) => event === null);
          for (const { key } of gone)
            expect(one.outputs.some((each) => each.key === key)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a window is told once for a commit that changed it, and not again when it closes", () => {
    const run = driver(undefined, 100);
    const journal = new TestJournal("gw-one", "0000000001", { stepMs: 1000 });
    const told = (count: number) =>
      run.records(Array.from({ length: count }, () => journal.reading("a", { t: 1 })));
    expect(told(60).map((one) => one.key)).toHaveLength(2);
    expect(told(30).map((one) => one.key)).toEqual([
      `gw-one/a/t/1m/${NOON + 60_000}`,
      `gw-one/a/t/1h/${NOON}`,
    ]);
    expect(told(30)).toHaveLength(2);
  });

  test("readings later than what is kept are refused, and what is there is never a window begun anew", () => {
    const keepHours = { "1m": 3, "1h": 30 };
    const late = fc.record({
      device: fc.constantFrom("a", "b"),
      value: fc.integer({ min: -9, max: 9 }),
      forwardMs: fc.oneof(fc.nat(60_000), fc.nat(2 * HOUR), fc.constant(40 * HOUR)),
      lateMs: fc.oneof(fc.constant(0), fc.nat(5 * HOUR), fc.nat(60 * HOUR)),
    });
    fc.assert(
      fc.property(
        fc.array(late, { minLength: 1, maxLength: 80 }),
        fc.integer({ min: 1, max: 9 }),
        (readings, commitInputs) => {
          const run = driver(keepHours, commitInputs);
          const journal = new TestJournal();
          const newest = new Map<string, number>();
          const model = new Map<string, { hour: number; series: string; values: number[] }>();
          let refused = 0;
          const records = readings.map((one) => {
            journal.now += one.forwardMs;
            const time = journal.now - one.lateMs;
            const hour = Math.floor(time / HOUR);
            let taken = true;
            for (const [resolution, ms] of [
              ["1m", 60_000],
              ["1h", HOUR],
            ] as const) {
              const series = `gw-one/${one.device}/t/${resolution}`;
              newest.set(series, Math.max(newest.get(series) ?? hour, hour));
              if (hour <= (newest.get(series) ?? 0) - keepHours[resolution]) {
                taken = false;
                continue;
              }
              const key = `${series}/${Math.floor(time / ms) * ms}`;
              const window = model.get(key) ?? { hour, series, values: [] };
              window.values.push(one.value);
              model.set(key, window);
            }
            if (!taken) refused += 1;
            return journal.reading(one.device, { t: one.value }, { time, clock: "device" });
          });
          run.records(records);
          const got = windows(run);
          for (const [key, { count, sum, min, max }] of got) {
            const values = model.get(key)?.values ?? [];
            expect({ key, count, sum: sum + 0, min: min + 0, max: max + 0 }).toEqual({
              key,
              count: values.length,
              sum: values.reduce((a, b) => a + b, 0),
              min: Math.min(...values) + 0,
              max: Math.max(...values) + 0,
            });
          }
          for (const [key, { hour, series }] of model) {
            const keep = keepHours[series.endsWith("1m") ? "1m" : "1h"];
            if (hour > (newest.get(series) ?? 0) - keep) expect(got.has(key)).toBe(true);
          }
          expect(run.events(NAMES.rejected)).toHaveLength(refused);
        },
      ),
      { numRuns: 300 },
    );
  });
});
