import { describe, expect, test } from "vitest";
import { childSeed, normalAt, sfc32, uniformAt } from "./random.ts";

describe("random", () => {
  test("a seed gives the same numbers for ever", () => {
    const random = sfc32(7);
    // Pinned: a change here makes every recorded seed mean another run.
    expect([random(), random(), random()]).toEqual([
      0.9572193152271211, 0.6459146025590599, 0.7111868150532246,
    ]);
    expect([uniformAt(7, 0), uniformAt(7, 1_800_000_000_123), uniformAt(7, -5)]).toEqual([
      0.4035509075038135, 0.9606584459543228, 0.04247285216115415,
    ]);
    expect(childSeed(7, "freezer-1")).toBe(4063845131);
  });

  test("seeds, names and indexes differ", () => {
    const first = [1, 2, 3, 4, 5].map((seed) => sfc32(seed)());
    expect(new Set(first).size).toBe(5);
    expect(childSeed(1, "room-1")).not.toBe(childSeed(1, "room-2"));
    expect(childSeed(1, "room-1")).not.toBe(childSeed(2, "room-1"));
    // Indexes that agree in their lower 32 bits are different indexes.
    expect(uniformAt(1, 5)).not.toBe(uniformAt(1, 5 + 2 ** 32));
  });

  test("uniform over [0, 1), normal with mean 0 and deviation 1", () => {
    const count = 20_000;
    const shares = new Array<number>(10).fill(0);
    let mean = 0;
    let square = 0;
    for (let index = 0; index < count; index += 1) {
      const tenth = Math.floor(uniformAt(3, index) * 10);
      shares[tenth] = (shares[tenth] ?? 0) + 1;
      const value = normalAt(3, index);
      mean += value / count;
      square += value ** 2 / count;
    }
    expect(Math.min(...shares)).toBeGreaterThan(count / 10 - 200);
    expect(Math.max(...shares)).toBeLessThan(count / 10 + 200);
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(square - 1)).toBeLessThan(0.05);
  });
});
