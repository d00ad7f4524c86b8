import { expect, test } from "vitest";
import type { RawMetric } from "./metric-schema.ts";
import { metricOf } from "./metrics.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** A Monday. */
const START = Date.UTC(2026, 10, 16);

/** What the metric says each minute of the first day, or another day. */
function day(raw: RawMetric, { seed = 1, days = 0, stepMs = MINUTE } = {}): unknown[] {
  const { at } = metricOf(raw, seed, START, { device: "d", gateway: "g" });
  const from = START + days * 24 * HOUR;
  return Array.from({ length: (24 * HOUR) / stepMs }, (_, step) => at(from + step * stepMs));
}

const numbers = (raw: RawMetric, more = {}) => day(raw, more).map(Number);

test("working hours, on working days only", () => {
  const raw: RawMetric = {
    constant: 1,
    working_hours: { from: "07:00", to: "17:00", height: 5 },
  };
  const monday = numbers(raw);
  expect([6 * 60, 7 * 60 + 30, 12 * 60, 20 * 60].map((minute) => monday[minute])).toEqual([
    1, 3.5, 6, 1,
  ]);
  expect(new Set(numbers(raw, { days: 5 }))).toEqual(new Set([1]));
});

test("an excursion begins where it is said, from the beginning of the run, and comes round", () => {
  const raw: RawMetric = { excursion: { at: "2h", every: "6h", for: "1h", height: 10 } };
  const found = numbers(raw);
  const high = found.flatMap((value, minute) => (value > 9.9 ? [Math.floor(minute / 60)] : []));
  expect(new Set(high)).toEqual(new Set([2, 8, 14, 20]));
  expect(found[2 * 60 + 30]).toBe(10);
  expect(found.filter((value) => value > 0).length).toBeLessThan(4 * 60);
});

test("steps take their levels and hold them", () => {
  const found = numbers({ steps: { levels: [1, 5, 9], hold: "1h" } });
  expect(new Set(found)).toEqual(new Set([1, 5, 9]));
  for (let hour = 0; hour < 24; hour += 1) {
    expect(new Set(found.slice(hour * 60, hour * 60 + 60)).size).toBe(1);
  }
});

test("noise and drift are as wide as was said, and of the device's own seed", () => {
  const noise = numbers({ noise: 2 });
  const deviation = Math.hypot(...noise) / Math.sqrt(noise.length);
  expect(deviation).toBeGreaterThan(1.8);
  expect(deviation).toBeLessThan(2.2);
  const drift = numbers({ drift: { amplitude: 3, every: "2h" } });
  expect(Math.max(...drift.map(Math.abs))).toBeLessThanOrEqual(3);
  expect(Math.max(...drift) - Math.min(...drift)).toBeGreaterThan(2);
  expect(numbers({ drift: { amplitude: 3, every: "2h" } }, { seed: 2 })).not.toEqual(drift);
});

test("a thermostat rises for its share of the period", () => {
  const found = numbers({ thermostat: { amplitude: 4, period: "100m", rise: "25%" } });
  const rises = found.slice(1).filter((value, index) => value > (found[index] ?? 0)).length;
  expect(rises / found.length).toBeCloseTo(0.25, 1);
  expect([Math.max(...found), Math.min(...found)].map(Math.round)).toEqual([4, -4]);
});

test("a sensor that is stuck stands still for so long, one that drops out says nothing", () => {
  const signal: RawMetric = { drift: { amplitude: 50, every: "3m" }, decimals: 9 };
  const episodes = { every: "4h", for: "30m" };
  const stuck = numbers({ ...signal, stuck: episodes });
  const still = stuck.slice(1).filter((value, index) => value === stuck[index]).length;
  expect(still).toBeGreaterThanOrEqual(6 * 28);
  expect(still).toBeLessThanOrEqual(6 * 30);
  const quiet = day({ ...signal, dropouts: episodes }).filter((value) => value === undefined);
  expect(quiet.length).toBeGreaterThanOrEqual(6 * 29);
  expect(quiet.length).toBeLessThanOrEqual(6 * 31);
  const never = day({ ...signal, dropouts: { ...episodes, chance: "0%" } });
  expect(never).not.toContain(undefined);
  const door = day({ on: { every: "1h", for: "15m", chance: 1 }, dropouts: episodes });
  expect(door.filter((value) => value === undefined).length).toBeGreaterThanOrEqual(6 * 29);
  expect(door.filter((value) => value === true).length).toBeGreaterThan(200);
});

test("spikes are single and as high as was said, beyond what the sensor could show they are cut", () => {
  const raw: RawMetric = { constant: 5, spikes: { chance: "1%", height: 90 }, max: 60 };
  const found = numbers(raw, { stepMs: 1000 });
  const counts = [60, -85].map((wild) => found.filter((value) => value === wild).length);
  for (const count of counts) {
    expect(count).toBeGreaterThan(300);
    expect(count).toBeLessThan(560);
  }
  expect(new Set(found)).toEqual(new Set([5, 60, -85]));
});
