/** One commit's worth of a topology: its steps over a batch of inputs, and what of it is to be written. Pure. */

import { eventHeaders } from "../../events/cloudevents.ts";
import { CodecError, decodeEvent, encodeCbor } from "../../events/codec.ts";
import type { PartitionState } from "../partition-state.ts";
import { partitionOf } from "../partitioner.ts";
import type { CommitView, Output, StoredRecord, Topology, TopologyInput } from "../port.ts";
import type { BatchRecord } from "./record-batch.ts";

export const TICK_TYPE = "tidegate.tick";

/** A bug in a step, as against anything that may pass. */
export class StepError extends Error {
  constructor(topology: string, at: string, cause: unknown) {
    const said = cause instanceof Error ? cause.message : String(cause);
    super(`topology ${topology} failed at ${at}: ${said}`, { cause });
    this.name = "StepError";
  }
}

/** How a record reaches the step; undefined where it does not: ticks of others, or for one that asked for none. */
export function inputOf(topology: Topology, record: StoredRecord): TopologyInput | undefined {
  if (record.headers.ce_type !== TICK_TYPE) return { kind: "record", record };
  const { topic, partition, offset, value } = record;
  if (topology.tickMs === undefined || topic !== topology.inputs[0] || value === null) {
    return undefined;
  }
  try {
    const { time } = decodeEvent(TICK_TYPE, value);
    return { kind: "tick", partition, offset, time };
  } catch (error) {
    // Not one of ours, whatever it calls itself: no time has passed by it.
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}

/** The steps of one commit, over what came of the inputs so far. The state is changed in place. */
export class Steps {
  readonly #topology: Topology;
  readonly #state: PartitionState;
  readonly #gathered: Gathered;
  #last: StoredRecord | undefined;
  /** Inputs taken, those that no step sees among them. */
  inputs = 0;
  /** Of them the records that a step saw. */
  records = 0;
  /** Time of the newest tick among them, ms since 1970. */
  lastTick: number | undefined;

  constructor(topology: Topology, state: PartitionState) {
    this.#topology = topology;
    this.#state = state;
    this.#gathered = new Gathered(topology);
  }

  /** What is held for the commit, about: changed keys and outputs. */
  get held(): number {
    return this.#state.changedKeys + this.#gathered.size;
  }

  /** @throws StepError, EventLogError where the state cannot be read; the caller then loads the state anew */
  take(records: readonly StoredRecord[]): void {
    const state = this.#state;
    for (const record of records) {
      this.inputs += 1;
      this.#last = record;
      try {
        const input = inputOf(this.#topology, record);
        if (!input) continue;
        if (input.kind === "tick") this.lastTick = Math.max(this.lastTick ?? 0, input.time);
        else this.records += 1;
        const result = this.#topology.step(state, input);
        // Looked at even where the step caught what a failed read threw.
        if (state.readError) throw state.readError;
        for (const [key, value] of result.state) state.change(key, value);
        for (const output of result.outputs) this.#gathered.add(output);
      } catch (error) {
        if (state.readError) throw state.readError;
        const at = `${record.topic}/${record.partition} offset ${record.offset}`;
        throw new StepError(this.#topology.name, at, error);
      }
    }
  }

  /** All outputs of the commit. @throws as take() does */
  finish(): Output[] {
    const last = this.#last;
    if (!this.#topology.show || !last) return this.#gathered.all();
    const state = this.#state;
    const commit: CommitView = {
      was: (key) => state.before(key),
      now: (key) => state.get(key),
      last,
    };
    try {
      for (const change of state.changes()) {
        for (const output of this.#topology.show(change, commit)) this.#gathered.add(output);
      }
    } catch (error) {
      if (state.readError) throw state.readError;
      const where = `${last.topic}/${last.partition} up to offset ${last.offset}`;
      throw new StepError(this.#topology.name, where, error);
    }
    if (state.readError) throw state.readError;
    return this.#gathered.all();
  }
}

/** Outputs of one commit. Of a coalesced topic only the last for each key is ever held: most never live long. */
class Gathered {
  readonly #inOrder = new Map<string, Output[]>();
  readonly #last = new Map<string, Map<string, Output>>();

  constructor(topology: Topology) {
    for (const { topic, coalesce } of topology.outputs) {
      if (coalesce) this.#last.set(topic, new Map());
      else this.#inOrder.set(topic, []);
    }
  }

  size = 0;

  add(output: Output): void {
    this.size += 1;
    const { topic, key } = output;
    const last = this.#last.get(topic);
    if (last) {
      const { size } = last;
      last.set(key, output);
      this.size += last.size - size - 1;
      return;
    }
    const inOrder = this.#inOrder.get(topic);
    if (!inOrder) throw new Error(`output to ${topic}, which the topology does not name`);
    inOrder.push(output);
  }

  all(): Output[] {
    return [
      ...this.#inOrder.values(),
      ...[...this.#last.values()].map((one) => [...one.values()]),
    ].flat();
  }
}

export function outputRecord(topology: string, output: Output): BatchRecord {
  return {
    key: output.key,
    headers: {
      ...eventHeaders(output.type, output.id, `/processors/${topology}`, output.time),
    },
    value: output.event === null ? null : encodeCbor(output.event),
  };
}

export function outputPartition(output: Output, partitions: number): number {
  return partitionOf(output.key, partitions);
}
