/** Topics, appending, bounded reading, the newest of each key, and errors told by code. */
import { expect, test } from "vitest";
import { partitionOf } from "../partitioner.ts";
import type { EventLog } from "../port.ts";
import { all, type ConformanceHarness, held, keysOf, record, scene, spec } from "./harness.ts";

export function recordTests(harness: ConformanceHarness): void {
  test("records of one partition are read in the order in which they were appended", async () => {
    const s = await scene(harness);
    const log = await s.open();
    await log.createTopics([spec(s.topic("order"))]);
    // Appended without waiting for one another: the order of the calls is the order in the log.
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        log.append(
          s.topic("order"),
          Array.from({ length: 10 }, (_, j) => record("one", i * 10 + j)),
        ),
      ),
    );
    const read = await all(log.read(s.topic("order")));
    expect(read.map(held)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    for (let i = 1; i < read.length; i++) {
      expect(read[i]?.offset).toBeGreaterThan(read[i - 1]?.offset ?? Number.NaN);
    }
  });

  test("keys go to the partition that Java's default partitioner gives them", async () => {
    const s = await scene(harness);
    const log = await s.open();
    await log.createTopics([spec(s.topic("keys"), 5)]);
    const keys = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? `kühlraum-${i}` : `gw-${i}`));
    await log.append(
      s.topic("keys"),
      keys.map((key) => record(key, key)),
    );
    const read = await all(log.read(s.topic("keys")));
    expect(read.map((one) => one.key).toSorted()).toEqual(keys.toSorted());
    for (const one of read) expect(one.partition).toBe(partitionOf(one.key ?? "", 5));
    expect(new Set(read.map((one) => one.partition)).size).toBe(5);
  });

  test("headers, binary values and tombstones come back as they were given", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("shapes");
    await log.createTopics([spec(topic)]);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const before = Date.now();
    await log.append(topic, [
      { key: "a", headers: { ce_id: "1", "content-type": "application/cbor" }, value: bytes },
      { key: "b", headers: {}, value: null },
      { key: "", headers: { "naïve-☃": "grüße 😀", empty: "" }, value: new Uint8Array(0) },
      { key: "big", headers: {}, value: new Uint8Array(300_000).fill(7) },
    ]);
    const after = Date.now();
    const [a, b, c, d] = await all(log.read(topic));
    expect(a).toMatchObject({ topic, partition: 0, key: "a" });
    expect(a?.headers).toEqual({ ce_id: "1", "content-type": "application/cbor" });
    expect([...(a?.value ?? [])]).toEqual([...bytes]);
    expect(b).toMatchObject({ key: "b", headers: {}, value: null });
    expect(c).toMatchObject({ key: "", headers: { "naïve-☃": "grüße 😀", empty: "" } });
    expect(c?.value?.length).toBe(0);
    expect(d?.value?.length).toBe(300_000);
    expect(d?.value?.every((byte) => byte === 7)).toBe(true);
    // The time of sending. One second of grace where a broker on a clock of its own stamps.
    for (const one of [a, b, c, d]) {
      expect(one?.timestamp).toBeGreaterThanOrEqual(before - 1000);
      expect(one?.timestamp).toBeLessThanOrEqual(after + 1000);
    }
  });

  test("createTopics leaves a topic that exists as it is, with what it holds", async () => {
    const s = await scene(harness);
    const log = await s.open();
    await log.createTopics([spec(s.topic("one"), 3)]);
    await log.append(s.topic("one"), [record("a", 1)]);
    await log.createTopics([spec(s.topic("one"), 3), spec(s.topic("two"), 2, "compact")]);
    await log.createTopics([spec(s.topic("one"), 3), spec(s.topic("two"), 2, "compact")]);
    expect(await log.ranges(s.topic("one"))).toHaveLength(3);
    expect(await log.ranges(s.topic("two"))).toHaveLength(2);
    expect((await all(log.read(s.topic("one")))).map(held)).toEqual([1]);
  });

  test("ranges say what each partition holds", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("ranges");
    await log.createTopics([spec(topic, 2)]);
    const empty = await log.ranges(topic);
    expect(empty.map((one) => [one.topic, one.partition])).toEqual([
      [topic, 0],
      [topic, 1],
    ]);
    for (const one of empty) expect(one.end).toBe(one.start);
    const [key = ""] = keysOf(1, 2, 1);
    await log.append(topic, [record(key, 1), record(key, 2)]);
    const [zero, one] = await log.ranges(topic);
    expect(zero?.end).toBe(zero?.start);
    expect((one?.end ?? 0) - (one?.start ?? 0)).toBe(2);
  });

  test("read() begins where it is told and ends at the end as it was", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("bounded");
    await log.createTopics([spec(topic, 2)]);
    const [zero = ""] = keysOf(0, 2, 1);
    const [one = ""] = keysOf(1, 2, 1);
    const numbers = Array.from({ length: 10 }, (_, i) => i);
    await log.append(topic, [
      ...numbers.map((n) => record(zero, n)),
      ...numbers.map((n) => record(one, 100 + n)),
    ]);
    const before = await all(log.read(topic));
    const from = before.find((stored) => stored.key === zero && held(stored) === 6)?.offset ?? -1;
    const some = await all(log.read(topic, new Map([[0, from]])));
    expect(some.filter((stored) => stored.partition === 0).map(held)).toEqual([6, 7, 8, 9]);
    expect(some.filter((stored) => stored.partition === 1)).toHaveLength(10);
    const seen: unknown[] = [];
    for await (const stored of log.read(topic)) {
      // Would never end if what is appended meanwhile were read too.
      if (seen.length < 40) await log.append(topic, [record(zero, 1000), record(one, 1000)]);
      seen.push(held(stored));
    }
    expect(seen).toHaveLength(20);
  });

  test("a read that is left early leaves the log usable", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("early");
    await log.createTopics([spec(topic)]);
    await log.append(topic, [record("a", 1), record("a", 2), record("a", 3)]);
    for await (const stored of log.read(topic)) {
      expect(held(stored)).toBe(1);
      break;
    }
    expect(await all(log.read(topic))).toHaveLength(3);
  });

  test("latest() has the newest record of each key and no deleted keys", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("latest");
    await log.createTopics([spec(topic, 3, "compact")]);
    const keys = Array.from({ length: 12 }, (_, i) => `key-${i}`);
    for (let round = 0; round < 3; round++) {
      await log.append(
        topic,
        keys.map((key) => record(key, round)),
      );
    }
    await log.append(topic, [record("key-3", null), record("key-4", null), record("key-4", 9)]);
    await log.append(topic, [record("key-5", 7), record("key-5", 8)]);
    const latest = await log.latest(topic);
    const found = Object.fromEntries([...latest].map(([key, stored]) => [key, held(stored)]));
    const wanted = Object.fromEntries(keys.map((key) => [key, 2 as unknown]));
    delete wanted["key-3"];
    expect(found).toEqual({ ...wanted, "key-4": 9, "key-5": 8 });
  });

  test("a topic that does not exist is told by code", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("never-made");
    const unknown = { code: "unknown_topic" };
    await expect(log.ranges(topic)).rejects.toMatchObject(unknown);
    await expect(log.append(topic, [record("a", 1)])).rejects.toMatchObject(unknown);
    await expect(all(log.read(topic))).rejects.toMatchObject(unknown);
    await expect(log.latest(topic)).rejects.toMatchObject(unknown);
    // And it was not made by asking for it.
    await expect(log.ranges(topic)).rejects.toMatchObject(unknown);
  });

  test("before start and after stop every call says `closed`", async () => {
    const s = await scene(harness);
    const topic = s.topic("closed");
    const closed = { code: "closed" };
    const allSayClosed = async (log: EventLog) => {
      await expect(log.createTopics([spec(topic)])).rejects.toMatchObject(closed);
      await expect(log.ranges(topic)).rejects.toMatchObject(closed);
      await expect(log.append(topic, [record("a", 1)])).rejects.toMatchObject(closed);
      await expect(all(log.read(topic))).rejects.toMatchObject(closed);
      await expect(log.latest(topic)).rejects.toMatchObject(closed);
    };
    await allSayClosed(s.store.open());
    const log = await s.open();
    await log.start();
    await log.createTopics([spec(topic)]);
    await log.append(topic, [record("a", 1)]);
    await log.stop();
    await log.stop();
    await allSayClosed(log);
  });

  test("what was appended is there after a restart, and appending goes on behind it", async () => {
    const s = await scene(harness);
    const topic = s.topic("kept");
    const first = await s.open();
    await first.createTopics([spec(topic, 2)]);
    await first.append(topic, [record("a", 1), record("b", 2)]);
    const before = await all(first.read(topic));
    await s.close(first);
    const second = await s.open();
    expect(await all(second.read(topic))).toEqual(before);
    await second.append(topic, [record("a", 3)]);
    const ofA = (await all(second.read(topic))).filter((stored) => stored.key === "a");
    expect(ofA.map(held)).toEqual([1, 3]);
  });
}
