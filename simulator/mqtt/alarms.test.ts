import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Alarm, Alarms } from "./alarms.ts";

describe("alarms", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const now = () => performance.now();

  test("ring in the order of their times, whatever is set anew or cleared in between", async () => {
    const step = fc.record({
      who: fc.nat(9),
      inMs: fc.option(fc.nat(100), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const rang: [number, number][] = [];
        const alarms = new Alarms(now);
        const start = now();
        const all = Array.from({ length: 10 }, (_, i) => {
          return new Alarm(() => rang.push([i, now() - start]));
        });
        const wanted = new Map<number, number>();
        for (const { who, inMs } of steps) {
          const alarm = all[who];
          if (!alarm) continue;
          if (inMs === undefined) alarms.clear(alarm);
          else alarms.set(alarm, start + inMs);
          if (inMs === undefined) wanted.delete(who);
          else wanted.set(who, inMs);
        }
        await vi.advanceTimersByTimeAsync(150);
        expect(new Map(rang)).toEqual(wanted);
        const times = rang.map(([, time]) => time);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        expect(all.some(({ isSet }) => isSet)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test("what is set while ringing, for a time that has come, leaves the loop its turn", async () => {
    const alarms = new Alarms(now);
    let rang = 0;
    let between = 0;
    const alarm = new Alarm(() => {
      rang += 1;
      if (rang < 3) {
        alarms.set(alarm, now() - 1000);
        setTimeout(() => {
          between += 1;
        }, 0);
      }
    });
    alarms.set(alarm, now());
    await vi.advanceTimersByTimeAsync(20);
    expect([rang, between]).toEqual([3, 2]);
  });

  test("one timer of the runtime serves them all, and none when nothing is set", () => {
    const alarms = new Alarms(now);
    const many = Array.from({ length: 1000 }, () => new Alarm(() => undefined));
    for (const [i, alarm] of many.entries()) alarms.set(alarm, now() + 1000 - i);
    expect(vi.getTimerCount()).toBe(1);
    alarms.clearAll();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("says by how much it came late itself", async () => {
    const late: number[] = [];
    let time = 0;
    const alarms = new Alarms(
      () => time,
      (ms) => late.push(ms),
    );
    alarms.set(new Alarm(() => undefined), 10);
    time = 35;
    await vi.advanceTimersByTimeAsync(10);
    expect(late).toEqual([25]);
  });
});
