import fc from "fast-check";
import { expect, test } from "vitest";
import {
  blockCount,
  blockTime,
  decodeBlock,
  encodeBlock,
  finishBlock,
  inBlocks,
  isWhole,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_RECORDS,
  type NewRecord,
} from "./block.ts";
import { blockKey } from "./keys.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const record: fc.Arbitrary<NewRecord> = fc.record({
  key: fc.option(text),
  headers: fc.dictionary(fc.oneof(text, fc.constant("__proto__")), text, { maxKeys: 6 }),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
});

test("records come out of a block as they went in", () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 40 }), (records) => {
      const key = blockKey(3, 1, 1000);
      const block = encodeBlock(records);
      finishBlock(block, key, 1_700_000_000_123);
      expect(isWhole(block, key)).toBe(true);
      expect(blockTime(block)).toBe(1_700_000_000_123);
      expect(blockCount(block)).toBe(records.length);
      for (const [i, out] of decodeBlock("t", 1, 1000, block).entries()) {
        const given = records[i] as NewRecord;
        expect(out).toMatchObject({ topic: "t", partition: 1, offset: 1001 - records.length + i });
        expect(out.key).toBe(given.key);
        expect(Object.entries(out.headers)).toEqual(Object.entries(given.headers));
        expect(out.value && [...out.value]).toEqual(given.value && [...given.value]);
      }
    }),
  );
});

test("any flipped bit, a cut and another key are found out", () => {
  const key = blockKey(1, 0, 5);
  const headers = { ce_id: "e000000001-5" };
  const block = encodeBlock([{ key: "gw", headers, value: new Uint8Array(20) }]);
  finishBlock(block, key, 1);
  for (let bit = 0; bit < block.length * 8; bit++) {
    const bad = Buffer.from(block);
    bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(isWhole(bad, key)).toBe(false);
  }
  for (let length = 0; length < block.length; length++) {
    expect(isWhole(block.subarray(0, length), key)).toBe(false);
  }
  expect(isWhole(block, blockKey(1, 0, 6))).toBe(false);
});

test("records are cut into blocks by count and by bytes, none lost", () => {
  const small = Array.from({ length: 2500 }, (_, i) => ({ key: `${i}`, headers: {}, value: null }));
  expect(inBlocks(small).map((some) => some.length)).toEqual([
    MAX_BLOCK_RECORDS,
    MAX_BLOCK_RECORDS,
    500,
  ]);
  expect(inBlocks(small).flat()).toEqual(small);
  const value = new Uint8Array(MAX_BLOCK_BYTES / 2);
  const large = Array.from({ length: 5 }, () => ({ key: "", headers: {}, value }));
  expect(inBlocks(large).map((some) => some.length)).toEqual([2, 2, 1]);
  expect(inBlocks([])).toEqual([]);
});
