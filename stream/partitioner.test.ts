import { expect, test } from "vitest";
import { murmur2, partitionOf } from "./partitioner.ts";

// From Apache Kafka's own UtilsTest.testMurmur2.
test.each([
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
])("murmur2 of %j is Java's", (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test("a key goes to the positive hash modulo the partitions", () => {
  expect(partitionOf("abc", 7)).toBe(479470107 % 7);
  expect(partitionOf("21", 7)).toBe((-973932308 & 0x7fffffff) % 7);
  expect(partitionOf("", 1)).toBe(0);
});

test("a key is hashed as UTF-8", () => {
  expect(partitionOf("kühlraum-7", 1000)).toBe(
    (murmur2(new TextEncoder().encode("kühlraum-7")) & 0x7fffffff) % 1000,
  );
});

test("no partition at all is a bug of the caller's", () => {
  expect(() => partitionOf("a", 0)).toThrow("at least one partition");
});
