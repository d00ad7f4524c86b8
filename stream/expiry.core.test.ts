import { describe, expect, test } from "vitest";
import { expired, expiryTime } from "./expiry.core.ts";

const NOW = Date.UTC(2026, 10, 21);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

describe("the time by which records expire", () => {
  test("is the wall clock's, also a day ahead and back", () => {
    expect(expiryTime(undefined, NOW, 0)).toBe(NOW);
    expect(expiryTime(NOW, NOW + 60_000, 60_000)).toBe(NOW + 60_000);
    expect(expiryTime(NOW, NOW + DAY, 0)).toBe(NOW + DAY);
    expect(expiryTime(NOW, NOW - 3 * YEAR, 60_000)).toBe(NOW - 3 * YEAR);
  });

  test("stands while the clock was never set", () => {
    expect(expiryTime(undefined, 5000, 1)).toBeUndefined();
    expect(expiryTime(NOW, 5000, 1)).toBe(NOW);
  });

  test("goes 60 times as fast at most where the clock leaps ahead, and is back with it", () => {
    let time: number | undefined = NOW;
    for (let minute = 0; minute < 60; minute += 1) time = expiryTime(time, NOW + 10 * YEAR, 60_000);
    expect(time).toBe(NOW + 60 * HOUR);
    expect(expiryTime(time, NOW + HOUR, 60_000)).toBe(NOW + HOUR);
  });

  test("catches up with a month off within half a day and a bit", () => {
    let time: number | undefined = NOW;
    let minutes = 0;
    for (; (time ?? 0) < NOW + 30 * DAY; minutes += 1) {
      time = expiryTime(time, NOW + 30 * DAY + minutes * 60_000, 60_000);
    }
    expect(minutes).toBeLessThan(13 * 60);
  });
});

describe("what expires", () => {
  const before = NOW - 90 * DAY;
  test("is what was sent before, from the front", () => {
    expect(expired([before - 2, before - 1, before, before + 1], before, NOW)).toBe(2);
    expect(expired([before, before - 1], before, NOW)).toBe(0);
    expect(expired([], before, NOW)).toBe(0);
  });

  test("not what was sent under a clock that was not set, or ahead, until what came after it does", () => {
    expect(expired([5000, 6000, NOW], before, NOW)).toBe(0);
    expect(expired([5000, 6000, before - 1, 7000, NOW], before, NOW)).toBe(3);
    expect(expired([NOW + 3 * YEAR, NOW], before, NOW)).toBe(0);
    expect(expired([NOW + 3 * YEAR, before - 1, NOW], before, NOW)).toBe(2);
    expect(expired([5000, 6000], before, NOW)).toBe(0);
  });

  test("a damaged one at once", () => {
    expect(expired([0, NOW], before, NOW)).toBe(1);
  });
});
