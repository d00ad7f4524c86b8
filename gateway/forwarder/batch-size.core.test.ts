import fc from "fast-check";
import { expect, test } from "vitest";
import { FIRST_BYTES, nextBatchBytes } from "./batch-size.core.ts";

const MOST = 512 * 1024;

/** Full batches over a link of so many bytes a second and this round trip. @returns the sizes, batch by batch */
function over(bytesPerSecond: number, roundTripMs: number, batches: number): number[] {
  let size = FIRST_BYTES;
  return Array.from({ length: batches }, () => {
    const ms = roundTripMs + (size / bytesPerSecond) * 1000;
    size = nextBatchBytes(size, { bytes: size, ms, tries: 1 }, MOST);
    return size;
  });
}

test("on a good link batches are as large as they may be after a few", () => {
  expect(over(50e6, 2, 5).at(-1)).toBe(MOST);
});

test("on a slow link they settle at what takes about a second", () => {
  for (const bytesPerSecond of [8_000, 40_000, 200_000]) {
    const settled = over(bytesPerSecond, 300, 40).slice(10);
    for (const size of settled) {
      const seconds = 0.3 + size / bytesPerSecond;
      expect(seconds).toBeLessThan(2.5);
      expect(seconds).toBeGreaterThan(0.4);
    }
  }
});

test("a small batch that was quick says nothing of larger ones; a try that failed halves", () => {
  expect(nextBatchBytes(64_000, { bytes: 500, ms: 5, tries: 1 }, MOST)).toBe(64_000);
  expect(nextBatchBytes(64_000, { bytes: 60_000, ms: 5, tries: 2 }, MOST)).toBe(32_000);
});

test("whatever the link does, a batch is neither nothing nor more than allowed", () => {
  const sent = fc.record({
    bytes: fc.nat(2_000_000),
    ms: fc.oneof(fc.nat(200_000), fc.constant(0)),
    tries: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(sent), fc.integer({ min: 1024, max: MOST }), (all, most) => {
      let size = Math.min(FIRST_BYTES, most);
      for (const one of all) {
        size = nextBatchBytes(size, one, most);
        expect(size).toBeGreaterThanOrEqual(1024);
        expect(size).toBeLessThanOrEqual(most);
      }
    }),
  );
});
