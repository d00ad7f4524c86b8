import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Rollup } from "../events/schema.ts";
import type { StoredRecord, Topology } from "../stream/port.ts";
import { rollupRebuild } from "./rollup-rebuild.core.ts";
import { rollupTopology } from "./rollups.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";
import { rebuilt, seenIn } from "./test-support/rebuild.ts";
import type { Open } from "./windows.core.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const KEEP = { "1m": 48, "1h": 24 * 400 };

function topology(keepHours = KEEP): Topology {
  const { events, rollups, rejected } = NAMES;
  return rollupTopology({ events, rollups, rejected, changelog: "changelog", keepHours });
}

/** What came of the records, as a run that was never disturbed has it. */
function run(records: readonly StoredRecord[], of = topology()): TopologyTestDriver {
  const driver = new TopologyTestDriver(of, { commitInputs: 7 });
  driver.records(records);
  return driver;
}

const view = (driver: TopologyTestDriver) => driver.latest<Rollup>(NAMES.rollups);

/** One moment of a journal: how long after the one before, and when the device says that it was. */
interface Step {
  readonly gateway: 0 | 1;
  readonly device: "a" | "b";
  readonly afterMs: number;
  readonly shiftMs: number;
  /** So many records of the gateway are sent again, whole. */
  readonly again: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  gateway: fc.constantFrom(0, 1),
  device: fc.constantFrom("a", "b"),
  afterMs: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 10 * MINUTE }) },
    { weight: 1, arbitrary: fc.integer({ min: HOUR, max: 2 * DAY }) },
  ),
  shiftMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: -3 * DAY, max: 0 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: DAY }) },
    { weight: 1, arbitrary: fc.integer({ min: -60 * DAY, max: -3 * DAY }) },
  ),
  again: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  ),
});

function history(steps: readonly Step[]): StoredRecord[] {
  const offsets = { next: 0 };
  const journals = ["gw-one", "gw-two"].map(
    (name) => new TestJournal(name, "0000000001", { stepMs: 0, offsets }),
  );
  const own: StoredRecord[][] = [[], []];
  const records: StoredRecord[] = [];
  let now = NOON;
  for (const [i, { gateway, device, afterMs, shiftMs, again }] of steps.entries()) {
    now += afterMs;
    const journal = journals[gateway] as TestJournal;
    journal.now = now;
    const time = shiftMs === 0 ? {} : { time: now + shiftMs };
    // Exact in binary: where a batch that was sent twice is cut, sums are added in another order.
    const record = journal.reading(device, { t: (i % 17) / 4 }, time);
    const mine = own[gateway] as StoredRecord[];
    mine.push(record);
    records.push(record);
    for (const one of again > 0 ? mine.slice(-again) : []) {
      records.push({ ...one, offset: offsets.next++, timestamp: now });
    }
  }
  return records;
}

const histories = fc.array(step, { minLength: 1, maxLength: 60 }).map(history);

describe("with the whole history", () => {
  test("nothing is emitted where nothing is different", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (records) => {
        const { changed, outputs } = await rebuilt(
          rollupRebuild(topology(), KEEP),
          run(records).state,
          records,
        );
        expect({ changed, outputs }).toEqual({ changed: [], outputs: [] });
      }),
    );
  });

  test("whatever the live state is, state and topic end as a fresh run's", async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 3 })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(histories, damage, async (records, damages) => {
        const fresh = run(records);
        const live = new TopologyTestDriver(topology(), { state: damaged(fresh.state, damages) });
        const before = new Map<string, unknown>(shown(live.state));
        const now = await rebuilt(rollupRebuild(topology(), KEEP), live.state, records);
        expect(sorted(now.state)).toEqual(sorted(fresh.state));
        expect(sorted(seenIn(before, NAMES.rollups, now.outputs))).toEqual(sorted(view(fresh)));
      }),
    );
  });

  test("changed code takes over, and what comes later follows it", async () => {
    const records = history(
      Array.from({ length: 40 }, (_, i) => ({
        gateway: 0,
        device: "a",
        afterMs: 7 * HOUR,
        shiftMs: i % 5 === 4 ? -26 * HOUR : 0,
        again: 0,
      })),
    );
    const wider = topology({ "1m": 24 * 30, "1h": 24 * 400 });
    const live = run(records.slice(0, 30));
    const now = await rebuilt(
      rollupRebuild(wider, { "1m": 24 * 30, "1h": 24 * 400 }),
      live.state,
      records.slice(0, 30),
    );
    const fresh = run(records, wider);
    const on = new TopologyTestDriver(wider, { state: now.state });
    const outputs = on.records(records.slice(30));
    const seen = seenIn(view(live), NAMES.rollups, [...now.outputs, ...outputs]);
    expect(sorted(seen)).toEqual(sorted(view(fresh)));
    expect(sorted(on.state)).toEqual(sorted(fresh.state));
  });

  test("shorter keeping than the processors' deletes nothing, longer brings back", async () => {
    const journal = new TestJournal("gw-one", "0000000001", { stepMs: 5 * HOUR });
    const records = Array.from({ length: 30 }, () => journal.reading("a", { t: 1 }));
    const live = run(records);
    const short = { "1m": 10, "1h": 24 };
    const now = await rebuilt(rollupRebuild(topology(short), short), live.state, records);
    expect(now.outputs).toEqual([]);
    expect(sorted(now.state)).toEqual(sorted(live.state));
    const long = { "1m": 1000, "1h": 24 * 400 };
    const more = await rebuilt(rollupRebuild(topology(long), long), live.state, records);
    expect(sorted(more.state)).toEqual(sorted(run(records, topology(long)).state));
  });
});

describe("where the beginning is gone", () => {
  test("nothing that is right is changed, wherever the cut is, and what comes later counts as if nothing had been", async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(), fc.nat(), async (records, a, b) => {
        const [cut, end] = [a % (records.length + 1), b % (records.length + 1)];
        const kept = records.slice(Math.min(cut, end), end);
        const live = run(records.slice(0, end));
        const now = await rebuilt(rollupRebuild(topology(), KEEP), live.state, kept);
        const before = sorted(view(live));
        expect(sorted(seenIn(view(live), NAMES.rollups, now.outputs))).toEqual(before);
        const on = new TopologyTestDriver(topology(), { state: now.state });
        const rest = on.records(records.slice(end));
        const seen = seenIn(view(live), NAMES.rollups, [...now.outputs, ...rest]);
        expect(sorted(seen)).toEqual(sorted(view(run(records))));
      }),
      { numRuns: 300 },
    );
  });

  test("what begins a day behind the cut is the made one, what is before that stays", async () => {
    const records = history(
      Array.from({ length: 100 }, () => ({
        gateway: 0 as const,
        device: "a" as const,
        afterMs: HOUR,
        shiftMs: 0,
        again: 0,
      })),
    );
    const fresh = run(records);
    // Every window counts one reading too many, or has a wrong sum.
    const counted = damaged(fresh.state, [[0, 1]]);
    const cut = 30;
    const now = await rebuilt(rollupRebuild(topology(), KEEP), counted, records.slice(cut));
    const seen = seenIn(shown(counted), NAMES.rollups, now.outputs) as Map<string, Rollup>;
    const at = (index: number) =>
      seen.get(`gw-one/a/t/1h/${Math.floor((NOON + (index + 1) * HOUR) / HOUR) * HOUR}`)?.count;
    expect([at(0), at(cut - 1)]).toEqual([2, 2]);
    // In the day behind the cut a reading sent before it may have its window.
    expect(at(cut + 5)).toBe(2);
    expect([at(cut + 25), at(98)]).toEqual([1, 1]);
  });

  test("an old batch that is sent again after the switch still counts once", async () => {
    const journal = new TestJournal("gw-one");
    const records = Array.from({ length: 20 }, () => journal.reading("a", { t: 1 }));
    const live = run(records);
    const now = await rebuilt(rollupRebuild(topology(), KEEP), live.state, records.slice(15));
    const on = new TopologyTestDriver(topology(), { state: now.state });
    expect(on.records(records)).toEqual([]);
  });

  test("a late reading that is the replay's first of a series makes no leap of the next one", async () => {
    const journal = new TestJournal("gw-one");
    const records = [
      journal.reading("a", { t: 1 }),
      // Two days back, and taken: the series goes on from where it was.
      journal.reading("a", { t: 2 }, { time: NOON - 40 * HOUR }),
      journal.reading("a", { t: 3 }),
    ];
    const live = run(records);
    const now = await rebuilt(rollupRebuild(topology(), KEEP), live.state, records.slice(1));
    expect(sorted(now.state)).toEqual(sorted(live.state));
  });

  test("a series that was silent since the cut keeps all it has", async () => {
    const journal = new TestJournal("gw-one");
    const old = Array.from({ length: 20 }, () => journal.reading("silent", { t: 1 }));
    const recent = Array.from({ length: 20 }, () => journal.reading("a", { t: 1 }));
    const live = run([...old, ...recent]);
    const now = await rebuilt(rollupRebuild(topology(), KEEP), live.state, recent);
    expect(now.outputs).toEqual([]);
    expect(sorted(now.state)).toEqual(sorted(live.state));
  });
});

/** In the order of the keys, packs as windows in order: what a state says, not how it came to it. */
function sorted(map: ReadonlyMap<string, unknown>) {
  return [...map]
    .map(([key, value]): [string, unknown] => {
      if (!/^1[mh]\//.test(key)) return [key, value];
      const pack = value as readonly number[];
      const windows = Array.from({ length: pack.length / 5 }, (_, i) =>
        pack.slice(i * 5, i * 5 + 5),
      );
      return [key, windows.sort(([x = 0], [y = 0]) => x - y)];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A state that a bug, or a disk, has spoilt: aggregates, lost windows, windows that never were. */
function damaged(
  state: ReadonlyMap<string, unknown>,
  damages: readonly (readonly [number, number])[],
): Map<string, unknown> {
  const spoilt = new Map(state);
  for (const [which, how] of damages) {
    const keys = [...spoilt.keys()].filter((key) => /^(1[mh]|open)\//.test(key));
    const some = how === 1 ? keys : keys.slice(which % keys.length).slice(0, 1);
    for (const key of some) {
      const value = spoilt.get(key);
      if (how === 0) spoilt.delete(key);
      else if (key.startsWith("open/")) spoilt.set(key, worse(value as Open));
      else
        spoilt.set(
          key,
          (value as number[]).map((one, i) => (i % 5 === 1 ? one + 1 : one)),
        );
    }
  }
  return spoilt;
}

function worse(open: Open): Open {
  const more = (one: Open["1m"] | undefined) =>
    one && ([one[0], one[1] + 1, ...one.slice(2)] as unknown as Open["1m"]);
  return Object.fromEntries(
    Object.entries(open).map(([resolution, one]) => [resolution, more(one)]),
  ) as unknown as Open;
}

/** What the topic has of a state, as its processor would have shown it. */
function shown(state: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const commit = {
    was: () => undefined,
    now: (key: string) => state.get(key),
    last: { topic: "", partition: 0, offset: 0, timestamp: 0 },
  };
  const outputs = [...state].flatMap(
    ([key, now]) => topology().show?.({ key, was: undefined, now }, commit) ?? [],
  );
  return seenIn(new Map(), NAMES.rollups, outputs);
}
