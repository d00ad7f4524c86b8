/** Sinks: one frozen batch at a time, in order, durable before it is acknowledged. */
import { expect, test, vi } from "vitest";
import type { EventLog, FrozenBatch, SinkSource } from "../port.ts";
import {
  all,
  Collector,
  type ConformanceHarness,
  deferred,
  held,
  journal,
  scene,
  spec,
} from "./harness.ts";

/** A source of given batches that holds the sink to the port's order of calls. */
export class ScriptedSource implements SinkSource {
  readonly acknowledgements = new Collector<FrozenBatch>();
  readonly faults: string[] = [];
  readonly #batches: FrozenBatch[];
  #at = 0;
  #out: FrozenBatch | undefined;
  /** Runs inside each acknowledgement, before the source takes it. */
  onAcknowledged: (batch: FrozenBatch) => Promise<void> | void = () => {};
  constructor(batches: readonly FrozenBatch[]) {
    this.#batches = [...batches];
  }
  push(...batches: readonly FrozenBatch[]): void {
    this.#batches.push(...batches);
    this.#arrived.resolve();
    this.#arrived = deferred();
  }
  #arrived = deferred();

  async next(signal: AbortSignal): Promise<FrozenBatch> {
    if (this.#out && this.#at < this.#batches.length && this.#out !== this.#batches[this.#at]) {
      this.faults.push("next() was called before the batch in flight was acknowledged");
    }
    while (this.#at >= this.#batches.length) {
      const aborted = deferred();
      signal.throwIfAborted();
      const onAbort = () => aborted.resolve();
      signal.addEventListener("abort", onAbort, { once: true });
      await Promise.race([this.#arrived.promise, aborted.promise]);
      signal.removeEventListener("abort", onAbort);
      signal.throwIfAborted();
    }
    this.#out = this.#batches[this.#at] as FrozenBatch;
    return this.#out;
  }
  async acknowledged(batch: FrozenBatch): Promise<void> {
    if (batch !== this.#out) this.faults.push("another batch was acknowledged than was given");
    await this.onAcknowledged(batch);
    this.#at++;
    this.#out = undefined;
    this.acknowledgements.add([batch]);
  }
}

/** Batches of a journal, `size` events each. */
export function batches(
  topic: string,
  gateway: string,
  epoch: string,
  count: number,
  size: number,
): FrozenBatch[] {
  return Array.from({ length: count }, (_, i) =>
    Object.freeze({
      topic,
      key: gateway,
      records: Object.freeze(journal(gateway, epoch, i * size + 1, (i + 1) * size)),
    }),
  );
}

export async function numbersIn(log: EventLog, topic: string): Promise<unknown[]> {
  return (await all(log.read(topic))).map(held);
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

export function sinkTests(harness: ConformanceHarness): void {
  test("batches are sent one at a time, in order, and stand in the log when acknowledged", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic, 3)]);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 5, 20));
    const stood: unknown[][] = [];
    source.onAcknowledged = async () => {
      stood.push(await numbersIn(log, topic));
    };
    const sink = log.sink(source);
    expect(sink.status().state).toBe("stopped");
    await sink.start();
    await sink.start();
    await source.acknowledgements.reaches(5);
    source.push(...batches(topic, "gw-a", "e000000002", 1, 3));
    await source.acknowledgements.reaches(6);
    await sink.stop();
    await sink.stop();
    expect(source.faults).toEqual([]);
    const wanted = [...upTo(100), 1, 2, 3];
    expect(stood).toEqual([20, 40, 60, 80, 100, 103].map((count) => wanted.slice(0, count)));
    expect(await numbersIn(log, topic)).toEqual(wanted);
    const [first] = await all(log.read(topic));
    expect(first?.headers).toMatchObject({
      ce_id: "e000000001-1",
      ce_source: "/gateways/gw-a",
      ce_type: "tidegate.reading",
    });
    expect(new Set((await all(log.read(topic))).map((one) => one.partition)).size).toBe(1);
    expect(sink.status()).toMatchObject({ state: "stopped", recordsSent: 103 });
    expect(sink.status().lastAcknowledged).toBeGreaterThan(1_600_000_000_000);
  });

  test("an acknowledgement that the source refuses is offered again before anything else", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic)]);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 3, 5));
    const offered: FrozenBatch[] = [];
    source.onAcknowledged = (batch) => {
      offered.push(batch);
      if (offered.length === 2) throw new Error("planted: the buffer cannot write now");
    };
    const sink = log.sink(source);
    await sink.start();
    await source.acknowledgements.reaches(3);
    await sink.stop();
    expect(source.faults).toEqual([]);
    expect(offered).toHaveLength(4);
    expect(offered[2]).toBe(offered[1]);
    expect(new Set(await numbersIn(log, topic))).toEqual(new Set(upTo(15)));
  });

  test("a sink waits for its topic to be made", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("late");
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 2, 5));
    const sink = log.sink(source);
    await sink.start();
    await vi.waitFor(() => expect(sink.status().state).toBe("waiting"), { timeout: 10_000 });
    expect(sink.status().lastError).toContain(topic);
    await log.createTopics([spec(topic)]);
    await source.acknowledgements.reaches(2);
    expect(sink.status().lastError).toBeUndefined();
    expect(sink.status().retries).toBeGreaterThan(0);
    expect(source.faults).toEqual([]);
    expect(await numbersIn(log, topic)).toEqual(upTo(10));
  });

  test("a sink that stops while its source has nothing stops at once, and can go on later", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic)]);
    const source = new ScriptedSource([]);
    const sink = log.sink(source);
    await sink.start();
    expect(sink.status().state).toBe("idle");
    await sink.stop();
    expect(sink.status().state).toBe("stopped");
    source.push(...batches(topic, "gw-a", "e000000001", 1, 5));
    await sink.start();
    await source.acknowledgements.reaches(1);
    await sink.stop();
    expect(await numbersIn(log, topic)).toEqual(upTo(5));
  });

  test("a source that cannot take the acknowledgement holds up a stop no longer than its deadline", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic, 1)]);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 1, 2));
    const asked = deferred();
    const disk = deferred();
    source.onAcknowledged = async () => {
      asked.resolve();
      await disk.promise;
    };
    const sink = log.sink(source);
    await sink.start();
    await asked.promise;
    await sink.stop(50);
    expect(sink.status().state).toBe("stopped");
    disk.resolve();
  });

  test("stopping the log ends its sinks after the batch in flight", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic)]);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 50, 10));
    const sink = log.sink(source);
    await sink.start();
    await source.acknowledgements.reaches(3);
    await s.close(log);
    expect(sink.status().state).toBe("stopped");
    const acknowledged = source.acknowledgements.items.length;
    const again = await s.open();
    const numbers = await numbersIn(again, topic);
    expect(numbers.slice(0, acknowledged * 10)).toEqual(upTo(acknowledged * 10));
    // And the sink of the next run goes on with the first batch that was not acknowledged.
    const next = again.sink(source);
    await next.start();
    await source.acknowledgements.reaches(50);
    expect(source.faults).toEqual([]);
    expect(new Set(await numbersIn(again, topic))).toEqual(new Set(upTo(500)));
  });

  test("two gateways' sinks do not hold each other up", async () => {
    const s = await scene(harness);
    const log = await s.open();
    const topic = s.topic("events");
    await log.createTopics([spec(topic)]);
    const stuck = new ScriptedSource(batches(topic, "gw-a", "e000000001", 2, 5));
    const gate = deferred();
    stuck.onAcknowledged = () => gate.promise;
    const free = new ScriptedSource(batches(topic, "gw-b", "e000000002", 5, 5));
    const sinks = [log.sink(stuck), log.sink(free)];
    for (const sink of sinks) await sink.start();
    await free.acknowledgements.reaches(5);
    expect(stuck.acknowledgements.items).toHaveLength(0);
    gate.resolve();
    await stuck.acknowledgements.reaches(2);
    for (const gateway of ["gw-a", "gw-b"]) {
      const of = (await all(log.read(topic))).filter((one) => one.key === gateway);
      expect(of.map(held)).toEqual(upTo(gateway === "gw-a" ? 10 : 25));
    }
  });

  test.runIf(harness.capabilities.dropsResentBatches)(
    "a journal batch resent after a restart is not stored twice, not even in part",
    async () => {
      const s = await scene(harness);
      const topic = s.topic("events");
      const [first, second] = batches(topic, "gw-a", "e000000001", 2, 10) as [
        FrozenBatch,
        FrozenBatch,
      ];
      const run = async (given: readonly FrozenBatch[]) => {
        const log = await s.open();
        await log.createTopics([spec(topic, 2)]);
        const source = new ScriptedSource(given);
        await log.sink(source).start();
        await source.acknowledgements.reaches(given.length);
        const numbers = await numbersIn(log, topic);
        await s.close(log);
        return numbers;
      };
      await run([first]);
      expect(await run([first, second])).toEqual(upTo(20));
      // Frozen anew after the restart, with other bounds: 15..24 of which 15..20 stand there.
      const overlapping = { topic, key: "gw-a", records: journal("gw-a", "e000000001", 15, 24) };
      expect(await run([overlapping])).toEqual(upTo(24));
      // Another epoch, and another gateway under the same numbers, are other events.
      const epoch = { topic, key: "gw-a", records: journal("gw-a", "e000000002", 1, 2) };
      const gateway = { topic, key: "gw-b", records: journal("gw-b", "e000000001", 1, 2) };
      expect(await run([epoch, gateway])).toHaveLength(28);
    },
  );
}
