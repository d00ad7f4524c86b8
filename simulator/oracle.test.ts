import { describe, expect, test } from "vitest";
import {
  compareRollups,
  expectedRollups,
  type OracleReading,
  type OracleRollup,
} from "./oracle.ts";

const HOUR = 3_600_000;
const T = Date.UTC(2026, 10, 18, 9);

function reading(time: number, metrics: OracleReading["metrics"], device = "d"): OracleReading {
  return { gateway: "g", device, time, metrics };
}

const READINGS = [
  reading(T, { a: 1, on: true }),
  reading(T + 59_999, { a: 5, state: "idle" }),
  reading(T + 60_000, { a: -3 }),
  reading(T + HOUR, { a: 7, b: 2 }),
];

describe("expected rollups", () => {
  test("windows of a minute and of an hour, numbers only", () => {
    const of = { gateway: "g", device: "d", metric: "a" };
    const rollups = expectedRollups(READINGS);
    expect(rollups).toHaveLength(7);
    expect(rollups).toEqual(
      expect.arrayContaining([
        { ...of, resolution: "1m", window: T, count: 2, min: 1, max: 5, sum: 6 },
        { ...of, resolution: "1m", window: T + 60_000, count: 1, min: -3, max: -3, sum: -3 },
        { ...of, resolution: "1h", window: T, count: 3, min: -3, max: 5, sum: 3 },
        { ...of, resolution: "1h", window: T + HOUR, count: 1, min: 7, max: 7, sum: 7 },
      ]),
    );
  });

  test("readings at the same moment all count, and names never run into each other", () => {
    const twice = expectedRollups([reading(T, { a: 1 }), reading(T, { a: 1 })]);
    expect(twice.map(({ count }) => count)).toEqual([2, 2]);
    const names = expectedRollups([reading(T, { "b/c": 1 }, "a"), reading(T, { c: 1 }, "a/b")]);
    expect(names).toHaveLength(4);
  });
});

describe("comparison", () => {
  const expected = expectedRollups(READINGS);
  const changed = (index: number, change: Partial<OracleRollup>) =>
    expected.map((one, at) => (at === index ? { ...one, ...change } : one));

  test("what agrees has no differences, sums to the last digits", () => {
    expect(compareRollups(expected, expected.toReversed())).toEqual([]);
    expect(compareRollups(expected, changed(0, { sum: 6 + 1e-12 }))).toEqual([]);
  });

  test.each([
    ["a lost reading", { count: 1 }, "different"],
    ["a reading counted twice", { count: 3 }, "different"],
    ["a wrong minimum", { min: 0.999999 }, "different"],
    ["a wrong maximum", { max: 5.000001 }, "different"],
    ["a wrong sum", { sum: 6.0001 }, "different"],
  ] as const)("%s is found", (_, change, kind) => {
    const found = compareRollups(expected, changed(0, change));
    expect(found).toEqual([{ kind, expected: expected[0], actual: { ...expected[0], ...change } }]);
  });

  test("windows that are missing, unexpected or there twice are found", () => {
    expect(compareRollups(expected, expected.slice(1))).toEqual([
      { kind: "missing", expected: expected[0] },
    ]);
    expect(compareRollups(expected.slice(1), expected)).toEqual([
      { kind: "unexpected", actual: expected[0] },
    ]);
    const [first] = expected;
    if (!first) throw new Error("no rollups");
    expect(compareRollups(expected, [...expected, first])).toEqual([
      { kind: "twice", actual: first },
    ]);
  });
});
