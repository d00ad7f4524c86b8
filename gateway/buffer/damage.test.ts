/**
 * Every kind of file of a buffer flipped, cut, zeroed, swapped and deleted: it always starts, gives back nothing but
 * what was acknowledged, and what it declares lost is what is not there any more. Clauses are those of docs/spec/buffer.md.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import {
  cp,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { event } from "./conformance.ts";
import { openStore } from "./level-store.ts";
import type { LevelBuffer } from "./leveldb.ts";
import type { BufferedEvent } from "./port.ts";
import { sealed } from "./sealed.core.ts";
import {
  type Acknowledged,
  ALL,
  bufferIn,
  hex,
  idOf,
  judge,
  temporary,
  type Use,
  use,
} from "./used-buffer.ts";

/** Enough for tables of LevelDB and a log of half a megabyte behind them. */
const READINGS = 3200;
const RELEASED = 500;
/** The largest group: what a damaged sector can take with it. */
const GROUP = 37;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function directory(): string {
  const made = temporary();
  cleanups.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function opened(root: string): Promise<LevelBuffer> {
  const buffer = bufferIn(root);
  cleanups.push(() => buffer.stop());
  await buffer.start();
  return buffer;
}

async function used(onHalf?: Use["onHalf"]) {
  const how = { readings: READINGS, released: RELEASED, group: GROUP };
  return await use(directory(), onHalf ? { ...how, onHalf } : how);
}

/** Starts on what is there, judges it, uses it and starts once more. */
async function survive(root: string, acknowledged: Acknowledged) {
  const first = await opened(root);
  const stats = first.stats();
  const { released } = stats.positions;
  const verdict = judge(acknowledged, await first.read(released, ALL));
  expect(stats.state).toBe("open");
  expect(stats.lost.damage).toBe(verdict.declared);
  const { to } = await first.append([event("afterwards")]);
  acknowledged.set(idOf(stats.epoch, to), hex(event("afterwards").value));
  await first.stop();
  // What was salvaged is whole: the next start finds nothing and begins no epoch.
  const second = await opened(root);
  expect(second.stats()).toMatchObject({ epoch: stats.epoch, accepted: to, lost: { damage: 0 } });
  const events = await second.read(released, ALL);
  expect(judge(acknowledged, events)).toEqual({ ...verdict, present: verdict.present + 1 });
  return { ...verdict, epoch: stats.epoch, events };
}

const KINDS = {
  log: /\.log$/,
  table: /\.ldb$/,
  manifest: /^MANIFEST/,
  current: /^CURRENT$/,
} as const;
type Kind = keyof typeof KINDS | "mark";

function fileOf(root: string, kind: Kind): string {
  if (kind === "mark") return join(root, "buffer.mark");
  const store = join(root, "buffer");
  // LevelDB leaves an empty log or two behind: the largest file is the one that matters.
  const [name] = readdirSync(store)
    .filter((each) => KINDS[kind].test(each))
    .sort((a, b) => statSync(join(store, b)).size - statSync(join(store, a)).size);
  if (!name) throw new Error(`the store has no ${kind}`);
  return join(store, name);
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  await writeInPlace(path, bytes, 0);
}

async function zero(path: string, at: number, length: number): Promise<void> {
  await writeInPlace(path, Buffer.alloc(length), at);
}

/** As a disk decays: the file stays the file that it is. */
async function writeInPlace(path: string, bytes: Buffer, at: number): Promise<void> {
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

/** A damage, and how many readings it may take with it at most. */
interface Case {
  readonly name: string;
  readonly kind: Kind;
  readonly mayLose: number;
  damage(path: string, size: number): Promise<void>;
}

const everywhere = (kind: Kind, mayLose: number): Case[] =>
  (mayLose > 0 ? [0.02, 0.31, 0.5, 0.77, 0.98] : [0.1, 0.5, 0.9]).map((place) => ({
    name: `a flipped bit at ${place} of the ${kind}`,
    kind,
    mayLose,
    damage: (path, size) => flip(path, Math.floor(size * place)),
  }));

const CASES: readonly Case[] = [
  ...everywhere("log", GROUP),
  ...everywhere("table", GROUP),
  ...everywhere("manifest", 0),
  ...everywhere("current", 0),
  ...everywhere("mark", 0),
  ...(["log", "table"] as const).flatMap((kind): Case[] => [
    {
      name: `a zeroed sector in the ${kind}`,
      kind,
      mayLose: 2 * GROUP,
      damage: (path, size) => zero(path, Math.floor(size / 2 / 512) * 512, 512),
    },
    {
      name: `a ${kind} cut in half`,
      kind,
      mayLose: READINGS,
      damage: (path, size) => truncate(path, Math.floor(size / 2)),
    },
    {
      name: `a ${kind} without its last bytes`,
      kind,
      mayLose: GROUP,
      damage: (path, size) => truncate(path, size - 60),
    },
    { name: `an empty ${kind}`, kind, mayLose: READINGS, damage: (path) => truncate(path, 0) },
    { name: `a deleted ${kind}`, kind, mayLose: READINGS, damage: (path) => rm(path) },
  ]),
  ...(["manifest", "current", "mark"] as const).flatMap((kind): Case[] => [
    { name: `a zeroed ${kind}`, kind, mayLose: 0, damage: (path, size) => zero(path, 0, size) },
    {
      name: `a ${kind} cut in half`,
      kind,
      mayLose: 0,
      damage: (path, size) => truncate(path, Math.floor(size / 2)),
    },
    { name: `an empty ${kind}`, kind, mayLose: 0, damage: (path) => truncate(path, 0) },
    { name: `a deleted ${kind}`, kind, mayLose: 0, damage: (path) => rm(path) },
  ]),
];

describe("damage to the files of a buffer", () => {
  test("[DAMAGE-7] an undamaged one is taken as it is", async () => {
    const { root, epoch, acknowledged } = await used();
    const present = acknowledged.size;
    expect(await survive(root, acknowledged)).toMatchObject({ present, declared: 0, epoch });
    expect(existsSync(join(root, "buffer.secured"))).toBe(false);
  });

  test.each(CASES)("[DAMAGE-1, DAMAGE-2, DAMAGE-3] $name", async ({ kind, mayLose, damage }) => {
    const { root, acknowledged } = await used();
    const path = fileOf(root, kind);
    await damage(path, statSync(path).size);
    const { declared, present } = await survive(root, acknowledged);
    expect(declared).toBeLessThanOrEqual(mayLose);
    if (mayLose < READINGS) expect(present).toBeGreaterThan(0);
  });

  test.each([
    ["log", "table"],
    ["log", "manifest"],
    ["current", "manifest"],
  ] as const)("[DAMAGE-1] %s and %s have changed places", async (a, b) => {
    const { root, acknowledged } = await used();
    const [first, second] = [fileOf(root, a), fileOf(root, b)];
    await rename(first, `${first}.moved`);
    await rename(second, first);
    await rename(`${first}.moved`, second);
    expect((await survive(root, acknowledged)).declared).toBe(0);
  });

  test("[DAMAGE-5, ORDER-3] a store that is gone is declared lost as a whole, and its epoch is closed", async () => {
    const { root, epoch, acknowledged } = await used();
    await rm(join(root, "buffer"), { recursive: true });
    const declared = acknowledged.size;
    const highest = Math.max(...[...acknowledged.keys()].map((id) => Number(id.split("-")[1])));
    const after = await survive(root, acknowledged);
    expect(after).toMatchObject({ present: 0, declared });
    expect(after.epoch).not.toBe(epoch);
    const opening = after.events.find((each) => each.epoch === after.epoch);
    expect(decodeEvent("tidegate.epoch", opening?.value ?? Buffer.of())).toMatchObject({
      ...{ reason: "salvage", previous: { epoch, highest } },
    });
  });

  test("[DAMAGE-5, ORDER-3] an older copy of the store put back: what came after it is declared, nothing counts anew under its numbers", async () => {
    const copy = directory();
    const { root, epoch, acknowledged } = await used((half) =>
      cp(join(half, "buffer"), join(copy, "buffer"), { recursive: true }),
    );
    await rm(join(root, "buffer"), { recursive: true });
    await cp(join(copy, "buffer"), join(root, "buffer"), { recursive: true });
    const after = await survive(root, acknowledged);
    expect(after.epoch).not.toBe(epoch);
    expect(after.declared).toBeGreaterThan(READINGS / 3);
    expect(after.present).toBeGreaterThan(READINGS / 4);
  });

  test("[ORDER-3] an older copy of the whole data directory put back begins a new epoch behind what it holds", async () => {
    const copy = directory();
    const { root, epoch } = await used((half) => cp(half, copy, { recursive: true }));
    await rm(root, { recursive: true });
    await cp(copy, root, { recursive: true });
    const buffer = await opened(root);
    const stats = buffer.stats();
    expect(stats.epoch).not.toBe(epoch);
    expect(stats.lost.damage).toBe(0);
    const events = await buffer.read(0, ALL);
    const opening = events.find((each) => each.epoch === stats.epoch);
    expect(decodeEvent("tidegate.epoch", opening?.value ?? Buffer.of())).toMatchObject({
      ...{ reason: "restored", previous: { epoch, highest: events.at(-2)?.sequence } },
    });
    await buffer.stop();
    // Once it has its new epoch it is this directory's own.
    expect((await opened(root)).stats().epoch).toBe(stats.epoch);
  });

  test("[DAMAGE-4] another gateway's store put here: its readings stay its epoch's, and what was here is declared", async () => {
    const mine = await used();
    const theirs = await used();
    await rm(join(mine.root, "buffer"), { recursive: true });
    await cp(join(theirs.root, "buffer"), join(mine.root, "buffer"), { recursive: true });
    const both = new Map([...mine.acknowledged, ...theirs.acknowledged]);
    expect(await survive(mine.root, both)).toMatchObject({
      ...{ present: theirs.acknowledged.size, declared: mine.acknowledged.size },
    });
  });

  test("[DAMAGE-4] a table of another gateway under the name of ours is no table of ours", async () => {
    const mine = await used();
    const theirs = await used();
    await cp(fileOf(theirs.root, "table"), fileOf(mine.root, "table"));
    const after = await survive(mine.root, mine.acknowledged);
    expect(after.declared).toBeGreaterThan(0);
    expect(after.present).toBeGreaterThan(0);
  });

  test("[DAMAGE-6] the damaged original is kept, the newest two of them", async () => {
    const { root, acknowledged } = await used();
    const kept = () => readdirSync(join(root, "buffer.quarantine")).sort();
    for (const expected of [["1"], ["1", "2"], ["2", "3"]]) {
      await rm(fileOf(root, "current"));
      await survive(root, acknowledged);
      for (const cleanup of cleanups.splice(1)) await cleanup();
      expect(kept()).toEqual(expected);
    }
    expect(readdirSync(join(root, "buffer.quarantine", "3")).some((n) => /\.ldb$/.test(n))).toBe(
      true,
    );
  });

  test("[DAMAGE-1] damage met while it is read is found there too: the readings before it go out, the rest is salvaged", async () => {
    const { root, acknowledged } = await used();
    const buffer = await opened(root);
    const table = fileOf(root, "table");
    // Where the table is mapped, the running store sees it at once.
    await flip(table, Math.floor(statSync(table).size / 2));
    const events: BufferedEvent[] = [];
    for (let after = RELEASED; after < buffer.stats().positions.accepted; ) {
      const signal = AbortSignal.timeout(20_000);
      await buffer.waitBeyond(after, signal);
      const some = await buffer.read(after, { events: 100, bytes: 1e9 }).catch(() => []);
      events.push(...some);
      after = some.at(-1)?.position ?? after;
    }
    expect(judge(acknowledged, events).declared).toBeLessThanOrEqual(GROUP);
    expect(buffer.stats().recoveries).toBe(1);
  });

  test.each(["missing", "changed", "undeclared", "overdeclared"])(
    "the judge finds what is %s",
    async (fault) => {
      const { root, epoch, acknowledged } = await used();
      const events = [...(await (await opened(root)).read(RELEASED, ALL))];
      const [some] = events.splice(100, 1);
      if (!some) throw new Error("no event");
      if (fault === "changed") events.push({ ...some, value: event("other").value });
      if (fault === "undeclared") acknowledged.set(`${epoch}-999999`, "00");
      if (fault === "overdeclared") acknowledged.set(`${some.epoch}-${some.sequence}`, "00");
      expect(() => judge(acknowledged, events)).toThrow(/lost and not declared|another value/);
    },
  );

  test.each(["clean", "killed"])(
    "[FORMAT-1] a store of format 1 is read and goes on under its epoch (%s)",
    async (which) => {
      const root = directory();
      const fixture = join(import.meta.dirname, "..", "..", "test", "fixtures", "buffer-v1", which);
      await cp(fixture, join(root, "buffer"), { recursive: true });
      await writeFile(join(root, "buffer", "LOCK"), "");
      const buffer = await opened(root);
      const { epoch, accepted, released } = buffer.stats();
      expect({ epoch, accepted, released }).toEqual(
        which === "clean"
          ? { epoch: "3333333333", accepted: 57, released: 9 }
          : { epoch: "3333333333", accepted: 70, released: 20 },
      );
      const numbers = (await buffer.read(released, ALL)).map(({ type, value }) => {
        const { metrics } = decodeEvent(type as "tidegate.reading", value);
        return metrics.n;
      });
      expect(numbers).toEqual(Array.from({ length: accepted - released }, (_, i) => released + i));
      await buffer.append([event("new")]);
      await buffer.stop();
      const again = await opened(root);
      expect(again.stats()).toMatchObject({ epoch, accepted: accepted + 1, lost: { damage: 0 } });
    },
  );

  test("[FORMAT-2] a store of a later format is refused and not touched", async () => {
    const { root } = await used();
    const store = await openStore(join(root, "buffer"), false);
    const batch = store.batch();
    const key = Buffer.from("mformat");
    const bytes = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;
    batch.put(key, sealed(key, Buffer.from("4")), bytes);
    await batch.write({ sync: true });
    await store.close();
    const before = readdirSync(join(root, "buffer")).filter((name) => /ldb$/.test(name));
    await expect(opened(root)).rejects.toMatchObject({ code: "format" });
    expect(readdirSync(join(root, "buffer"))).toEqual(expect.arrayContaining(before));
    expect(existsSync(join(root, "buffer.quarantine"))).toBe(false);
  });

  test("[DAMAGE-8] what an unfinished start left beside the store is no evidence against it", async () => {
    const { root, acknowledged } = await used();
    // A removal that was cut off, and a salvage that never was one.
    await mkdir(join(root, "buffer.secured"));
    await writeFile(join(root, "buffer.secured", "CURRENT"), "MANIFEST-000002\n");
    await mkdir(join(root, "buffer.salvaged"));
    const log = fileOf(root, "log");
    await flip(log, Math.floor(statSync(log).size / 2));
    expect((await survive(root, acknowledged)).declared).toBeLessThanOrEqual(1);
    expect(existsSync(join(root, "buffer.secured.earlier"))).toBe(false);
  });

  test("[DAMAGE-8] a power cut behind the new epoch, before the mark knows of it: what was released is not lost", async () => {
    const root = directory();
    const mark = join(root, "buffer.mark");
    const first = bufferIn(root, true);
    await first.start();
    const { to } = await first.append([event("a"), event("b"), event("c")]);
    const behind = await readFile(mark);
    await first.release(to);
    await first.stop();
    // Another file, and so a copy; and what a start had written last when the power went was the store.
    await rm(mark);
    for (let start = 0; start < 3; start += 1) {
      await writeFile(mark, behind);
      const buffer = bufferIn(root);
      await buffer.start();
      await buffer.stop();
    }
    const events = await (await opened(root)).read(0, ALL);
    expect(events.map(({ type }) => type)).toEqual(Array(3).fill("tidegate.epoch"));
    const beginnings = events.map(({ value }) => decodeEvent("tidegate.epoch", value));
    expect(beginnings[0]).toMatchObject({ reason: "restored", previous: { highest: to } });
    for (const at of [0, 1]) {
      expect(beginnings[at + 1]?.previous).toEqual({ epoch: events[at]?.epoch, highest: 1 });
    }
  });

  test("[DAMAGE-3] a record of the log whose type was damaged hides no group", async () => {
    const { root, acknowledged } = await used();
    const log = fileOf(root, "log");
    // The first record's type, behind its checksum and length.
    await flip(log, 6);
    expect((await survive(root, acknowledged)).declared).toBe(0);
  });

  test("[DAMAGE-2] what is no file does not keep it from starting", async () => {
    const { root, acknowledged } = await used();
    await mkdir(join(root, "buffer", "lost+found"));
    await mkdir(join(root, "buffer", "000999.ldb"));
    await symlink("nowhere", join(root, "buffer", "000998.log"));
    await rm(join(root, "buffer.mark"));
    await mkdir(join(root, "buffer.mark"));
    expect((await survive(root, acknowledged)).declared).toBe(0);
  });

  test("[ORDER-3] without its mark a store begins a new epoch, however well it was stopped", async () => {
    const { root, epoch, acknowledged } = await used();
    await rm(join(root, "buffer.mark"));
    const after = await survive(root, acknowledged);
    expect(after.declared).toBe(0);
    expect(after.epoch).not.toBe(epoch);
  });

  test("one process at a time, from before it looks at anything: a second one changes nothing", async () => {
    const { root, acknowledged } = await used();
    const log = fileOf(root, "log");
    await flip(log, Math.floor(statSync(log).size / 2));
    const both = await Promise.allSettled([opened(root), opened(root)]);
    const codes = both.map((each) => each.status === "fulfilled" || each.reason.code);
    expect(codes.sort()).toEqual(["in_use", true]);
    for (const cleanup of cleanups.splice(1).reverse()) await cleanup();
    const buffer = await opened(root);
    const events = await buffer.read(buffer.stats().positions.released, ALL);
    expect(judge(acknowledged, events).declared).toBeLessThanOrEqual(1);
  });
});

test("[DAMAGE-7] a table that a compaction had begun when the store was closed is no damage", async () => {
  const { root, epoch, acknowledged } = await used();
  // LevelDB leaves such a file behind, and deletes it unread at the next opening.
  const [table] = readdirSync(join(root, "buffer")).filter((name) => name.endsWith(".ldb"));
  const whole = await readFile(join(root, "buffer", table ?? ""));
  await writeFile(join(root, "buffer", "999999.ldb"), whole.subarray(0, whole.length / 2));
  expect(await survive(root, acknowledged)).toMatchObject({ declared: 0, epoch });
  expect(existsSync(join(root, "buffer", "999999.ldb"))).toBe(false);
});
