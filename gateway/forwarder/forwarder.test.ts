import pino from "pino";
import { describe, expect, test } from "vitest";
import { parseEventId } from "../../events/ids.ts";
import type { EventLog, FrozenBatch, Sink, SinkSource } from "../../stream/port.ts";
import { systemTimers } from "../../time/timers.ts";
import { EPOCH, event, STAMP } from "../buffer/conformance.ts";
import { MemoryBuffer } from "../buffer/memory.ts";
import { Forwarder, type ForwarderClock, type ForwarderOptions } from "./forwarder.ts";
import type { Journal } from "./freeze.core.ts";

const journal = { gateway: "gw-1", topic: "telemetry.events.v1" } as Journal;

const QUICK = { ms: 1, tries: 1 };

/** A log whose sink is driven by the test: it hands out the source. */
function scriptedLog(): { log: EventLog; source: () => SinkSource } {
  let given: SinkSource | undefined;
  const sink: Sink = {
    start: async () => {},
    stop: async () => {},
    status: () => ({ state: "idle", recordsSent: 0, retries: 0 }),
  };
  const log = {
    sink(source: SinkSource) {
      given = source;
      return sink;
    },
  } as unknown as EventLog;
  return {
    log,
    source() {
      if (!given) throw new Error("no sink was made");
      return given;
    },
  };
}

async function started(
  batchEvents = 1000,
  clock?: ForwarderClock,
  more: Partial<ForwarderOptions> = {},
) {
  const buffer = new MemoryBuffer({ firstEpoch: EPOCH, capacityBytes: 1e6, stamp: () => STAMP });
  await buffer.start();
  const { log, source } = scriptedLog();
  const logger = pino({ level: "silent" });
  const given = clock ? { clock } : {};
  const options = { buffer, log, journal, ...given, batchEvents, batchBytes: 1e6, logger, ...more };
  const forwarder = new Forwarder(options);
  await forwarder.start();
  return { buffer, forwarder, source: source(), signal: AbortSignal.timeout(10_000) };
}

const sequences = (batch: FrozenBatch) =>
  batch.records.map((record) => parseEventId(record.headers.ce_id ?? "")?.sequence);

describe("forwarder", () => {
  test("batches follow one another without holes, each after the one before was acknowledged", async () => {
    const { buffer, source, signal } = await started(2);
    await buffer.append(["a", "b", "c"].map(event));
    const first = await source.next(signal);
    expect(sequences(first)).toEqual([1, 2]);
    await source.acknowledged(first, QUICK);
    expect(buffer.stats().released).toBe(2);
    const second = await source.next(signal);
    expect(sequences(second)).toEqual([3, 4]);
  });

  test("a record carries its identity in CloudEvents headers, keyed by gateway", async () => {
    const { source, signal } = await started();
    const batch = await source.next(signal);
    expect(batch).toMatchObject({ topic: "telemetry.events.v1", key: "gw-1" });
    expect(batch.records[0]).toMatchObject({
      key: "gw-1",
      headers: {
        ce_specversion: "1.0",
        ce_id: `${EPOCH}-1`,
        ce_source: "/gateways/gw-1",
        ce_type: "tidegate.epoch",
        ce_time: "1970-01-01T00:00:00.001Z",
        "content-type": "application/cbor",
      },
    });
  });

  test("nothing is released before the log has it: a restart sends the batch in flight again, under the same ids", async () => {
    const { buffer, source, signal } = await started();
    await buffer.append([event("a")]);
    const sent = sequences(await source.next(signal));
    expect(buffer.stats().released).toBe(0);
    const { log, source: restarted } = scriptedLog();
    const logger = pino({ level: "silent" });
    const options = { buffer, log, journal, batchEvents: 10, batchBytes: 1e6, logger };
    await new Forwarder(options).start();
    expect(sequences(await restarted().next(signal))).toEqual(sent);
  });

  test("next waits for an event, and ends with its signal", async () => {
    const { buffer, source, signal } = await started();
    await source.acknowledged(await source.next(signal), QUICK);
    const waiting = source.next(signal);
    await buffer.append([event("a")]);
    expect(sequences(await waiting)).toEqual([2]);
    const abort = new AbortController();
    const ended = source.next(abort.signal);
    abort.abort();
    await source.acknowledged(await ended.catch(() => waiting), QUICK);
    expect(buffer.stats().released).toBe(2);
  });

  test("a release that the disk refuses is tried again, and the batch stays in flight until then", async () => {
    const { buffer, source, signal } = await started();
    const batch = await source.next(signal);
    buffer.storage.failures.push("lost");
    await source.acknowledged(batch, QUICK);
    expect(buffer.stats().released).toBe(1);
  });

  test("an acknowledgement of another batch is a bug and is refused", async () => {
    const { source, signal } = await started();
    const batch = await source.next(signal);
    await expect(source.acknowledged({ ...batch }, QUICK)).rejects.toThrow("not in flight");
  });

  test("while the time of this boot is awaited nothing of it goes, then all of it in order, with its time", async () => {
    const { clock, release } = heldClock("b");
    const { buffer, source, signal } = await started(1000, clock);
    await buffer.append(["a", "c"].map(event));
    let given: FrozenBatch | undefined;
    const next = source.next(signal).then((batch) => {
      given = batch;
      return batch;
    });
    await clock.asked;
    expect(given).toBeUndefined();
    // What comes meanwhile goes with the same batch.
    await buffer.append([event("e")]);
    release(1_772_366_400_000);
    const batch = await next;
    expect(sequences(batch)).toEqual([1, 2, 3, 4]);
    expect(batch.records[1]?.headers.ce_time).toBe("2026-03-01T12:00:00.001Z");
    // Frozen is frozen: what is known later changes the next batch.
    await source.acknowledged(batch, QUICK);
    expect(buffer.stats().positions.released).toBe(4);
  });

  test("what came in an earlier boot does not wait for the time of this one", async () => {
    const { clock } = heldClock("another boot");
    const { source, signal } = await started(1000, clock);
    expect(sequences(await source.next(signal))).toEqual([1]);
  });

  test("a stop does not wait for the time", async () => {
    const { clock } = heldClock("b");
    const { source } = await started(1000, clock);
    const abort = new AbortController();
    const next = source.next(abort.signal);
    await clock.asked;
    abort.abort();
    await expect(next).rejects.toThrow();
  });

  test("begins with what any link takes, sends more as the link shows that it can, and less after trouble", async () => {
    const { buffer, source, signal } = await started(10_000);
    const size = 1024;
    const large = () => ({ ...event("x"), value: Buffer.alloc(size) });
    await buffer.append(Array.from({ length: 400 }, large));
    const lengths: number[] = [];
    for (const tries of [1, 1, 3, 1]) {
      const batch = await source.next(signal);
      lengths.push(batch.records.length);
      await source.acknowledged(batch, { ms: 10, tries });
    }
    // Each was read while the one before was on its way, so what the link shows counts one batch later.
    expect(lengths).toEqual([32, 32, 64, 128]);
    expect((await source.next(signal)).records).toHaveLength(64);
  });

  test("waits a little for company where it is told to, and not where a batch is full", async () => {
    const waits: number[] = [];
    const timers = {
      ...systemTimers,
      setTimeout: (work: () => void, ms: number) => {
        waits.push(ms);
        return systemTimers.setTimeout(work, 0);
      },
    };
    const { buffer, source, signal } = await started(3, undefined, { lingerMs: 5000, timers });
    await buffer.append(["a", "b"].map(event));
    expect(sequences(await source.next(signal))).toEqual([1, 2, 3]);
    expect(waits).toEqual([]);
    await source.acknowledged(await source.next(signal), QUICK);
    await buffer.append(["c"].map(event));
    expect(sequences(await source.next(signal))).toEqual([4]);
    expect(waits).toEqual([5000]);
  });

  test("gathers what comes soon after a batch, sends at once what comes after a pause, and never holds a full one", async () => {
    let now = 0;
    const waits: number[] = [];
    const { buffer, source, signal } = await started(3, undefined, {
      batchIntervalMs: 100,
      timers: {
        ...systemTimers,
        now: () => now,
        setTimeout: (work, ms) => {
          waits.push(ms);
          return systemTimers.setImmediate(() => {
            // Comes while the others wait, and goes with them.
            void buffer.append([event("late")]).then(() => {
              now += ms;
              work();
            });
          });
        },
      },
    });
    const next = async () => {
      const batch = await source.next(signal);
      await source.acknowledged(batch, QUICK);
      return sequences(batch);
    };
    expect(await next()).toEqual([1]);
    now += 30;
    await buffer.append([event("a")]);
    expect(await next()).toEqual([2, 3]);
    expect(waits).toEqual([70]);
    now += 100;
    await buffer.append([event("b")]);
    expect(await next()).toEqual([4]);
    await buffer.append(["c", "d", "e"].map(event));
    expect(await next()).toEqual([5, 6, 7]);
    expect(waits).toEqual([70]);
  });
});

/** A clock whose boot's time is not known until the test says so. */
function heldClock(boot: string) {
  let offset: number | undefined;
  const asked = Promise.withResolvers<void>();
  const known = Promise.withResolvers<void>();
  const clock: ForwarderClock & { asked: Promise<void> } = {
    boot,
    asked: asked.promise,
    holding: () => offset === undefined,
    offsetOf: (other) => (other === boot ? offset : undefined),
    async released(signal) {
      asked.resolve();
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
      await Promise.race([known.promise, aborted]);
    },
  };
  const release = (right: number) => {
    offset = right;
    known.resolve();
  };
  return { clock, release };
}
