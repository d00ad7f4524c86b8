import { describe, expect, test } from "vitest";
import {
  constant,
  DAY_MS,
  daily,
  drift,
  dropouts,
  episodeAt,
  excursion,
  HOUR_MS,
  MINUTE_MS,
  measured,
  noise,
  type Signal,
  spikes,
  steps,
  stuck,
  sum,
  thermostat,
  weekly,
  workingHours,
} from "./signals.ts";

/** 2026-11-18, a Wednesday, 00:00 UTC. */
const WEDNESDAY = Date.UTC(2026, 10, 18);

function values(signal: Signal, from: number, to: number, stepMs: number): (number | undefined)[] {
  const found: (number | undefined)[] = [];
  for (let time = from; time < to; time += stepMs) found.push(signal(time));
  return found;
}

describe("signals", () => {
  test("the same moment has the same value, in whatever order it is asked for", () => {
    const signal = stuck(
      spikes(sum(daily({ amplitude: 3, peakHour: 14 }), noise(1, 1), drift(2, 1, HOUR_MS)), 3, {
        chance: 0.01,
        height: 50,
      }),
      4,
      { everyMs: HOUR_MS, lastsMs: 5 * MINUTE_MS, chance: 0.5 },
    );
    const forward = values(signal, WEDNESDAY, WEDNESDAY + DAY_MS, MINUTE_MS);
    const times = forward.map((_, index) => WEDNESDAY + index * MINUTE_MS).reverse();
    expect(times.map(signal).reverse()).toEqual(forward);
  });

  test("the day peaks at its hour and is lowest twelve hours later", () => {
    const signal = daily({ amplitude: 2, peakHour: 15 });
    expect(signal(WEDNESDAY + 15 * HOUR_MS)).toBeCloseTo(2, 9);
    expect(signal(WEDNESDAY + 3 * HOUR_MS)).toBeCloseTo(-2, 9);
  });

  test("the week peaks at its day and hour, and is lowest three and a half days later", () => {
    const signal = weekly({ amplitude: 5, peakMs: 3 * DAY_MS + 14 * HOUR_MS });
    expect(signal(WEDNESDAY + 14 * HOUR_MS)).toBeCloseTo(5, 9);
    expect(signal(WEDNESDAY + 14 * HOUR_MS - 7 * DAY_MS)).toBeCloseTo(5, 9);
    expect(signal(WEDNESDAY + 14 * HOUR_MS + 3.5 * DAY_MS)).toBeCloseTo(-5, 9);
  });

  test("people work on working days", () => {
    const signal = workingHours({ from: 8, to: 17 });
    expect(signal(WEDNESDAY + 12 * HOUR_MS)).toBe(1);
    expect(signal(WEDNESDAY + 8.5 * HOUR_MS)).toBeCloseTo(0.5, 9);
    expect(signal(WEDNESDAY + 2 * HOUR_MS)).toBe(0);
    const saturday = WEDNESDAY + 3 * DAY_MS;
    expect(values(signal, saturday, saturday + 2 * DAY_MS, HOUR_MS)).toEqual(new Array(48).fill(0));
  });

  test("drift is smooth and bounded", () => {
    const signal = drift(5, 4, HOUR_MS);
    const found = values(signal, WEDNESDAY, WEDNESDAY + DAY_MS, 1000).map(Number);
    expect(Math.max(...found.map(Math.abs))).toBeLessThanOrEqual(4);
    const jumps = found.slice(1).map((value, index) => Math.abs(value - (found[index] ?? 0)));
    expect(Math.max(...jumps)).toBeLessThan(0.01);
    expect(new Set(found.map((value) => value.toFixed(1))).size).toBeGreaterThan(20);
  });

  test("steps hold their level and take all of them", () => {
    const signal = steps(1, [0, 5, 9], 10 * MINUTE_MS);
    const slot = Math.ceil(WEDNESDAY / (10 * MINUTE_MS)) * 10 * MINUTE_MS;
    expect(new Set(values(signal, slot, slot + 10 * MINUTE_MS, 1000)).size).toBe(1);
    expect(new Set(values(signal, slot, slot + DAY_MS, 10 * MINUTE_MS))).toEqual(
      new Set([0, 5, 9]),
    );
  });

  test("a thermostat swings between its bounds", () => {
    const signal = thermostat({ amplitude: 2, periodMs: 1000, phaseMs: 0, riseShare: 0.6 });
    const found = [0, 300, 600, 800, 1000].map((ms) => signal(WEDNESDAY + ms));
    // Phases are fractions of large numbers: six digits are left of them.
    for (const [index, value] of [-2, 0, 2, 0, -2].entries()) {
      expect(found[index]).toBeCloseTo(value, 5);
    }
  });

  test("an excursion comes round, before its anchor too", () => {
    const signal = excursion({
      anchorMs: WEDNESDAY,
      everyMs: 240_000,
      lastsMs: 100_000,
      height: 12,
    });
    expect(signal(WEDNESDAY + 50_000)).toBeCloseTo(12, 9);
    expect(signal(WEDNESDAY + 120_000)).toBe(0);
    expect(signal(WEDNESDAY - 240_000 + 50_000)).toBeCloseTo(12, 9);
  });

  test("a sensor gives what its range and resolution allow, and no negative zero", () => {
    const range = { min: -5, max: 5, decimals: 1 };
    expect(measured(constant(7.77), range)(0)).toBe(5);
    expect(measured(constant(1.26), range)(0)).toBe(1.3);
    expect(Object.is(measured(constant(-0.01), range)(0), 0)).toBe(true);
  });
});

describe("faults", () => {
  const ramp: Signal = (time) => time;
  const often = { everyMs: HOUR_MS, lastsMs: 10 * MINUTE_MS, chance: 1 };

  test("a stuck value is the one from when it got stuck, and goes on afterwards", () => {
    const signal = stuck(ramp, 9, often);
    const start = episodes(9)[0] ?? Number.NaN;
    expect(signal(start - 1)).toBe(start - 1);
    expect(signal(start + 5 * MINUTE_MS)).toBe(start);
    expect(signal(start + 10 * MINUTE_MS)).toBe(start + 10 * MINUTE_MS);
  });

  test("a dropout says nothing, and a sum with nothing is nothing", () => {
    const signal = dropouts(ramp, 9, often);
    const start = episodes(9)[0] ?? Number.NaN;
    expect(signal(start - 1)).toBe(start - 1);
    expect(signal(start)).toBeUndefined();
    expect(sum(constant(1), signal)(start)).toBeUndefined();
  });

  test("episodes come as often as they should, and stay within their slot", () => {
    expect(episodes(9)).toHaveLength(24);
    const rare = { ...often, chance: 0.25 };
    let found = 0;
    for (let slot = 0; slot < 4000; slot += 1) {
      const from = slot * HOUR_MS;
      for (let time = from; time < from + HOUR_MS; time += 10 * MINUTE_MS) {
        const start = episodeAt(3, rare, time);
        if (start === undefined) continue;
        found += 1;
        expect(start).toBeGreaterThanOrEqual(from);
        expect(start).toBeLessThanOrEqual(from + 50 * MINUTE_MS);
        break;
      }
    }
    expect(found).toBeGreaterThan(900);
    expect(found).toBeLessThan(1100);
  });

  test("spikes are as many as they should be, both ways", () => {
    const found = values(spikes(constant(0), 1, { chance: 0.01, height: 40 }), 0, 1e7, 1000);
    const up = found.filter((value) => value === 40).length;
    const down = found.filter((value) => value === -40).length;
    expect(up + down).toBeGreaterThan(60);
    expect(up + down).toBeLessThan(140);
    expect(Math.min(up, down)).toBeGreaterThan(20);
  });

  function episodes(seed: number): number[] {
    const found = new Set<number>();
    for (let time = WEDNESDAY; time < WEDNESDAY + DAY_MS; time += 1000) {
      const start = episodeAt(seed, often, time);
      if (start !== undefined) found.add(start);
    }
    return [...found];
  }
});
