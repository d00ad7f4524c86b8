/**
 * Runs a topology synchronously over arrays, with no log and no clock, like Kafka Streams' TopologyTestDriver. It does
 * to the step what a real runtime does: state comes back as CBOR decodes it, values are frozen so that a change in
 * place shows at once, outputs are encoded against their schema, only named topics may be written, and on a coalescing
 * topic only the last output for a key within a commit counts.
 */
import assert from "node:assert/strict";
import { eventHeaders } from "../events/cloudevents.ts";
import { checkEvent, decodeCbor, encodeCbor } from "../events/codec.ts";
import type {
  CommitView,
  Output,
  StateView,
  StoredRecord,
  Topology,
  TopologyInput,
} from "../stream/port.ts";

export interface DriverOptions {
  /** Inputs in one commit. */
  readonly commitInputs?: number;
  /** What it begins with; nothing without it. */
  readonly state?: ReadonlyMap<string, unknown>;
}

export class TopologyTestDriver {
  /** Everything put out and committed, in order. */
  readonly outputs: Output[] = [];
  readonly #topology: Topology;
  readonly #coalesced: ReadonlyMap<string, boolean>;
  readonly #commitInputs: number;
  readonly #state = new Map<string, unknown>();
  /** What has changed since the last commit, with what it was. */
  readonly #was = new Map<string, unknown>();
  #last: CommitView["last"] | undefined;
  #uncommitted: Output[] = [];
  #inputs = 0;

  constructor(topology: Topology, options: DriverOptions = {}) {
    this.#topology = topology;
    this.#coalesced = new Map(topology.outputs.map((one) => [one.topic, one.coalesce]));
    this.#commitInputs = options.commitInputs ?? 1;
    for (const [key, value] of options.state ?? []) this.#state.set(key, deepFreeze(value));
  }

  readonly #view: StateView = {
    get: (key) => this.#state.get(key),
    entries: (prefix) => {
      const { listed = [] } = this.#topology;
      assert(
        listed.some((one) => prefix.startsWith(one)),
        `entries of "${prefix}", which the topology does not list`,
      );
      return [...this.#state]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1));
    },
  };

  /** @returns what is committed by the end of the call */
  pipe(inputs: readonly TopologyInput[]): readonly Output[] {
    const before = this.outputs.length;
    for (const input of inputs) this.#step(input);
    this.commit();
    return this.outputs.slice(before);
  }

  records(records: readonly StoredRecord[]): readonly Output[] {
    return this.pipe(records.map((record) => ({ kind: "record", record })));
  }

  commit(): void {
    this.#show();
    const last = new Map<string, Output>();
    for (const output of this.#uncommitted) last.set(`${output.topic} ${output.key}`, output);
    for (const output of this.#uncommitted) {
      const coalesce = this.#coalesced.get(output.topic) === true;
      if (coalesce && last.get(`${output.topic} ${output.key}`) !== output) continue;
      this.outputs.push(output);
    }
    for (const key of this.#was.keys()) {
      const value = this.#state.get(key);
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, deepFreeze(decodeCbor(encodeCbor(value))));
    }
    this.#uncommitted = [];
    this.#was.clear();
    this.#inputs = 0;
  }

  /** The last event for each key of a topic, tombstones left out: what a compacted topic comes to. */
  latest<T>(topic: string): Map<string, T> {
    const found = new Map<string, T>();
    for (const output of this.outputs) {
      if (output.topic !== topic) continue;
      if (output.event === null) found.delete(output.key);
      else found.set(output.key, settled(output) as T);
    }
    return found;
  }

  /** Every event of a topic in order. */
  events<T>(topic: string): T[] {
    return this.outputs.filter((one) => one.topic === topic).map((one) => settled(one) as T);
  }

  /** The outputs as records of their topics, to feed what reads them. */
  stored(partition = 0): StoredRecord[] {
    const offsets = new Map<string, number>();
    return this.outputs.map((output) => {
      const offset = offsets.get(output.topic) ?? 0;
      offsets.set(output.topic, offset + 1);
      const source = `/processors/${this.#topology.name}`;
      return {
        topic: output.topic,
        partition,
        offset,
        timestamp: output.time,
        key: output.key,
        headers: { ...eventHeaders(output.type, output.id, source, output.time) },
        value: output.event === null ? null : encodeCbor(output.event),
      };
    });
  }

  get state(): ReadonlyMap<string, unknown> {
    return this.#state;
  }

  #put(output: Output): void {
    assert(this.#coalesced.has(output.topic), `${output.topic} is not an output`);
    if (output.event !== null) checkEvent(output.type, settled(output));
    this.#uncommitted.push(output);
  }

  #show(): void {
    const last = this.#last;
    if (!this.#topology.show || !last) return;
    const now = (key: string) => this.#state.get(key);
    const was = (key: string) => (this.#was.has(key) ? this.#was.get(key) : this.#state.get(key));
    const commit: CommitView = { was, now, last };
    for (const key of this.#was.keys()) {
      const change = { key, was: was(key), now: now(key) };
      for (const output of this.#topology.show(change, commit)) this.#put(output);
    }
  }

  #step(input: TopologyInput): void {
    const result = this.#topology.step(this.#view, input);
    const keys = new Set<string>();
    let changes = 0;
    for (const [key, value] of result.state) {
      keys.add(key);
      changes += 1;
      if (!this.#was.has(key)) this.#was.set(key, this.#state.get(key));
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, deepFreeze(value));
    }
    assert.equal(keys.size, changes, "a step changes each key once");
    for (const output of result.outputs) this.#put(output);
    this.#last = positionOf(this.#topology, input);
    this.#inputs += 1;
    if (this.#inputs >= this.#commitInputs) this.commit();
  }
}

function positionOf(topology: Topology, input: TopologyInput): CommitView["last"] {
  if (input.kind === "record") return input.record;
  const { partition, offset, time } = input;
  return { topic: topology.inputs[0] ?? "", partition, offset, timestamp: time };
}

/** The event as whoever reads the topic gets it. */
function settled(output: Output): unknown {
  return output.event === null ? null : decodeCbor(encodeCbor(output.event));
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (ArrayBuffer.isView(value)) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
