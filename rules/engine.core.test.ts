import fc from "fast-check";
import { expect, test } from "vitest";
import type { MetricValue } from "../events/schema.ts";
import { type AlertChange, evaluate, type Memory, passTime, withdraw } from "./engine.core.ts";
import { exceeds, type Rule } from "./rule.ts";

const T0 = 1_700_000_000_000;
const base: Rule = {
  name: "warm",
  metric: "t",
  when: { direction: "above", threshold: -15 },
  forMs: 0,
  freshnessMs: 3_600_000,
  device: "*",
  gateway: "*",
  severity: "warning",
  message: "",
};

/** A series under one rule, by script. Seconds since T0. */
class Script {
  memory: Memory | undefined;
  readonly told: string[] = [];
  readonly changes: AlertChange[] = [];
  readonly #rule: Rule;
  #events = 0;
  boot = "boot-1";
  constructor(rule: Partial<Rule> = {}) {
    this.#rule = { ...base, ...rule };
  }
  /** Timed by the device, or by a gateway whose clock shows what `wall` says, else the same seconds. */
  reading(seconds: number, value: MetricValue, age = 0, wall?: number): this {
    this.#events += 1;
    const time = T0 + (wall ?? seconds) * 1000;
    const moment = { received: time, boot: this.boot, uptime: seconds * 1000 };
    const timed = wall === undefined ? "device" : "gateway";
    const latest = time + 86_400_000;
    const reading = { id: `e${this.#events}`, time, timed, latest, value, moment, age } as const;
    return this.#keep(evaluate(this.#rule, this.memory, reading));
  }
  beat(seconds: number, more: { received?: number; uptime?: number; age?: number } = {}): this {
    const moment = {
      received: more.received ?? T0 + seconds * 1000,
      boot: this.boot,
      uptime: more.uptime ?? seconds * 1000,
    };
    if (!this.memory) return this;
    return this.#keep(passTime(this.#rule, this.memory, { moment, age: more.age ?? 0 }));
  }
  #keep({ memory, change }: ReturnType<typeof evaluate>): this {
    this.memory = memory;
    if (change) {
      this.changes.push(change);
      const historical = change.historical ? " historical" : "";
      this.told.push(
        `${(change.changed - T0) / 1000} ${change.state} ${change.episode}${historical}`,
      );
    }
    return this;
  }
}

test("for 0s fires with the reading and resolves with the next that is not above", () => {
  const script = new Script().reading(0, -20).reading(1, -15).reading(2, -12.5).reading(3, -12);
  script.reading(4, -15).reading(5, -14);
  expect(script.told).toEqual(["2 firing e3", "4 resolved e3", "5 firing e6"]);
  expect(script.changes[1]).toMatchObject({ value: -15, since: T0 + 2000, changed: T0 + 4000 });
});

test("with a for it is pending first, and fires when the condition held that long", () => {
  const script = new Script({ forMs: 60_000 });
  script.reading(0, -10).reading(30, -10).reading(59, -10).reading(60, -9).reading(61, -9);
  expect(script.told).toEqual(["0 pending e1", "60 firing e1"]);
});

test("what ends before its time resolves without having fired", () => {
  const script = new Script({ forMs: 60_000 }).reading(0, -10).reading(30, -16).reading(90, -10);
  expect(script.told).toEqual(["0 pending e1", "30 resolved e1", "90 pending e3"]);
});

test("a sensor that speaks once is carried on by heartbeats, by the gateway's monotonic clock", () => {
  const script = new Script({ forMs: 60_000 }).reading(0, -10).beat(10).beat(59.999);
  // The wall clock is set ahead by a year within the boot: no time has passed by it.
  script.beat(59.999, { received: T0 + 3e10 });
  expect(script.told).toEqual(["0 pending e1"]);
  script.beat(60).beat(70);
  expect(script.told).toEqual(["0 pending e1", "60 firing e1"]);
  // After a reboot only the wall clock is left.
  const rebooted = new Script({ forMs: 60_000 }).reading(0, -10);
  rebooted.boot = "boot-2";
  rebooted.beat(61, { uptime: 5 });
  expect(rebooted.told).toEqual(["0 pending e1", "61 firing e1"]);
});

const YEAR = 365 * 86_400;

test("between readings without a device's time the gateway's monotonic clock counts, whatever its wall clock shows", () => {
  const script = new Script({ forMs: 60_000 });
  script.reading(0, -10, 0, 0).reading(30, -10, 0, YEAR).reading(59, -10, 0, -YEAR);
  expect(script.told).toEqual(["0 pending e1"]);
  script.reading(60, -10, 0, 60);
  expect(script.told).toEqual(["0 pending e1", "60 firing e1"]);
});

test("a clock that is set back makes no reading late: the journal's order counts where the gateway gave the time", () => {
  const script = new Script().reading(0, -20, 0, 0).reading(10, -10, 0, -5 * 3600);
  script.reading(20, -20, 0, -5 * 3600 + 10);
  expect(script.changes.map((change) => change.state)).toEqual(["firing", "resolved"]);
});

test("a memory of ten years ahead was a mistake, and keeps no reading of a device from counting", () => {
  const script = new Script().reading(0, -20, 0, 10 * YEAR).reading(10, -10);
  expect(script.told).toEqual(["10 firing e2"]);
});

test("a clock that was years ahead before a reboot does not keep what is pending from firing", () => {
  const ahead = { boot: "boot-1", received: T0 + 3650 * 86_400_000, uptime: 0 };
  const began = { id: "e1", time: T0, timed: "gateway", latest: T0, value: 0, age: 0 } as const;
  const rule = { ...base, forMs: 60_000 };
  const { memory } = evaluate(rule, undefined, { ...began, moment: ahead });
  const later = (uptime: number) => {
    const moment = { boot: "boot-2", received: T0 + 5000 + uptime, uptime };
    return [
      passTime(rule, memory as Memory, { moment, age: 0 }).change?.state,
      evaluate(rule, memory, { ...began, id: "e2", moment }).change?.state,
    ];
  };
  expect(later(59_000)).toEqual([undefined, undefined]);
  expect(later(60_000)).toEqual(["firing", "firing"]);
});

test("where the gateway's time is not known, a reboot counts from the new boot, and a change has the time that passed", () => {
  const script = new Script({ forMs: 60_000 }).reading(0, -10);
  const unknown = (uptime: number, boot: string) => {
    const moment = { boot, uptime };
    return passTime({ ...base, forMs: 60_000 }, script.memory as Memory, { moment, age: 0 });
  };
  expect(unknown(59_000, "boot-2").change).toBeUndefined();
  expect(unknown(60_000, "boot-2").change).toMatchObject({ state: "firing", changed: T0 + 60_000 });
  expect(unknown(60_000, "boot-1").change).toMatchObject({ changed: T0 + 60_000 });
});

test("a clear value of its own keeps it firing in between, and does not begin it", () => {
  const script = new Script({ clear: { direction: "below", threshold: -18 } });
  script.reading(0, -16).reading(1, -14).reading(2, -16).reading(3, -18).reading(4, -18.1);
  script.reading(5, -16);
  expect(script.told).toEqual(["1 firing e2", "4 resolved e2"]);
});

test("below works the other way round", () => {
  const script = new Script({
    when: { direction: "below", threshold: 10 },
    clear: { direction: "above", threshold: 12 },
  });
  script.reading(0, 10).reading(1, 9).reading(2, 11).reading(3, 13);
  expect(script.told).toEqual(["1 firing e2", "3 resolved e2"]);
});

test("a reading older than the newest says nothing; at the same time the later one counts", () => {
  const script = new Script().reading(10, -10).reading(5, -20).reading(9, -20).reading(10, -10);
  expect(script.told).toEqual(["10 firing e1"]);
  script.reading(10, -20);
  expect(script.told).toEqual(["10 firing e1", "10 resolved e1"]);
  const { memory } = script;
  script.reading(2, -10);
  expect(script.memory).toBe(memory);
});

test("values that are no finite number are passed over", () => {
  const script = new Script();
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, "9", true]) script.reading(0, value);
  expect(script.memory).toBeUndefined();
  script.reading(1, -10).reading(2, "cold").reading(3, Number.NaN);
  expect(script.told).toEqual(["1 firing e5"]);
});

test("a backlog is historical, and an alert that still holds becomes current with the first fresh reading", () => {
  const script = new Script();
  const old = 3_600_001;
  script.reading(0, -10, old).reading(1, -20, old).reading(2, -10, old).reading(3, -10, old);
  script.reading(4, -10, 3_600_000).reading(5, -10, old).reading(6, -10);
  expect(script.told).toEqual([
    "0 firing e1 historical",
    "1 resolved e1 historical",
    "2 firing e3 historical",
    "4 firing e3",
  ]);
  const pending = new Script({ forMs: 60_000 }).reading(0, -10, old).beat(60);
  expect(pending.told).toEqual(["0 pending e1 historical", "60 firing e1 historical"]);
  const late = new Script({ forMs: 60_000 }).reading(0, -10).beat(60, { age: old });
  expect(late.told).toEqual(["0 pending e1", "60 firing e1 historical"]);
});

test("a rule that is gone takes its episode with it", () => {
  const script = new Script().reading(0, -10);
  const moment = { received: T0 + 9000, boot: "boot-1", uptime: 9000 };
  const taken = withdraw(script.memory as Memory, { moment, age: 0 }, 1000);
  expect(taken.memory).toBeUndefined();
  expect(taken.change).toMatchObject({ state: "resolved", episode: "e1", changed: T0 + 9000 });
  expect(withdraw({ newest: T0 }, { moment, age: 0 }, 1000).change).toBeUndefined();
});

test("whatever comes: states follow each other as they may, firing holds the condition long enough", () => {
  const step = fc.record({
    beat: fc.boolean(),
    delta: fc.integer({ min: -30, max: 90 }),
    value: fc.integer({ min: -20, max: -10 }),
  });
  fc.assert(
    fc.property(fc.array(step), fc.constantFrom(0, 60_000), fc.boolean(), (steps, forMs, gap) => {
      const rule: Partial<Rule> = {
        forMs,
        ...(gap ? { clear: { direction: "below", threshold: -18 } as const } : {}),
      };
      const script = new Script(rule);
      let now = 0;
      for (const { beat, delta, value } of steps) {
        now = Math.max(0, now + delta);
        if (beat) script.beat(now);
        else script.reading(now, value);
      }
      let state = "resolved";
      let episode = "";
      for (const change of script.changes) {
        const allowed =
          {
            resolved: forMs === 0 ? ["firing"] : ["pending"],
            pending: ["firing", "resolved"],
            firing: ["resolved"],
          }[state] ?? [];
        expect(allowed).toContain(change.state);
        if (state !== "resolved") expect(change.episode).toBe(episode);
        else expect(change.episode).not.toBe(episode);
        if (change.state === "firing") {
          expect(exceeds(base.when, change.value)).toBe(true);
          expect(change.changed - change.since).toBeGreaterThanOrEqual(forMs);
        }
        ({ state, episode } = change);
      }
    }),
    { numRuns: 500 },
  );
});
