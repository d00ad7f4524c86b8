import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  beginClock,
  type ClockState,
  EARLIEST_MS,
  holds,
  type Known,
  look,
  type Mark,
  offsetOf,
  timeAt,
} from "./clock.core.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const NOW = Date.UTC(2026, 10, 21, 12);
const WAIT = 300_000;
const NONE: Mark = { kind: "none" };
const WAITING: Mark = { kind: "waiting" };
const synced = (at: number): Mark => ({ kind: "synced", at });

/** A machine by script: what its wall clock shows beside its boot clock, and what is believed of it. */
class Script {
  uptime = 20_000;
  state: ClockState;
  mark: Mark = NONE;
  /** Wall minus uptime. */
  offset: number;
  readonly told: string[] = [];
  constructor(wall: number, known?: Known, boot = "boot-1") {
    this.offset = wall - this.uptime;
    this.state = beginClock(known, boot);
  }
  look(): this {
    const shown = { wall: this.offset + this.uptime, uptime: this.uptime };
    const { state, change } = look(this.state, shown, this.mark, WAIT);
    this.state = state;
    if (change) this.told.push(`${change.reason} ${new Date(shown.wall).toISOString()}`);
    return this;
  }
  pass(ms: number, everyMs = 1000): this {
    for (let left = ms; left > 0; left -= everyMs) {
      this.uptime += Math.min(left, everyMs);
      this.look();
    }
    return this;
  }
  jump(ms: number): this {
    this.offset += ms;
    return this.look();
  }
  /** How far the time that is believed is off what the wall would show without jumps. */
  get time(): number | undefined {
    return timeAt(this.state, this.uptime);
  }
  get holds(): boolean {
    return holds(this.state, this.uptime, WAIT);
  }
  /** The next boot on the same disk. */
  reboot(wall: number, mark: Mark = NONE): Script {
    const { doubt: _, ...known } = this.state;
    const next = new Script(wall, known, `${this.state.boot}+`);
    next.mark = mark;
    return next.look();
  }
}

describe("the first time of a boot", () => {
  test("is believed where it is plausible and no time service is there to wait for", () => {
    const script = new Script(NOW).look();
    expect(script.told).toEqual(["synced 2026-11-21T12:00:00.000Z"]);
    expect(script.holds).toBe(false);
  });

  test("1970 is not, whatever says so, and is waited for until 5 minutes after the boot", () => {
    const script = new Script(20_000).look();
    expect(script.time).toBeUndefined();
    expect(script.holds).toBe(true);
    script.mark = synced(1);
    expect(script.look().told).toEqual([]);
    script.pass(WAIT - 20_001);
    expect(script.holds).toBe(true);
    script.pass(1);
    expect(script.holds).toBe(false);
    // It may be set at any time after that.
    expect(script.jump(NOW).told).toHaveLength(1);
  });

  test("waits for a time service that has not reached its server, however plausible the clock looks", () => {
    const script = new Script(NOW);
    script.mark = WAITING;
    expect(script.look().pass(60_000).told).toEqual([]);
    script.mark = synced(1);
    expect(script.jump(3 * HOUR).told).toEqual(["synced 2026-11-21T15:01:00.000Z"]);
  });

  test("is not believed before the newest time that is known from the past, unless the time service says so", () => {
    const past = new Script(NOW).look().pass(HOUR, 60_000);
    const image = Date.UTC(2026, 4, 1);
    expect(past.reboot(image).told).toEqual([]);
    expect(past.reboot(NOW + HOUR + 1000).told).toHaveLength(1);
    const corrected = past.reboot(image, synced(7));
    expect(corrected.told).toHaveLength(1);
    // The floor was a mistake then, and is no hindrance to the next boot.
    expect(corrected.reboot(image + 60_000).told).toHaveLength(1);
  });

  test("years ahead after a power cut are believed: they may have passed", () => {
    expect(new Script(NOW).look().reboot(NOW + 5 * YEAR).told).toHaveLength(1);
  });
});

describe("a step within a boot", () => {
  test("slewing and a leap second are none", () => {
    const script = new Script(NOW).look();
    for (let i = 0; i < 100; i += 1) script.jump(i % 2 === 0 ? 1000 : -1000).pass(1000);
    expect(script.told).toHaveLength(1);
    expect(script.jump(1999).told).toHaveLength(1);
    expect(script.jump(2).told).toHaveLength(2);
  });

  test("back over midnight, or ahead by less than a day, is a correction", () => {
    const script = new Script(NOW).look().pass(HOUR, 60_000);
    script.jump(-14 * HOUR).jump(30 * 60_000);
    expect(script.told.slice(1)).toEqual([
      "stepped 2026-11-20T23:00:00.000Z",
      "stepped 2026-11-20T23:30:00.000Z",
    ]);
    expect(script.time).toBe(Date.UTC(2026, 10, 20, 23, 30));
    expect(script.holds).toBe(false);
  });

  test("back by years is never believed, and nothing waits: the boot clock counts on", () => {
    const script = new Script(NOW).look().pass(HOUR, 60_000);
    script.jump(-3 * YEAR).pass(DAY, 60_000);
    expect(script.told).toHaveLength(1);
    expect(script.time).toBe(NOW + HOUR + DAY);
    expect(script.holds).toBe(false);
    expect(script.state.doubt).toBeDefined();
    expect(script.jump(3 * YEAR).state.doubt).toBeUndefined();
  });

  test("back by years is not believed before the first hour is over either: 2025 is before this software", () => {
    const script = new Script(NOW).look().jump(-2 * YEAR);
    expect(script.told).toHaveLength(1);
    expect(script.time).toBe(NOW);
  });

  test("back by years is believed where the time service has renewed its mark", () => {
    const script = new Script(NOW + 3 * YEAR, undefined);
    script.mark = synced(1);
    script
      .look()
      .pass(HOUR, 60_000)
      .jump(-3 * YEAR);
    expect(script.told).toHaveLength(1);
    script.mark = synced(2);
    expect(script.look().told).toHaveLength(2);
    expect(script.time).toBe(NOW + HOUR);
  });

  test("ahead by years is doubted while forwarding waits, then believed", () => {
    const script = new Script(NOW)
      .look()
      .pass(60_000)
      .jump(2 * YEAR);
    expect(script.told).toHaveLength(1);
    expect(script.time).toBe(NOW + 60_000);
    expect(script.holds).toBe(true);
    script.pass(WAIT - 1);
    expect(script.told).toHaveLength(1);
    script.pass(1);
    expect(script.told).toHaveLength(2);
    expect(script.holds).toBe(false);
  });

  test("ahead by years and taken back within the wait leaves no trace", () => {
    const script = new Script(NOW)
      .look()
      .jump(10 * YEAR)
      .pass(60_000)
      .jump(-10 * YEAR);
    expect(script.told).toHaveLength(1);
    expect(script.holds).toBe(false);
    expect(script.state.floor).toBeLessThan(NOW + DAY);
  });

  test("ahead by years, believed for hours, and taken back: what was right before is right again", () => {
    const script = new Script(NOW)
      .look()
      .pass(HOUR, 60_000)
      .jump(10 * YEAR);
    script.pass(5 * HOUR, 60_000).jump(-10 * YEAR);
    expect(script.told.map((text) => text.slice(0, 12))).toEqual([
      "synced 2026-",
      "stepped 2036",
      "stepped 2026",
    ]);
    expect(script.time).toBe(NOW + 6 * HOUR);
    // And the mistake is not what the next boot is measured by.
    expect(script.reboot(NOW + 7 * HOUR).told).toHaveLength(1);
  });
});

describe("a restart of the process", () => {
  test("within the boot goes on with what was known, and sees a step that came meanwhile", () => {
    const script = new Script(NOW).look();
    const { doubt: _, ...known } = script.state;
    const again = new Script(NOW, known);
    again.uptime = 50_000;
    expect(again.look().told).toEqual([]);
    expect(again.time).toBe(NOW + 30_000);
    expect(again.jump(HOUR).told).toHaveLength(1);
  });

  test("a boot that ended with a known time is remembered, the last 8 of them", () => {
    let script = new Script(NOW).look();
    const first = script.offset;
    for (let i = 1; i <= 8; i += 1) script = script.reboot(NOW + i * HOUR);
    expect(offsetOf(script.state, "boot-1")).toBe(first);
    expect(offsetOf(script.state, script.state.boot)).toBe(script.offset);
    script = script.reboot(NOW + 9 * HOUR);
    expect(offsetOf(script.state, "boot-1")).toBeUndefined();
  });
});

test("whatever the clock does: the wait ends, what is believed was shown, the floor is no mistake for ever", () => {
  const jump = fc.record({
    by: fc.oneof(
      fc.integer({ min: -5000, max: 5000 }),
      fc.integer({ min: -2 * DAY, max: 2 * DAY }),
      fc.integer({ min: -60 * YEAR, max: 20 * YEAR }),
    ),
    after: fc.integer({ min: 0, max: HOUR }),
  });
  fc.assert(
    fc.property(
      fc.array(jump, { maxLength: 12 }),
      fc.integer({ min: 0, max: NOW }),
      (jumps, wall) => {
        const script = new Script(wall).look();
        const shown = new Set([script.offset]);
        for (const { by, after } of jumps) {
          script.pass(after, 60_000).jump(by);
          shown.add(script.offset);
          const { offset } = script.state;
          if (offset !== undefined) {
            expect(shown.has(offset)).toBe(true);
            expect((script.time ?? 0) >= EARLIEST_MS).toBe(true);
          }
        }
        script.pass(2 * WAIT, 60_000);
        expect(script.holds).toBe(false);
        script.mark = synced(99);
        script.offset = NOW;
        script.look();
        expect(script.state.offset).toBeCloseTo(NOW, -4);
      },
    ),
    { numRuns: 300 },
  );
});
