import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crc32c, tableFault } from "./level-sound.core.ts";
import { groupKey, openStore, putGroup } from "./level-store.ts";

let directory = "";
const tables: Buffer[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-table-"));
  const path = join(directory, "store");
  const store = await openStore(path, true);
  const batch = store.batch();
  for (let i = 1; i <= 300; i += 1) putGroup(batch, i, Buffer.alloc(1 + i * 3, 1 + (i % 255)));
  await batch.write({ sync: true });
  await store.compactRange(groupKey(1), groupKey(300));
  await store.close();
  for (const name of readdirSync(path)) {
    if (name.endsWith(".ldb")) tables.push(readFileSync(join(path, name)));
  }
  const fixture = join(import.meta.dirname, "../../test/fixtures/buffer-v1/killed/000005.ldb");
  tables.push(readFileSync(fixture));
});
afterAll(() => rm(directory, { recursive: true }));

test("the checksum is that of the standard", () => {
  expect(crc32c(Buffer.from("123456789"), 0, 9)).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255), 0, 32)).toBe(0x62a8ab43);
});

describe("a table", () => {
  test("that LevelDB wrote is sound, of both formats", () => {
    expect(tables.length).toBeGreaterThan(1);
    expect(tables.map(tableFault)).toEqual(tables.map(() => undefined));
  });

  test("is not with any byte changed, but for the padding of its end", () => {
    for (const table of tables) {
      const missed: number[] = [];
      for (let at = 0; at < table.length; at += at < table.length - 60 ? 11 : 1) {
        const changed = Buffer.from(table);
        changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at & 7)), at);
        if (tableFault(changed) === undefined) missed.push(at - table.length);
      }
      // Between the two handles of the footer and its magic number there are zeros that nobody reads.
      expect(missed.filter((at) => at < -44 || at >= -8)).toEqual([]);
    }
  });

  test("is not when it is cut, zeroed or nothing at all", () => {
    for (const table of tables) {
      for (const length of [0, 1, 47, 48, 100, table.length >> 1, table.length - 1]) {
        expect(tableFault(table.subarray(0, length)), `cut to ${length}`).toBeDefined();
      }
      for (let at = 0; at < table.length; at += 512) {
        const zeroed = Buffer.from(table).fill(0, at, Math.min(at + 512, table.length));
        expect(tableFault(zeroed), `zeroed at ${at}`).toBeDefined();
      }
    }
  });
});
