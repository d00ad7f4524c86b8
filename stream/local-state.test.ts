import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../events/codec.ts";
import { type Checkpoint, type LocalState, MemoryStates, StoredStates } from "./local-state.ts";

const CHANGELOG = "test.count-changelog.v1";

let directory = "";
const opened = new Set<StoredStates>();
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidegate-state-"));
});
afterEach(async () => {
  for (const one of opened) await one.close();
  opened.clear();
  await rm(directory, { recursive: true, force: true });
});

async function stored(): Promise<StoredStates> {
  const states = new StoredStates(join(directory, "state"));
  opened.add(states);
  await states.open();
  return states;
}

async function keysOf(state: LocalState, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const some of state.keys(prefix)) found.push(...some);
  return found.toSorted();
}

type Put = { readonly key: string; readonly value: Uint8Array | null };

async function write(state: LocalState, puts: readonly Put[], checkpoint?: Checkpoint) {
  const change = state.begin();
  for (const { key, value } of puts) change.set(key, value);
  await change.write(checkpoint);
}

const put = (key: string, value: unknown) => ({ key, value: encodeCbor(value) });
const held = (state: LocalState, key: string) => {
  const value = state.get(key);
  return value && decodeCbor(value);
};
const at = (offset: number) => ({ offset, positions: encodeCbor({ in: offset }), at: 5 });

test.each([
  ["in memory", async () => new MemoryStates()],
  ["on disk", stored],
])(
  "%s, partitions and topologies stand apart; what is deleted is gone; a checkpoint goes with its changes",
  async (_, make) => {
    const states = await make();
    const one = states.of(CHANGELOG, 1);
    const eleven = states.of(CHANGELOG, 11);
    const other = states.of("test.count-changelog.v2", 1);
    expect(await one.checkpoint()).toBeUndefined();
    await write(one, [put("a/1", 1), put("a/2", 2), put("b", 3)], at(7));
    await write(eleven, [put("a/1", 11)]);
    await write(other, [put("a/1", "other")], at(1));
    await write(one, [{ key: "a/2", value: null }, put("", "empty"), put("é", 4)]);
    expect(await one.checkpoint()).toEqual(at(7));
    expect(await eleven.checkpoint()).toBeUndefined();
    expect(await keysOf(one, "")).toEqual(["", "a/1", "b", "é"]);
    expect(await keysOf(one, "a/")).toEqual(["a/1"]);
    expect([held(one, "a/1"), held(eleven, "a/1"), held(other, "a/1")]).toEqual([1, 11, "other"]);
    expect([held(one, "a/2"), held(one, "é")]).toEqual([undefined, 4]);
    const dropped = one.begin();
    dropped.set("b", encodeCbor("never"));
    await dropped.discard();
    expect(held(one, "b")).toBe(3);
    await one.clear();
    expect([await keysOf(one, ""), await one.checkpoint()]).toEqual([[], undefined]);
    expect([held(eleven, "a/1"), held(other, "a/1")]).toEqual([11, "other"]);
  },
);

test("what was written is there after a restart", async () => {
  const first = await stored();
  await write(first.of(CHANGELOG, 0), [put("k", { n: 1 })], at(3));
  await first.close();
  const again = (await stored()).of(CHANGELOG, 0);
  expect([held(again, "k"), await again.checkpoint()]).toEqual([{ n: 1 }, at(3)]);
});

test("a second program on the same directory is told which, and what to do", async () => {
  await stored();
  const second = new StoredStates(join(directory, "state"));
  await expect(second.open()).rejects.toMatchObject({
    code: "in_use",
    message: expect.stringMatching(/state.*--data-dir/),
  });
});

test.each(["CURRENT", "MANIFEST"])(
  "a store without its %s is made anew: the changelog has it all",
  async (gone) => {
    const first = await stored();
    await write(first.of(CHANGELOG, 0), [put("k", 1)], at(3));
    await first.close();
    const folder = join(directory, "state");
    for (const name of await readdir(folder)) {
      if (name.startsWith(gone)) await rm(join(folder, name));
    }
    const again = (await stored()).of(CHANGELOG, 0);
    expect([held(again, "k"), await again.checkpoint()]).toEqual([undefined, undefined]);
  },
);

test("a damaged value is never given out", async () => {
  const first = await stored();
  const state = first.of(CHANGELOG, 0);
  await write(state, [put("k", "a value that stands out")], at(3));
  await first.close();
  const folder = join(directory, "state");
  let flipped = 0;
  for (const name of await readdir(folder)) {
    if (!/\.(log|ldb)$/.test(name)) continue;
    const file = await open(join(folder, name), "r+");
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(65536) });
    const found = buffer.subarray(0, bytesRead).indexOf("stands out");
    if (found >= 0) {
      await file.write(Buffer.from("S"), 0, 1, found);
      flipped += 1;
    }
    await file.close();
  }
  expect(flipped).toBe(1);
  // LevelDB drops the end of a log that it finds damaged; a table it may give out as it is.
  const again = (await stored()).of(CHANGELOG, 0);
  let given: unknown;
  try {
    given = held(again, "k");
  } catch (error) {
    expect((error as Error).message).toContain("damaged on disk");
  }
  expect(given).toBeUndefined();
});
