import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pace } from "./pace.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

const signal = new AbortController().signal;
const moment = () => Date.now();

test("over any time no more is sent than it was set to, but for what was saved up", async () => {
  const pace = new Pace(1000, moment, signal);
  let sent = 0;
  const sending = (async () => {
    while (sent < 60_000) {
      await pace.take(500);
      sent += 500;
    }
  })();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(sent).toBeGreaterThanOrEqual(20_000);
  expect(sent).toBeLessThanOrEqual(21_500);
  await vi.runAllTimersAsync();
  await sending;
  expect(Date.now()).toBeGreaterThan(57_000);
});

test("after a quiet time a little goes at once, and a large batch is paid for after", async () => {
  const pace = new Pace(1000, moment, signal);
  await vi.advanceTimersByTimeAsync(60_000);
  await pace.take(2900);
  await pace.take(50_000);
  expect(Date.now()).toBe(60_000);
  const next = pace.take(1);
  await vi.runAllTimersAsync();
  await next;
  expect(Date.now()).toBeGreaterThan(60_000 + 49_000);
});

test("a wait ends with the signal", async () => {
  const abort = new AbortController();
  const pace = new Pace(1, moment, abort.signal);
  await pace.take(1_000_000);
  const next = pace.take(1);
  abort.abort();
  await next;
});
