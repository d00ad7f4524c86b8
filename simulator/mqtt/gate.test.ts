import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Alarms } from "./alarms.ts";
import { Gate, type GateOptions } from "./gate.ts";

describe("gate", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const now = () => performance.now();
  const gate = (options: Partial<GateOptions>) =>
    new Gate(
      { perSecond: Number.POSITIVE_INFINITY, maxPending: 3, ...options },
      new Alarms(now),
      now,
    );

  test("so many at once and no more; whoever leaves lets the next one in, in turn", async () => {
    const one = gate({});
    const began: number[] = [];
    const passes = Array.from({ length: 6 }, (_, i) => one.enter(() => began.push(i)));
    expect(began).toEqual([]);
    await vi.advanceTimersByTimeAsync(5);
    expect(began).toEqual([0, 1, 2]);
    passes[1]?.leave();
    // Given back twice it is given back once.
    passes[1]?.leave();
    // Does not wait any more.
    passes[3]?.leave();
    await vi.advanceTimersByTimeAsync(5);
    expect(began).toEqual([0, 1, 2, 4]);
    expect(one.pending).toBe(3);
  });

  test("so many a second, and no rush after a rest", async () => {
    const one = gate({ perSecond: 100, maxPending: 1000 });
    let began = 0;
    const enter = (count: number) => {
      for (let i = 0; i < count; i += 1) one.enter(() => began++);
    };
    enter(100);
    await vi.advanceTimersByTimeAsync(500);
    expect(began).toBeGreaterThanOrEqual(48);
    expect(began).toBeLessThanOrEqual(52);
    await vi.advanceTimersByTimeAsync(600);
    expect(began).toBe(100);
    await vi.advanceTimersByTimeAsync(60_000);
    enter(100);
    await vi.advanceTimersByTimeAsync(100);
    expect(began).toBeLessThanOrEqual(115);
  });
});
