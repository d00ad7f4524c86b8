import { describe, expect, test } from "vitest";
import { groupKey } from "./level-store.ts";
import { tableEntries } from "./level-table.core.ts";

/** An entry as LevelDB writes it at a restart, a put of the order given. */
function entry(first: number, order: number, value: string): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeBigUInt64LE((BigInt(order) << 8n) | 1n);
  const key = Buffer.concat([groupKey(first), tail]);
  return Buffer.concat([Buffer.from([0, key.length, value.length]), key, Buffer.from(value)]);
}

const found = (table: Buffer) =>
  [...tableEntries(table)].map(({ key, value, order }) => [
    Number(key.readBigUInt64BE(1)),
    value?.toString(),
    order,
  ]);

describe("a table read as bytes", () => {
  test("entries are found without index and footer", () => {
    const block = Buffer.concat([entry(7, 1, "seven"), entry(8, 2, "eight"), Buffer.alloc(13)]);
    expect(found(block)).toEqual([
      [7, "seven", 1],
      [8, "eight", 2],
    ]);
  });

  test("bytes between two blocks that look like a short entry hide nothing behind them", () => {
    // A checksum that reads as: a deletion of the key "m'", whose last eight bytes are the next entry's first.
    const checksum = Buffer.from([0, 10, 0, 0x6d, 0x27]);
    expect(found(Buffer.concat([entry(7, 1, "seven"), checksum, entry(8, 2, "eight")]))).toEqual([
      [7, "seven", 1],
      [8, "eight", 2],
    ]);
  });

  test("after damage reading begins again at the next whole key", () => {
    const damaged = Buffer.concat([
      entry(7, 1, "seven"),
      entry(8, 2, "eight"),
      entry(9, 3, "nine"),
    ]);
    damaged[entry(7, 1, "seven").length + 1] = 0xff;
    expect(found(damaged)).toEqual([
      [7, "seven", 1],
      [9, "nine", 3],
    ]);
  });

  test("a value that the file ends in is given as far as it goes, and said to be cut", () => {
    const cut = Buffer.concat([entry(7, 1, "seven"), entry(8, 2, "eight")]).subarray(0, -2);
    const [, last] = [...tableEntries(cut)];
    expect([last?.value?.toString(), last?.cut]).toEqual(["eig", true]);
  });
});
