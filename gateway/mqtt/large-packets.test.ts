import { afterEach, expect, test, vi } from "vitest";
import { LargePackets } from "./large-packets.ts";

afterEach(() => {
  vi.useRealTimers();
});

function gatherer() {
  const told: string[] = [];
  return {
    told,
    gathered: 0,
    roomAgain: () => told.push("room"),
    tooSlow: () => told.push("slow"),
  };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("one packet always fits; the next ones wait, and come in their order", async () => {
  const large = new LargePackets(100, 10);
  const [a, b, c] = [gatherer(), gatherer(), gatherer()];
  expect(large.claim(a, 100)).toBe(true);
  expect(large.claim(b, 60)).toBe(false);
  // It would fit, but is not before its turn.
  expect(large.claim(c, 1)).toBe(false);
  large.whole(a);
  large.give(50);
  await turn();
  expect([b.told, c.told]).toEqual([["room"], []]);
  expect(large.claim(b, 60)).toBe(false);
  large.give(50);
  await turn();
  expect(large.claim(b, 60)).toBe(true);
  await turn();
  expect(c.told).toEqual(["room"]);
  expect(large.claim(c, 40)).toBe(true);
  expect(large.bytes).toBe(100);
});

test("who leaves gives back what it gathered, or makes way for those behind it", async () => {
  const large = new LargePackets(100);
  const limited = new LargePackets(100, 100);
  const [a, b, c] = [gatherer(), gatherer(), gatherer()];
  expect(large.claim(a, 100)).toBe(true);
  large.leave(a);
  expect(large.bytes).toBe(0);
  expect(limited.claim(a, 100)).toBe(true);
  expect(limited.claim(b, 50)).toBe(false);
  expect(limited.claim(c, 50)).toBe(false);
  limited.leave(b);
  limited.leave(a);
  await turn();
  expect(b.told).toEqual([]);
  expect(c.told).toContain("room");
  expect(limited.claim(c, 50)).toBe(true);
});

test("who holds room and sends nothing is told so, but only while others wait", () => {
  vi.useFakeTimers();
  const large = new LargePackets(100, 100, 1000);
  const [silent, busy, waits] = [gatherer(), gatherer(), gatherer()];
  expect(large.claim(silent, 50)).toBe(true);
  expect(large.claim(busy, 50)).toBe(true);
  vi.advanceTimersByTime(100_000);
  expect(silent.told).toEqual([]);
  expect(large.claim(waits, 50)).toBe(false);
  for (let i = 1; i <= 3; i += 1) {
    busy.gathered = i * 20_000;
    vi.advanceTimersByTime(1000);
  }
  expect(silent.told).toEqual(["slow", "slow", "slow"]);
  expect(busy.told).toEqual([]);
});
