/**
 * Random lives of a buffer against a model of a few lines: what was acknowledged is there under its sequence with its
 * value, or declared lost, over any order of appends, releases, failures, full disks, restarts and crashes. On both
 * storages, with both policies. A failing run prints its seed and the shortest life that fails.
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { EPOCH, event, STAMP } from "./conformance.ts";
import { LevelBuffer } from "./leveldb.ts";
import { MemoryBuffer, memoryDisk } from "./memory.ts";
import { BufferError, type DurableBuffer, type FullPolicy } from "./port.ts";

const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY };
const LIMITS = {
  reopenDelayMs: 1,
  idleReleaseMs: 0,
  usageIntervalMs: 1_000_000,
  compactBytes: 2000,
};

type Step =
  | { readonly do: "append"; readonly sizes: readonly number[] }
  | { readonly do: "offer"; readonly count: number; readonly gone: boolean }
  | { readonly do: "forward"; readonly events: number; readonly release: boolean }
  | { readonly do: "fail"; readonly how: "lost" | "kept" | "mark" | "open" }
  | { readonly do: "restart" }
  | { readonly do: "crash" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      sizes: fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("offer" as const),
      count: fc.integer({ min: 1, max: 20 }),
      gone: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("forward" as const),
      events: fc.integer({ min: 1, max: 20 }),
      release: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      how: fc.constantFrom("lost" as const, "kept" as const, "mark" as const, "open" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "crash" as const }) },
);

interface World {
  open(): DurableBuffer;
  /** Undefined where the storage cannot be made to fail by order. */
  readonly fail:
    | ((buffer: DurableBuffer, how: "lost" | "kept" | "mark" | "open") => void)
    | undefined;
  /** Leaves the buffer as a power cut would; undefined where only a process can. */
  readonly crash: ((buffer: DurableBuffer) => Promise<void>) | undefined;
  remove(): Promise<void>;
}

function memoryWorld(policy: FullPolicy): World {
  const disk = memoryDisk();
  return {
    open: () =>
      new MemoryBuffer({ firstEpoch: EPOCH, capacityBytes: 3000, policy, limits: LIMITS }, disk),
    fail: (buffer, how) => {
      const { storage } = buffer as MemoryBuffer;
      if (how === "mark") storage.failMarks += 1;
      else if (how === "open") storage.failOpens += 2;
      else storage.failures.push(how);
    },
    crash: (buffer) => (buffer as MemoryBuffer).storage.cutPower(),
    remove: async () => {},
  };
}

function levelWorld(policy: FullPolicy): World {
  const root = mkdtempSync(join(tmpdir(), "tidegate-model-"));
  return {
    open: () =>
      new LevelBuffer({
        directory: join(root, "buffer"),
        createIfMissing: true,
        makeEpoch: () => EPOCH,
        stamp: () => STAMP,
        capacityBytes: 3000,
        policy,
        freeFloorBytes: 0,
        commitWindowMs: 0,
        limits: LIMITS,
      }),
    fail: undefined,
    crash: undefined,
    remove: () => rm(root, { recursive: true }),
  };
}

const hex = (value: Uint8Array) => Buffer.from(value).toString("hex");

/** One life of a buffer, watched. */
class Life {
  readonly #world: World;
  #buffer: DurableBuffer;
  #next = 0;
  /** What was acknowledged, by sequence. */
  readonly #acknowledged = new Map<number, string>();
  /** What was offered and not told yet or refused: it may be there, once, or not. */
  readonly #offered = new Set<string>();
  readonly #forwarded = new Set<number>();
  readonly #declared = new Set<number>();
  #inFlight: { readonly upTo: number; readonly texts: readonly string[] } | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#buffer = world.open();
  }

  async run(steps: readonly Step[]): Promise<void> {
    await this.#buffer.start();
    try {
      for (const each of steps) await this.#take(each);
      await this.#check();
    } finally {
      await this.#buffer.stop();
      await this.#world.remove();
    }
  }

  async #take(each: Step): Promise<void> {
    switch (each.do) {
      case "append":
        this.#append(each.sizes.map((size) => "x".repeat(size)));
        break;
      case "offer":
        this.#offer(each.count, each.gone);
        break;
      case "forward":
        return await this.#forward(each.events, each.release);
      case "fail":
        this.#world.fail?.(this.#buffer, each.how);
        break;
      case "restart":
        await this.#buffer.stop();
        return await this.#reopen();
      case "crash":
        await (this.#world.crash?.(this.#buffer) ?? this.#buffer.stop());
        return await this.#reopen();
    }
    // Lets what was asked come as far as the disk and chance will have it.
    await this.#buffer.note([]).catch(() => undefined);
  }

  async #reopen(): Promise<void> {
    this.#inFlight = undefined;
    this.#buffer = this.#world.open();
    await this.#buffer.start();
  }

  #event(padding: string) {
    this.#next += 1;
    const made = event(`n${this.#next}${padding}`);
    this.#offered.add(hex(made.value));
    return made;
  }

  #append(paddings: readonly string[]): void {
    const events = paddings.map((padding) => this.#event(padding));
    this.#buffer.append(events).then(
      ({ from }) => {
        for (const [i, each] of events.entries()) this.#told(from + i, hex(each.value));
      },
      (error) => expect(error).toBeInstanceOf(BufferError),
    );
  }

  #offer(count: number, gone: boolean): void {
    for (let i = 0; i < count; i += 1) {
      const made = this.#event("");
      const waiter = {
        gone: false,
        stored: (sequence: number) => this.#told(sequence, hex(made.value)),
        refused: (error: Error) => expect(error).toBeInstanceOf(BufferError),
      };
      this.#buffer.offer(made, waiter);
      if (gone && i % 2 === 0) waiter.gone = true;
    }
  }

  #told(sequence: number, text: string): void {
    expect(this.#acknowledged.has(sequence), `sequence ${sequence} was given twice`).toBe(false);
    this.#acknowledged.set(sequence, text);
  }

  /** As the forwarder does: a batch stays the same until it is released. */
  async #forward(events: number, release: boolean): Promise<void> {
    const { released } = this.#buffer.stats().positions;
    if (this.#inFlight) {
      const { upTo, texts } = this.#inFlight;
      const again = await this.#read(released, { events: texts.length, bytes: 1e9 });
      expect(again.slice(0, texts.length).map((each) => hex(each.value))).toEqual(texts);
      if (!release) return;
      for (const each of again) this.#note(each);
      this.#inFlight = undefined;
      await this.#buffer.release(upTo);
      return;
    }
    const batch = await this.#read(released, { events, bytes: 1e9 });
    const last = batch.at(-1);
    if (!last) return;
    this.#inFlight = { upTo: last.position, texts: batch.map((each) => hex(each.value)) };
  }

  async #read(after: number, limit: { events: number; bytes: number }) {
    for (;;) {
      try {
        return await this.#buffer.read(after, limit);
      } catch (error) {
        expect(error).toMatchObject({ code: "unavailable" });
        await this.#buffer.note([]);
      }
    }
  }

  #note({ type, sequence, value }: { type: string; sequence: number; value: Uint8Array }): void {
    if (type === "tidegate.loss") {
      const { from, to } = decodeEvent(type, value);
      for (let lost = from; lost <= to; lost += 1) this.#declared.add(lost);
      expect(sequence).toBe(to);
      return;
    }
    if (type !== "tidegate.epoch") {
      expect(this.#offered.has(hex(value)), `${sequence} was never offered`).toBe(true);
      const told = this.#acknowledged.get(sequence);
      if (told !== undefined) expect(hex(value)).toBe(told);
    }
    this.#forwarded.add(sequence);
  }

  /** The oracle: acknowledged − (forwarded ∪ still buffered ∪ declared lost) = ∅, and nothing stands twice. */
  async #check(): Promise<void> {
    await this.#buffer.note([]);
    const rest = await this.#read(this.#buffer.stats().positions.released, ALL);
    let expected = this.#buffer.stats().released + 1;
    for (const { type, sequence, value } of rest) {
      const from = type === "tidegate.loss" ? decodeEvent(type, value).from : sequence;
      expect(from, "sequences have no holes").toBeLessThanOrEqual(expected);
      if (type !== "tidegate.loss") expect(from).toBe(expected);
      expected = sequence + 1;
    }
    for (const each of rest) this.#note(each);
    expect(expected).toBe(this.#buffer.stats().accepted + 1);
    const texts = rest.filter(({ type }) => type === "tidegate.reading").map((e) => hex(e.value));
    expect(new Set(texts).size, "nothing stands twice").toBe(texts.length);
    const lost = [...this.#acknowledged.keys()].filter(
      (sequence) => !this.#forwarded.has(sequence) && !this.#declared.has(sequence),
    );
    expect(lost).toEqual([]);
  }
}

describe.each(["refuse", "drop-oldest"] as const)("lives of a buffer, %s", (policy) => {
  test.each([
    ["memory", memoryWorld, 1000],
    ["LevelDB", levelWorld, 25],
  ] as const)("%s", { timeout: 60_000 }, async (_, makeWorld, numRuns) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        await new Life(makeWorld(policy)).run(steps);
      }),
      { numRuns },
    );
  });
});
