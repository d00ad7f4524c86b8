import { mkdtemp, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { all, Collector, held, record, spec } from "../conformance/harness.ts";
import type { StoredRecord } from "../port.ts";
import { openLevel } from "./database.ts";
import { EmbeddedEventLog } from "./embedded-event-log.ts";
import type { EmbeddedEventLogOptions } from "./options.ts";

async function fresh(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function opened(
  directory: string,
  options: Partial<EmbeddedEventLogOptions> = {},
): Promise<EmbeddedEventLog> {
  const log = new EmbeddedEventLog({ directory, ...options });
  await log.start();
  onTestFinished(() => log.stop());
  return log;
}

test("a second log on the directory gets `in_use` and what to do", async () => {
  const directory = await fresh();
  const first = await opened(directory);
  const second = new EmbeddedEventLog({ directory });
  await expect(second.start()).rejects.toMatchObject({
    code: "in_use",
    message: expect.stringMatching(/open in another process; stop that one, or give .* another/),
  });
  await first.stop();
  await second.start();
  await second.stop();
});

test("a directory that cannot be made is a storage error with the path", async () => {
  const directory = await fresh();
  await writeFile(join(directory, "file"), "");
  const log = new EmbeddedEventLog({ directory: join(directory, "file", "below") });
  await expect(log.start()).rejects.toMatchObject({
    code: "storage",
    message: expect.stringContaining(join(directory, "file", "below")),
  });
});

test("a store whose CURRENT is gone is not replaced by an empty one", async () => {
  const directory = await fresh();
  const log = await opened(directory);
  await log.createTopics([spec("t")]);
  await log.append("t", [record("a", 1)]);
  await log.stop();
  const current = join(directory, "db", "CURRENT");
  const kept = await readFile(current);
  await unlink(current);
  const broken = new EmbeddedEventLog({ directory });
  await expect(broken.start()).rejects.toMatchObject({ code: "storage" });
  await writeFile(current, kept);
  expect((await all((await opened(directory)).read("t"))).map(held)).toEqual([1]);
});

test.each([
  ['{"format":2}', /made by a newer version/],
  ["nonsense", /not a format marker/],
])("the marker %s is refused", async (marker, message) => {
  const directory = await fresh();
  await (await opened(directory)).stop();
  await writeFile(join(directory, "tidegate-log.json"), marker);
  await expect(new EmbeddedEventLog({ directory }).start()).rejects.toMatchObject({
    code: "storage",
    message: expect.stringMatching(message),
  });
});

test("tables without a marker are left alone", async () => {
  const directory = await fresh();
  const log = await opened(directory);
  await log.stop();
  await unlink(join(directory, "tidegate-log.json"));
  await writeFile(join(directory, "db", "000123.ldb"), "");
  await expect(new EmbeddedEventLog({ directory }).start()).rejects.toMatchObject({
    code: "storage",
    message: expect.stringContaining("holds tables but no tidegate-log.json"),
  });
});

test("a damaged block is left out, counted, and the rest is read", async () => {
  const directory = await fresh();
  const log = await opened(directory);
  await log.createTopics([spec("t")]);
  for (let i = 0; i < 3; i++) await log.append("t", [record("a", i)]);
  await log.stop();
  const level = await openLevel(join(directory, "db"), false);
  const blocks = await level.iterator({ gte: Buffer.from("r"), lt: Buffer.from("s") }).all();
  const [key, value] = blocks[1] as [Buffer, Buffer];
  value[value.length - 1] = (value.at(-1) as number) ^ 1;
  await level.put(key, value);
  await level.close();
  const again = await opened(directory);
  expect((await all(again.read("t"))).map(held)).toEqual([0, 2]);
  expect(again.stats().damagedBlocks).toBe(1);
});

test("a record over the limit is refused as it is, and nothing of its call is stored", async () => {
  const log = await opened(await fresh(), { maxRecordBytes: 100 });
  await log.createTopics([spec("t")]);
  const big = { key: "a", headers: {}, value: new Uint8Array(100) };
  await expect(log.append("t", [record("a", 1), big])).rejects.toMatchObject({ code: "invalid" });
  expect(await all(log.read("t"))).toEqual([]);
});

test("what waits to be written is bounded", async () => {
  const log = await opened(await fresh(), { maxPendingBytes: 1000 });
  await log.createTopics([spec("t")]);
  const value = new Uint8Array(600);
  const first = log.append("t", [{ key: "a", headers: {}, value }]);
  await expect(log.append("t", [{ key: "a", headers: {}, value }])).rejects.toMatchObject({
    code: "storage",
    message: expect.stringContaining("the disk does not keep up"),
  });
  await first;
  await log.append("t", [{ key: "a", headers: {}, value }]);
  expect(await all(log.read("t"))).toHaveLength(2);
});

test("appends that wait share one fsync", async () => {
  const log = await opened(await fresh());
  await log.createTopics([spec("t", 4)]);
  const before = log.stats().groups;
  await Promise.all(Array.from({ length: 500 }, (_, i) => log.append("t", [record(`k${i}`, i)])));
  expect(log.stats().groups - before).toBeLessThanOrEqual(2);
  expect(await all(log.read("t"))).toHaveLength(500);
});

test("a compacted topic keeps one record for each key, and live tails see every tombstone", async () => {
  let now = 1_700_000_000_000;
  const log = await opened(await fresh(), { now: () => now, tombstoneRetentionMs: 1000 });
  await log.createTopics([spec("c", 1, "compact")]);
  const seen = new Collector<StoredRecord>();
  const tail = log.tail(["c"], { from: "start", onRecords: seen.add });
  await tail.start();
  for (let i = 0; i < 5; i++) await log.append("c", [record("a", i), record("b", i)]);
  await log.append("c", [record("a", null)]);
  await tail.caughtUp();
  expect(seen.items.at(-1)).toMatchObject({ key: "a", value: null });
  expect((await all(log.read("c"))).map((one) => [one.key, held(one)])).toEqual([
    ["b", 4],
    ["a", undefined],
  ]);
  // One that was away for less than the retention still sees it; then it goes, and the key's bytes with it.
  now += 1000;
  expect(await log.sweep()).toMatchObject({ tombstones: 0 });
  now += 1;
  expect(await log.sweep()).toMatchObject({ tombstones: 1 });
  expect((await all(log.read("c"))).map((one) => one.key)).toEqual(["b"]);
  const [range] = await log.ranges("c");
  expect(range?.end).toBe(11);
  await log.append("c", [record("b", null)]);
  await log.append("c", [record("b", 9)]);
  now += 5000;
  await log.sweep();
  expect((await all(log.read("c"))).map((one) => [one.key, held(one)])).toEqual([["b", 9]]);
  await log.append("c", [record("b", null)]);
  now += 5000;
  await log.sweep();
  expect(log.stats().bytes).toBe(0);
});

test("a clock that jumps by years, and starts at 1970, deletes nothing that is young, also over a restart", async () => {
  const DAY = 86_400_000;
  const noon = Date.UTC(2026, 10, 21, 12);
  let now = 5000;
  let moment = 0;
  const directory = await fresh();
  const options = { now: () => now, moment: () => moment };
  const log = await opened(directory, options);
  await log.createTopics([{ ...spec("d"), retentionMs: 90 * DAY }]);
  const held = async (one: typeof log) => (await all(one.read("d"))).length;
  const minute = async (one: typeof log) => {
    now += 60_000;
    moment += 60_000;
    await one.append("d", [record("a", 1)]);
    await one.sweep();
  };
  // Not set, set, ten years ahead for five minutes, a restart meanwhile, and back.
  await minute(log);
  now = noon;
  for (let i = 0; i < 5; i += 1) await minute(log);
  now += 3650 * DAY;
  for (let i = 0; i < 3; i += 1) await minute(log);
  await log.stop();
  moment = 0;
  const again = await opened(directory, options);
  for (let i = 0; i < 2; i += 1) await minute(again);
  now -= 3650 * DAY;
  await minute(again);
  expect(await held(again)).toBe(12);
  // What was sent in 1970 and in 2036 goes with what was sent around it.
  for (let day = 0; day < 91; day += 1) {
    now += DAY;
    moment += DAY;
    await again.sweep();
  }
  expect(await held(again)).toBe(0);
});

test("records past their retention go, the offsets go on, also after a restart", async () => {
  let now = 1_700_000_000_000;
  const directory = await fresh();
  const log = await opened(directory, { now: () => now });
  await log.createTopics([
    { ...spec("d"), retentionMs: 1000 },
    { ...spec("cd", 1, "compact,delete"), retentionMs: 1000 },
    spec("kept"),
  ]);
  for (const topic of ["d", "cd", "kept"])
    await log.append(topic, [record("a", 1), record("b", 1)]);
  now += 600;
  for (const topic of ["d", "cd", "kept"]) await log.append(topic, [record("b", 2)]);
  now += 500;
  await log.sweep();
  expect((await all(log.read("d"))).map(held)).toEqual([2]);
  expect((await all(log.read("cd"))).map(held)).toEqual([2]);
  expect(await all(log.read("kept"))).toHaveLength(3);
  expect(await log.ranges("d")).toMatchObject([{ start: 2, end: 3 }]);
  now += 5000;
  await log.sweep();
  expect(await log.ranges("d")).toMatchObject([{ start: 3, end: 3 }]);
  await log.stop();
  const again = await opened(directory, { now: () => now });
  expect(await again.ranges("d")).toMatchObject([{ start: 3, end: 3 }]);
  for (const topic of ["d", "cd"]) await again.append(topic, [record("a", 3)]);
  expect(await all(again.read("d"))).toMatchObject([{ offset: 3 }]);
  expect(await all(again.read("cd"))).toMatchObject([{ offset: 3, key: "a" }]);
});

test("over the cap the oldest records go, whichever topic they are of, and compacted ones stay", async () => {
  let now = 1_700_000_000_000;
  const log = await opened(await fresh(), { now: () => now++, maxBytes: 100_000 });
  await log.createTopics([spec("one"), spec("two", 2), spec("c", 1, "compact")]);
  const value = new Uint8Array(1000);
  for (let i = 0; i < 150; i++) {
    await log.append(i % 2 ? "one" : "two", [{ key: `k${i}`, headers: { i: `${i}` }, value }]);
    await log.append("c", [record(`k${i}`, i)]);
  }
  await log.sweep();
  expect(log.stats().cappedBytes).toBeLessThanOrEqual(100_000);
  expect(log.stats().cappedBytes).toBeGreaterThan(95_000);
  const left = [...(await all(log.read("one"))), ...(await all(log.read("two")))]
    .map((one) => Number(one.headers.i))
    .toSorted((a, b) => a - b);
  expect(left).toEqual(Array.from({ length: left.length }, (_, i) => 150 - left.length + i));
  expect(await all(log.read("c"))).toHaveLength(150);
});

test("a topology runs once at a time", async () => {
  const log = await opened(await fresh());
  await log.createTopics([spec("in"), spec("changelog", 1, "compact")]);
  const topology = {
    name: "twin",
    inputs: ["in"],
    outputs: [],
    changelog: "changelog",
    step: () => ({ state: [], outputs: [] }),
  };
  const first = log.process(topology);
  await first.start();
  const second = log.process(topology);
  await expect(second.start()).rejects.toMatchObject({ code: "invalid" });
  await first.stop();
  await second.start();
  await second.caughtUp();
});
