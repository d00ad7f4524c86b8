/** The log away: nobody has to do anything but wait, nothing is lost, nothing changes its order. */
import assert from "node:assert/strict";
import { expect, test, vi } from "vitest";
import type { StoredRecord } from "../port.ts";
import {
  Collector,
  type ConformanceHarness,
  counting,
  expectCountedOnce,
  held,
  record,
  type Scene,
  scene,
  spec,
} from "./harness.ts";
import { batches, numbersIn, ScriptedSource } from "./sinks.ts";

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** The two calls that a store with the capability brings. */
function switches(s: Scene): { leave(): Promise<void>; comeBack(): Promise<void> } {
  const { leave, comeBack } = s.store;
  assert(leave && comeBack, "a harness with the capability `away` says how");
  return { leave, comeBack };
}

export function awayTests(harness: ConformanceHarness): void {
  test("a log that is away lets itself be started, and says `unreachable`", async () => {
    const s = await scene(harness);
    const { leave, comeBack } = switches(s);
    const topic = s.topic("events");
    const first = await s.open();
    await first.createTopics([spec(topic)]);
    await s.close(first);
    await leave();
    const log = await s.open();
    const unreachable = { code: "unreachable" };
    await expect(log.append(topic, [record("a", 1)])).rejects.toMatchObject(unreachable);
    await expect(log.ranges(topic)).rejects.toMatchObject(unreachable);
    await comeBack();
    await vi.waitFor(() => log.append(topic, [record("a", 2)]), { timeout: 15_000 });
    expect((await numbersIn(log, topic)).at(-1)).toBe(2);
  });

  test("a sink started while the log is away sends everything in order once it is back", async () => {
    const s = await scene(harness);
    const { leave, comeBack } = switches(s);
    const topic = s.topic("events");
    const first = await s.open();
    await first.createTopics([spec(topic, 2)]);
    await s.close(first);
    await leave();
    const log = await s.open();
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 10, 20));
    const sink = log.sink(source);
    await sink.start();
    await vi.waitFor(() => expect(sink.status().state).toBe("waiting"), { timeout: 15_000 });
    expect(sink.status().lastError).toBeTruthy();
    expect(source.acknowledgements.items).toHaveLength(0);
    await comeBack();
    await source.acknowledgements.reaches(10);
    expect(source.faults).toEqual([]);
    expect(sink.status().lastError).toBeUndefined();
    expect(await numbersIn(log, topic)).toEqual(upTo(200));
  });

  test("a sink whose log leaves in the middle resends the same batch until it is acknowledged", async () => {
    const s = await scene(harness);
    const { leave, comeBack } = switches(s);
    const topic = s.topic("events");
    const log = await s.open();
    await log.createTopics([spec(topic, 2)]);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 3, 20));
    const sink = log.sink(source);
    await sink.start();
    await source.acknowledgements.reaches(3);
    for (let round = 0; round < 2; round++) {
      await leave();
      const from = 3 + round * 5;
      for (const batch of batches(topic, "gw-a", "e000000001", from + 5, 20).slice(from)) {
        source.push(batch);
      }
      await vi.waitFor(() => expect(sink.status().state).toBe("waiting"), { timeout: 15_000 });
      await comeBack();
      await source.acknowledgements.reaches(from + 5);
    }
    await sink.stop();
    expect(source.faults).toEqual([]);
    expect(sink.status().retries).toBeGreaterThan(0);
    // On one producer, an idempotent resend stands once.
    expect(await numbersIn(log, topic)).toEqual(upTo(13 * 20));
  });

  test("a sink can be stopped while the log is away, within its deadline", async () => {
    const s = await scene(harness);
    const { leave, comeBack } = switches(s);
    const topic = s.topic("events");
    const log = await s.open();
    await log.createTopics([spec(topic)]);
    await leave();
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 2, 5));
    const sink = log.sink(source);
    await sink.start();
    await vi.waitFor(() => expect(sink.status().state).toBe("waiting"), { timeout: 15_000 });
    await sink.stop(500);
    expect(sink.status().state).toBe("stopped");
    expect(source.acknowledgements.items).toHaveLength(0);
    await comeBack();
  });

  test("tails and processors go on by themselves when the log is back", async () => {
    const s = await scene(harness);
    const { leave, comeBack } = switches(s);
    const n = {
      name: s.name("count"),
      inputs: [s.topic("in")],
      output: s.topic("out"),
      changelog: s.topic("changelog"),
    };
    const log = await s.open({ commitRecords: 10 });
    await log.createTopics([
      spec(s.topic("in"), 2),
      spec(n.output, 2),
      spec(n.changelog, 2, "compact"),
    ]);
    const numbers = (from: number) =>
      Array.from({ length: 50 }, (_, i) => record(`key-${i % 5}`, from + i));
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([s.topic("in")], { from: "start", onRecords: seen.add });
    const processor = log.process(counting(n));
    await tail.start();
    await processor.start();
    await log.append(s.topic("in"), numbers(0));
    await processor.caughtUp();
    await leave();
    await vi.waitFor(() => expect(tail.status()).toMatchObject({ state: "waiting" }), {
      timeout: 15_000,
    });
    expect(Math.abs(Date.now() - (tail.status().since ?? 0))).toBeLessThan(30_000);
    await comeBack();
    await vi.waitFor(() => log.append(s.topic("in"), numbers(50)), { timeout: 15_000 });
    await seen.reaches(100);
    await vi.waitFor(() => processor.caughtUp(), { timeout: 20_000 });
    expect(new Set(seen.items.map(held)).size).toBe(100);
    expect(tail.status()).toEqual({ state: "following" });
    await expectCountedOnce(log, n.inputs, n.output);
    expect(processor.status().state).toBe("running");
  });
}
