/**
 * What an adapter brings to the conformance suite, and what the suite's tests share: a scene with one fresh store,
 * records to append, a collector that can be awaited, topologies to run.
 */
import { expect, onTestFinished } from "vitest";
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { partitionOf } from "../partitioner.ts";
import type {
  EventLog,
  LogRecord,
  Output,
  RecordHeaders,
  StoredRecord,
  TopicSpec,
  Topology,
} from "../port.ts";

export interface OpenOptions {
  /** Processors commit after at most this many records, so that a short test sees several commits. */
  readonly commitRecords?: number;
}

/** One store (a directory, a broker) that nothing else uses, or a part of one that nothing else touches. */
export interface ConformanceStore {
  /** Begins the names of topics and topologies; `[a-z0-9-]+`, unique to this store where a broker is shared. */
  readonly namespace: string;
  /** A new instance on the store, not started. The suite stops every one it opened. */
  open(options?: OpenOptions): EventLog;
  /** Makes an instance vanish as if its process had died. Absent where only a real child process can show that. */
  readonly abandon?: (log: EventLog) => Promise<void>;
  /** Takes the log away from all instances, and brings it back with all it held. Needed for the capability `away`. */
  readonly leave?: () => Promise<void>;
  readonly comeBack?: () => Promise<void>;
  dispose(): Promise<void>;
}

export interface ConformanceHarness {
  readonly name: string;
  readonly capabilities: {
    /** The log can be away while its clients run (a broker can, a directory cannot). */
    readonly away: boolean;
    /** A journal batch resent after a restart is recognised and not stored twice. */
    readonly dropsResentBatches: boolean;
  };
  /** For one test. */
  readonly timeoutMs?: number;
  create(): Promise<ConformanceStore>;
}

/** One test's store, and the instances it opened on it. */
export class Scene {
  readonly store: ConformanceStore;
  readonly #open = new Set<EventLog>();
  constructor(store: ConformanceStore) {
    this.store = store;
  }
  topic(entity: string): string {
    return `${this.store.namespace}.${entity}.v1`;
  }
  name(topology: string): string {
    return `${this.store.namespace}-${topology}`;
  }
  async open(options?: OpenOptions): Promise<EventLog> {
    const log = this.store.open(options);
    this.#open.add(log);
    await log.start();
    return log;
  }
  async close(log: EventLog): Promise<void> {
    this.#open.delete(log);
    await log.stop();
  }
  /** The process dies, where the adapter can show it, and else stops. */
  async crash(log: EventLog): Promise<void> {
    if (!this.store.abandon) return this.close(log);
    this.#open.delete(log);
    await this.store.abandon(log);
  }
  async end(): Promise<void> {
    for (const log of this.#open) await log.stop();
    await this.store.dispose();
  }
}

/** A fresh store that is gone when the test is over. */
export async function scene(harness: ConformanceHarness): Promise<Scene> {
  const made = new Scene(await harness.create());
  onTestFinished(() => made.end());
  return made;
}

export function spec(name: string, partitions = 1, cleanup: TopicSpec["cleanup"] = "delete") {
  return { name, partitions, cleanup } satisfies TopicSpec;
}

export function record(key: string, value: unknown, headers: RecordHeaders = {}): LogRecord {
  return { key, headers, value: value === null ? null : encodeCbor(value) };
}

/** Records of one gateway's journal, sequences from..to. */
export function journal(gateway: string, epoch: string, from: number, to: number): LogRecord[] {
  return Array.from({ length: to - from + 1 }, (_, i) =>
    record(gateway, from + i, {
      ce_id: `${epoch}-${from + i}`,
      ce_source: `/gateways/${gateway}`,
      ce_type: "tidegate.reading",
    }),
  );
}

/** Keys that go to this partition, as many as asked for. */
export function keysOf(partition: number, partitions: number, count: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    if (partitionOf(`key-${i}`, partitions) === partition) keys.push(`key-${i}`);
  }
  return keys;
}

export async function all(records: AsyncIterable<StoredRecord>): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for await (const one of records) found.push(one);
  return found;
}

/** What a record holds, decoded; undefined for a tombstone. */
export function held(stored: StoredRecord): unknown {
  return stored.value === null ? undefined : decodeCbor(stored.value);
}

export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}
export function deferred<T = void>(): Deferred<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, resolve };
}

/** Keeps what it is given, in order, and tells when enough has come. */
export class Collector<T> {
  readonly items: T[] = [];
  readonly #waiting = new Set<() => void>();
  readonly add = (items: readonly T[]): void => {
    this.items.push(...items);
    for (const check of this.#waiting) check();
  };
  /** Resolves once the condition holds for what has come. */
  async until(condition: (items: readonly T[]) => boolean): Promise<void> {
    if (condition(this.items)) return;
    const { promise, resolve } = deferred();
    const check = () => {
      if (condition(this.items)) resolve();
    };
    this.#waiting.add(check);
    await promise;
    this.#waiting.delete(check);
  }
  async reaches(count: number): Promise<void> {
    await this.until((items) => items.length >= count);
  }
}

/** What the counting topology puts out for each input. */
export interface Counted {
  readonly key: string;
  /** How many records of this key were seen, this one included. */
  readonly count: number;
  /** Sum of the numbers they held. */
  readonly sum: number;
}

export function outputOf(topic: string, key: string, id: string, event: unknown): Output {
  return { topic, key, type: "tidegate.device", id, time: 1_700_000_000_000, event };
}

/**
 * Counts and sums the records of each key in state, and puts out one record for each input under the id
 * `<input topic>/<partition>/<offset>`: an input that is lost or counts twice shows in the ids, the counts and the sums.
 */
export function counting(
  names: { name: string; inputs: readonly string[]; output: string; changelog: string },
  before: (input: StoredRecord) => void = () => {},
): Topology {
  return {
    name: names.name,
    inputs: names.inputs,
    outputs: [{ topic: names.output, coalesce: false }],
    changelog: names.changelog,
    step(state, input) {
      if (input.kind === "tick") return { state: [], outputs: [] };
      const { record: seen } = input;
      before(seen);
      const key = seen.key ?? "";
      const old = (state.get(key) as Counted | undefined) ?? { key, count: 0, sum: 0 };
      const now: Counted = { key, count: old.count + 1, sum: old.sum + (held(seen) as number) };
      const id = `${seen.topic}/${seen.partition}/${seen.offset}`;
      return { state: [[key, now]], outputs: [outputOf(names.output, key, id, now)] };
    },
  };
}

/**
 * Holds the output of the counting topology against its inputs: each input exactly once, in order within its
 * partition, with counts and sums as an independent pass over the inputs has them.
 */
export async function expectCountedOnce(
  log: EventLog,
  inputs: readonly string[],
  output: string,
): Promise<void> {
  const outputs = await all(log.read(output));
  const wanted = new Map<string, StoredRecord>();
  for (const topic of inputs) {
    for (const one of await all(log.read(topic))) {
      if (one.key !== null) wanted.set(`${topic}/${one.partition}/${one.offset}`, one);
    }
  }
  const ids = outputs.map((one) => one.headers.ce_id ?? "");
  expect(ids.toSorted()).toEqual([...wanted.keys()].toSorted());
  const last = new Map<string, number>();
  const totals = new Map<string, Counted>();
  for (const out of outputs) {
    const id = out.headers.ce_id ?? "";
    const input = wanted.get(id);
    const key = out.key ?? "";
    const lane = `${input?.topic}/${input?.partition}/${key}`;
    expect(input?.offset, `order of ${id}`).toBeGreaterThan(last.get(lane) ?? -1);
    last.set(lane, input?.offset ?? 0);
    const old = totals.get(key) ?? { key, count: 0, sum: 0 };
    const sum = old.sum + (input ? (held(input) as number) : Number.NaN);
    totals.set(key, { key, count: old.count + 1, sum });
    expect(held(out), id).toEqual(totals.get(key));
  }
}
