import { describe, expect, test } from "vitest";
import { ServerClock } from "./clock.core.ts";
import {
  axisLabels,
  formatAge,
  formatDuration,
  formatNumber,
  formatTime,
  formatValue,
} from "./format.core.ts";

test.each([
  [-12.5, "-12.5"],
  [21.347829, "21.35"],
  [0, "0"],
  [0.04567, "0.046"],
  [103482.4, "103,482"],
  [0.0000123, "1.23E-5"],
  [Number.NaN, "no number"],
])("%d reads %s", (value, text) => expect(formatNumber(value)).toBe(text));

test("values that are no numbers are words", () => {
  expect([true, false, "idle", ""].map(formatValue)).toEqual(["yes", "no", "idle", "(empty)"]);
});

test.each([
  [999, "0 s"],
  [94_000, "94 s"],
  [180_000, "3 min"],
  [18_600_000, "5 h 10 min"],
  [356_400_000, "4 d 3 h"],
  [360_000_000_000, "11 years"],
])("%d ms are %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

test("a clock that runs ahead is said to, not shown as an age", () => {
  expect(formatAge(1500)).toBe("just now");
  expect(formatAge(-3000)).toBe("just now");
  expect(formatAge(-60_000)).toBe("60 s ahead");
});

describe("times", () => {
  const noon = Date.UTC(2015, 1, 3, 12, 5, 6);
  test("leave out the day where it is today's", () => {
    expect(formatTime(noon, "utc", noon + 1000)).toBe("12:05:06");
    expect(formatTime(noon, "utc", noon + 86_400_000)).toBe("3 Feb 2015, 12:05:06");
    expect(formatTime(1e300, "utc", noon)).toBe("no time");
  });

  test("an axis names the day where it changes", () => {
    const hours = [22, 23, 24, 25].map((hour) => Date.UTC(2015, 1, 3, hour));
    expect(axisLabels(hours, 3_600_000, "utc")).toEqual([
      "22:00\n3 Feb",
      "23:00",
      "00:00\n4 Feb",
      "01:00",
    ]);
    const days = [30, 31, 32].map((day) => Date.UTC(2015, 11, day));
    expect(axisLabels(days, 86_400_000, "utc")).toEqual(["30 Dec\n2015", "31 Dec", "1 Jan\n2016"]);
  });
});

describe("the server's clock", () => {
  test("counts on by the monotonic clock, whatever the browser's says", () => {
    const clock = new ServerClock();
    expect(clock.now(5, 123)).toBe(123);
    clock.heard(1_000_000, 100);
    expect(clock.now(1100, 5)).toBe(1_001_000);
  });

  test("a slow word does not set it back, a clock that was set does", () => {
    const clock = new ServerClock();
    clock.heard(1_000_000, 100);
    clock.heard(1_001_000, 2000);
    expect(clock.now(2000, 0)).toBe(1_001_900);
    clock.heard(5_000_000, 3000);
    expect(clock.now(3000, 0)).toBe(5_000_000);
    clock.heard(1_000_000, 3000);
    expect(clock.now(3000, 0)).toBe(1_000_000);
  });
});
