/** Tails: live records in order, from a position or an end, one call at a time. */
import { expect, test } from "vitest";
import type { StoredRecord } from "../port.ts";
import {
  Collector,
  type ConformanceHarness,
  deferred,
  held,
  record,
  scene,
  spec,
} from "./harness.ts";

export function tailTests(harness: ConformanceHarness): void {
  test("a tail from the start gets what stands there and what comes", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("live");
    await log.createTopics([spec(topic, 2)]);
    await log.append(topic, [record("a", 1), record("b", 2)]);
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([topic], { from: "start", onRecords: seen.add });
    await tail.start();
    await tail.caughtUp();
    expect(tail.status()).toEqual({ state: "following" });
    expect(seen.items.map(held).toSorted()).toEqual([1, 2]);
    await log.append(topic, [record("a", 3), record("a", 4), record("a", null)]);
    await seen.reaches(5);
    expect(seen.items.filter((one) => one.key === "a").map(held)).toEqual([1, 3, 4, undefined]);
    await tail.stop();
  });

  test("a tail from the end gets only what comes after its start", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("end");
    await log.createTopics([spec(topic, 2)]);
    await log.append(topic, [record("a", 1), record("b", 2)]);
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([topic], { from: "end", onRecords: seen.add });
    await tail.start();
    await tail.caughtUp();
    await log.append(topic, [record("a", 3), record("b", 4)]);
    await tail.caughtUp();
    expect(seen.items.map(held).toSorted()).toEqual([3, 4]);
  });

  test("a tail goes on after a restart where it was", async () => {
    const s = await scene(harness);
    const topics = [s.topic("first"), s.topic("second")];
    const seen = new Collector<StoredRecord>();
    const positions = new Map<string, Map<number, number>>();
    const onRecords = (records: readonly StoredRecord[]) => {
      seen.add(records);
      for (const one of records) {
        const of = positions.get(one.topic) ?? new Map<number, number>();
        positions.set(one.topic, of.set(one.partition, one.offset + 1));
      }
    };
    for (let round = 0; round < 3; round++) {
      const log = await s.open();
      await log.createTopics(topics.map((topic) => spec(topic, 2)));
      const tail = log.tail(topics, { from: "start", positions, onRecords });
      await tail.start();
      for (const topic of topics) {
        await log.append(topic, [record("a", round * 2), record("a", round * 2 + 1)]);
      }
      // Once before the tail is stopped and once, without it, while the log still runs.
      await tail.caughtUp();
      await tail.stop();
      for (const topic of topics) await log.append(topic, [record("b", round)]);
      await s.close(log);
    }
    const log = await s.open();
    const tail = log.tail(topics, { from: "start", positions, onRecords });
    await tail.start();
    await tail.caughtUp();
    for (const topic of topics) {
      const of = seen.items.filter((one) => one.topic === topic);
      expect(of.filter((one) => one.key === "a").map(held)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(of.filter((one) => one.key === "b").map(held)).toEqual([0, 1, 2]);
    }
  });

  test("onRecords is called once at a time, and caughtUp() waits for it", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("slow");
    await log.createTopics([spec(topic, 3)]);
    const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`);
    await log.append(
      topic,
      keys.map((key) => record(key, key)),
    );
    let running = 0;
    let most = 0;
    let done = 0;
    const entered = deferred();
    const gate = deferred();
    const tail = log.tail([topic], {
      from: "start",
      async onRecords(records) {
        running++;
        most = Math.max(most, running);
        entered.resolve();
        await gate.promise;
        done += records.length;
        running--;
      },
    });
    await tail.start();
    await entered.promise;
    const caughtUp = tail.caughtUp().then(() => done);
    expect(done).toBe(0);
    gate.resolve();
    expect(await caughtUp).toBe(30);
    expect(most).toBe(1);
  });

  test("what onRecords throws stops the tail, and caughtUp() says it", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("throws");
    await log.createTopics([spec(topic)]);
    await log.append(topic, [record("a", 1)]);
    let calls = 0;
    const tail = log.tail([topic], {
      from: "start",
      onRecords() {
        calls++;
        throw new Error("planted: the reader's store is full");
      },
    });
    await tail.start();
    await expect(tail.caughtUp()).rejects.toThrow("planted");
    await log.append(topic, [record("a", 2)]);
    await expect(tail.caughtUp()).rejects.toThrow("planted");
    expect(calls).toBe(1);
    await tail.stop();
  });

  test("caughtUp() can be aborted, and says `closed` once the tail is stopped", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("abort");
    await log.createTopics([spec(topic)]);
    await log.append(topic, [record("a", 1)]);
    const gate = deferred();
    const tail = log.tail([topic], { from: "start", onRecords: () => gate.promise });
    await tail.start();
    const abort = new AbortController();
    const waiting = tail.caughtUp(abort.signal);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    gate.resolve();
    await tail.stop();
    await tail.stop();
    await expect(tail.caughtUp()).rejects.toMatchObject({ code: "closed" });
  });
}
