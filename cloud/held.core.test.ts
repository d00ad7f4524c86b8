import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RejectedRecord, Rollup } from "../events/schema.ts";
import type { StoredRecord } from "../stream/port.ts";
import { MOST_HELD, MOST_TAKEN } from "./held.core.ts";
import { rollupTopology } from "./rollups.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";

const HOUR = 3_600_000;

function driver(commitInputs = 1) {
  const { events, rollups, rejected } = NAMES;
  const keepHours = { "1m": 48, "1h": 24 * 400 };
  return new TopologyTestDriver(
    rollupTopology({ events, rollups, rejected, changelog: "changelog", keepHours }),
    { commitInputs },
  );
}

/** A gateway whose wall clock shows 1970 until it is told the time. */
class Unset {
  readonly journal: TestJournal;
  boot = "boot-1";
  uptime = 0;
  constructor(gateway = "gw-one") {
    this.journal = new TestJournal(gateway);
  }
  #stamp() {
    this.uptime += 1000;
    return {
      received: this.uptime,
      clock: "unsynced",
      boot: this.boot,
      uptime: this.uptime,
    } as const;
  }
  reading(value: number): StoredRecord {
    return this.journal.reading("a", { t: value, note: "text" }, this.#stamp());
  }
  heartbeat(): StoredRecord {
    return this.journal.heartbeat(this.#stamp());
  }
  /** The time is known: uptime 0 was then. */
  set(boot: number, before?: number): StoredRecord {
    const stamp = { ...this.#stamp(), received: boot + this.uptime, clock: "synced" as const };
    const reason = before === undefined ? ("synced" as const) : ("stepped" as const);
    const past = before === undefined ? {} : { before };
    return this.journal.event("tidegate.clock", { ...stamp, offset: boot, ...past, reason });
  }
  reboot(): void {
    this.boot = `${this.boot}+`;
    this.uptime = 0;
  }
}

const windows = (run: TopologyTestDriver) => run.latest<Rollup>(NAMES.rollups);
const hour = (run: TopologyTestDriver, window: number) =>
  windows(run).get(`gw-one/a/t/1h/${window}`);
const refused = (run: TopologyTestDriver) =>
  run.events<RejectedRecord>(NAMES.rejected).map(({ offset, code }) => [offset, code]);
const held = (run: TopologyTestDriver) =>
  [...run.state.keys()].filter((key) => key.startsWith("held/gw-one/"));

describe("readings that came before their gateway knew the time", () => {
  test("are in no window until it is told, then in the right one, once", () => {
    const run = driver();
    const gateway = new Unset();
    const before = [1, 2, 3].map((value) => gateway.reading(value));
    run.records([...before, ...before, gateway.heartbeat()]);
    expect(windows(run).size).toBe(0);
    const set = gateway.set(NOON);
    run.records([set, set, ...before]);
    expect(hour(run, NOON)).toMatchObject({ count: 3, sum: 6 });
    expect(windows(run).get(`gw-one/a/t/1m/${NOON}`)).toMatchObject({ count: 3 });
    expect(held(run)).toEqual([]);
    // One that was on its way when the clock event was written is placed at once.
    run.records([gateway.reading(4)]);
    expect(hour(run, NOON)).toMatchObject({ count: 4, sum: 10 });
    expect(refused(run)).toEqual([]);
  });

  test("of a boot that ended without a clock event are refused with a record each, those of the next boot wait", () => {
    const run = driver();
    const gateway = new Unset();
    run.records([gateway.reading(1), gateway.reading(2)]);
    gateway.reboot();
    run.records([gateway.reading(3)]);
    expect(refused(run)).toEqual([
      [0, "no_time"],
      [1, "no_time"],
    ]);
    run.records([gateway.set(NOON)]);
    expect(hour(run, NOON)).toMatchObject({ count: 1, sum: 3 });
    expect(held(run)).toEqual([]);
  });

  test("wait for each gateway apart", () => {
    const run = driver();
    const one = new Unset();
    const two = new Unset("gw-two");
    run.records([one.reading(1), two.reading(2), one.set(NOON), two.set(NOON + HOUR)]);
    expect(hour(run, NOON)).toMatchObject({ count: 1, sum: 1 });
    expect(windows(run).get(`gw-two/a/t/1h/${NOON + HOUR}`)).toMatchObject({ count: 1, sum: 2 });
  });

  test("what has no number to count does not wait, nor what has the device's time", () => {
    const run = driver();
    const gateway = new Unset();
    const stamp = { clock: "unsynced", received: 5, uptime: 5 } as const;
    run.records([
      gateway.journal.reading("a", { note: "text", open: true }, stamp),
      gateway.journal.reading("a", { t: 1 }, { ...stamp, clock: "device", time: NOON }),
    ]);
    expect(held(run)).toEqual([]);
    expect(hour(run, NOON)).toMatchObject({ count: 1 });
  });

  test("leave in slices with whatever comes next, so that no step takes long", () => {
    const run = driver(100);
    const gateway = new Unset();
    const many = MOST_TAKEN + 10;
    run.records(Array.from({ length: many }, () => gateway.reading(1)));
    run.records([gateway.set(NOON)]);
    expect(hour(run, NOON)).toMatchObject({ count: MOST_TAKEN });
    expect(held(run)).toHaveLength(10);
    run.records([gateway.heartbeat()]);
    expect(hour(run, NOON)).toMatchObject({ count: many });
    expect(held(run)).toEqual([]);
  });

  test("are bounded: what comes beyond is refused with a record", () => {
    const run = driver(1000);
    const gateway = new Unset();
    run.records(Array.from({ length: MOST_HELD + 2 }, () => gateway.reading(1)));
    expect(refused(run)).toEqual([
      [MOST_HELD, "no_time"],
      [MOST_HELD + 1, "no_time"],
    ]);
    expect(held(run)).toHaveLength(MOST_HELD);
  });

  test("a clock event that cannot be read is refused with a record", () => {
    const run = driver();
    run.records([new TestJournal().record("tidegate.clock", new Uint8Array([0xff]))]);
    expect(refused(run)).toEqual([[0, "not_cbor"]]);
  });
});

test("whatever comes in what order and how often: each reading is in its window once or refused once", () => {
  const step = fc.constantFrom("reading", "reading", "reading", "beat", "set", "reboot", "again");
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      (steps, commit) => {
        const run = driver(commit);
        const gateway = new Unset();
        const sent: StoredRecord[] = [];
        let boots = 0;
        let readings = 0;
        const expected = new Map<number, number>();
        let waiting = 0;
        let known: number | undefined;
        let lost = 0;
        for (const kind of steps) {
          if (kind === "again") {
            run.records(sent.slice(-5));
            continue;
          }
          if (kind === "reboot") {
            gateway.reboot();
            boots += 1;
            known = undefined;
            lost += waiting;
            waiting = 0;
            sent.push(gateway.heartbeat());
          } else if (kind === "set") {
            known = NOON + boots * HOUR;
            expected.set(known, (expected.get(known) ?? 0) + waiting);
            waiting = 0;
            sent.push(gateway.set(known));
          } else if (kind === "beat") sent.push(gateway.heartbeat());
          else {
            readings += 1;
            if (known === undefined) waiting += 1;
            else expected.set(known, (expected.get(known) ?? 0) + 1);
            sent.push(gateway.reading(readings));
          }
          run.records([sent.at(-1) as StoredRecord]);
        }
        const counts = [...expected].filter(([, count]) => count > 0);
        const actual = [...windows(run).values()]
          .filter((one) => one.resolution === "1h")
          .map((one) => [one.window, one.count]);
        expect(actual.toSorted()).toEqual(counts.toSorted());
        expect(refused(run)).toHaveLength(lost);
        expect(held(run)).toHaveLength(waiting);
      },
    ),
    { numRuns: 200 },
  );
});
