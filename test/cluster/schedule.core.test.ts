import { describe, expect, test } from "vitest";
import { LANES, oneOf, type Step, schedule } from "./schedule.core.ts";
import { STRIKES } from "./strike.ts";

function first(count: number, seed: number, lane: (typeof LANES)[number]): Step[] {
  const steps = schedule(seed, lane);
  return Array.from({ length: count }, () => steps.next().value);
}

describe("the schedule of a cluster run", () => {
  test("is the same for the same seed, and another for another", () => {
    for (const lane of LANES) {
      expect(first(40, 5, lane)).toEqual(first(40, 5, lane));
      expect(first(40, 5, lane)).not.toEqual(first(40, 6, lane));
    }
  });

  test("has every kind once before any comes again", () => {
    const kinds = LANES.flatMap((lane) => {
      const all = first(60, 11, lane).map(({ kind }) => kind);
      const count = new Set(all).size;
      expect(new Set(all.slice(0, count)).size).toBe(count);
      expect(new Set(all.slice(count, 2 * count)).size).toBe(count);
      return [...new Set(all)];
    });
    expect(kinds.toSorted()).toEqual(Object.keys(STRIKES).toSorted());
  });

  test("chooses each of some", () => {
    expect([0, 0.34, 0.99].map((whom) => oneOf(["a", "b", "c"], whom))).toEqual(["a", "b", "c"]);
  });
});
