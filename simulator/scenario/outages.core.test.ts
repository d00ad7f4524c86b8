import fc from "fast-check";
import { expect, test } from "vitest";
import { StretchCursor, stretchesOf } from "./outages.core.ts";

const HOUR = 3_600_000;

const outages = fc.record(
  {
    at: fc.array(fc.record({ at: fc.nat({ max: 10_000 }), lastsMs: fc.nat({ max: 2000 }) }), {
      maxLength: 8,
    }),
    random: fc.record({
      everyMs: fc.integer({ min: 1, max: 5000 }),
      lastsMs: fc.integer({ min: 1, max: 3000 }),
    }),
  },
  { requiredKeys: ["at"] },
);

test("stretches are in order, apart, within the run, and cover what was told", () => {
  fc.assert(
    fc.property(outages, fc.nat(), fc.integer({ min: 1, max: 12_000 }), (given, seed, duration) => {
      const found = stretchesOf(given, seed, duration);
      expect(stretchesOf(given, seed, duration)).toEqual(found);
      let end = -1;
      for (const { at, lastsMs } of found) {
        expect(at).toBeGreaterThan(end);
        expect(at).toBeLessThan(duration);
        expect(lastsMs).toBeGreaterThan(0);
        end = at + lastsMs;
      }
      for (const { at, lastsMs } of given.at) {
        if (at >= duration || lastsMs === 0) continue;
        const around = found.find((one) => one.at <= at && at + lastsMs <= one.at + one.lastsMs);
        expect(around).toBeDefined();
      }
      if (given.random === undefined) {
        const total = found.reduce((sum, { lastsMs }) => sum + lastsMs, 0);
        expect(total).toBeLessThanOrEqual(given.at.reduce((sum, { lastsMs }) => sum + lastsMs, 0));
      }
    }),
  );
});

test("by chance they come as often and last as long as was asked for, and differ by the seed", () => {
  const random = { everyMs: 6 * HOUR, lastsMs: HOUR };
  const found = stretchesOf({ at: [], random }, 1, 7000 * HOUR);
  // The pause is counted from the end of the one before.
  expect(found.length).toBeGreaterThan(900);
  expect(found.length).toBeLessThan(1100);
  const mean = found.reduce((sum, { lastsMs }) => sum + lastsMs, 0) / found.length;
  expect(mean).toBeGreaterThan(0.95 * HOUR);
  expect(mean).toBeLessThan(1.05 * HOUR);
  const lengths = found.map(({ lastsMs }) => lastsMs / HOUR);
  expect([Math.min(...lengths), Math.max(...lengths)].map((one) => one.toFixed(1))).toEqual([
    "0.5",
    "1.5",
  ]);
  const pauses = found.slice(1).map(({ at }, index) => {
    const before = found[index];
    return at - ((before?.at ?? 0) + (before?.lastsMs ?? 0));
  });
  expect(Math.min(...pauses)).toBeLessThan(0.1 * HOUR);
  expect(Math.max(...pauses)).toBeGreaterThan(20 * HOUR);
  expect(stretchesOf({ at: [], random }, 2, 7000 * HOUR)).not.toEqual(found);
});

test("a longer run begins as the shorter one", () => {
  const random = { everyMs: HOUR, lastsMs: 60_000 };
  const short = stretchesOf({ at: [], random }, 5, 20 * HOUR);
  expect(stretchesOf({ at: [], random }, 5, 40 * HOUR).slice(0, short.length)).toEqual(short);
});

test("a cursor says whether a stretch is on, and until when", () => {
  const cursor = new StretchCursor([
    { at: 10, lastsMs: 5 },
    { at: 20, lastsMs: 1 },
  ]);
  const asked = [0, 9, 10, 14.9, 15, 19, 20, 21, 1e9];
  expect(asked.map((at) => cursor.endAt(at))).toEqual([
    undefined,
    undefined,
    15,
    15,
    undefined,
    undefined,
    21,
    undefined,
    undefined,
  ]);
});
