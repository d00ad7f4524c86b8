import { describe, expect, test } from "vitest";
import { hoursLeft, isNearlyFull, roomShare } from "./status.core.ts";

const MINUTE = 60_000;
const MB = 1_000_000;
const GB = 1000 * MB;
const noFloor = { capacityBytes: GB, floorBytes: 0 };
const floor = { capacityBytes: GB, floorBytes: 100 * MB };

describe("hours left", () => {
  test("of the cap, at the rate since the older level", () => {
    const older = { at: 0, bytes: 0 };
    expect(hoursLeft(older, { at: 6 * MINUTE, bytes: 100 * MB }, noFloor)).toBe(0.9);
    expect(hoursLeft(older, { at: 6 * MINUTE, bytes: GB }, noFloor)).toBe(0);
    expect(hoursLeft(older, { at: 6 * MINUTE, bytes: 2 * GB }, noFloor)).toBe(0);
  });

  test("nothing is said of what does not fill, or over no time at all", () => {
    const older = { at: 0, bytes: 50 };
    expect(hoursLeft(older, { at: MINUTE, bytes: 50 }, noFloor)).toBeUndefined();
    expect(hoursLeft(older, { at: MINUTE, bytes: 10 }, noFloor)).toBeUndefined();
    expect(hoursLeft(older, { at: 999, bytes: GB }, noFloor)).toBeUndefined();
  });

  test("a burst of less than a minute says nothing of hours, and all of minutes", () => {
    const older = { at: 0, bytes: 0 };
    const left = (seconds: number, mb: number) =>
      hoursLeft(older, { at: seconds * 1000, bytes: mb * MB }, noFloor);
    expect(left(5, 5)).toBeUndefined();
    expect(left(59, 59)).toBeUndefined();
    expect(left(60, 60)).toBe(0.26);
    expect(left(5, 220)).toBe(0);
    expect(left(5, 10)).toBe(0.14);
  });

  test("of the disk above its floor, where that is sooner than the cap", () => {
    const older = { at: 0, bytes: 0, free: 300 * MB };
    const now = { at: 6 * MINUTE, bytes: 100 * MB, free: 200 * MB };
    expect(hoursLeft(older, now, floor)).toBe(0.1);
    expect(hoursLeft(older, now, noFloor)).toBe(0.9);
    expect(hoursLeft(older, { ...now, free: 50 * MB }, floor)).toBe(0);
  });

  test("others who fill the disk count too, once it is more than noise", () => {
    const older = { at: 0, bytes: 0, free: 5 * GB };
    const left = (minutes: number, free: number) =>
      hoursLeft(older, { at: minutes * MINUTE, bytes: 0, free }, floor);
    expect(left(6, 4.1 * GB)).toBeCloseTo(0.44);
    expect(left(4, 4.1 * GB)).toBeUndefined();
    expect(left(6, 5 * GB - 120 * MB)).toBeUndefined();
    // Half a terabyte at 200 MB in 10 minutes lasts weeks: nobody can tell.
    const large = { at: 0, bytes: 0, free: 500 * GB };
    const later = { at: 10 * MINUTE, bytes: 0, free: 499.8 * GB };
    expect(hoursLeft(large, later, floor)).toBeUndefined();
    expect(
      hoursLeft({ at: 0, bytes: 0 }, { at: 6 * MINUTE, bytes: 0, free: 0 }, floor),
    ).toBeUndefined();
  });
});

test("the room is what cap and disk leave, against the configured cap", () => {
  expect(roomShare({ at: 0, bytes: 900 * MB }, noFloor, GB)).toBeCloseTo(0.1);
  expect(roomShare({ at: 0, bytes: 0, free: 350 * MB }, floor, GB)).toBe(0.25);
  expect(roomShare({ at: 0, bytes: 0, free: 50 * MB }, floor, GB)).toBe(0);
  expect(roomShare({ at: 0, bytes: 0, free: 50 * MB }, noFloor, GB)).toBe(1);
});

describe("nearly full", () => {
  test.each<[string, boolean, number, number | undefined, boolean]>([
    ["half empty", false, 0.5, undefined, false],
    ["little room", false, 0.19, undefined, true],
    ["a little more, and it was near", true, 0.21, undefined, true],
    ["a little more, and it was not", false, 0.21, undefined, false],
    ["room again", true, 0.26, undefined, false],
    ["less than a day", false, 0.9, 23, true],
    ["more than a day", false, 0.9, 25, false],
    ["a day and a half again", true, 0.9, 37, false],
    ["a day and a bit, and it was near", true, 0.9, 25, true],
  ])("%s", (_, before, share, hours, near) => {
    expect(isNearlyFull(before, share, hours)).toBe(near);
  });
});
