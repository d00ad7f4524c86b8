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

/** Changes the state in place. @throws StepError, EventLogError where the state cannot be read; what was changed by then is for the caller to roll back */
export function runSteps(
  topology: Topology,
  state: PartitionState,
  records: readonly StoredRecord[],
): Output[] {
  const gathered = new Gathered(topology);
  for (const record of records) {
    try {
      const input = inputOf(topology, record);
      if (!input) continue;
      const result = topology.step(state, input);
      // Looked at even where the step caught what a failed read threw.
      if (state.readError) throw state.readError;
      for (const [key, value] of result.state) state.change(key, value);
      for (const output of result.outputs) gathered.add(output);
    } catch (error) {
      if (state.readError) throw state.readError;
      const at = `${record.topic}/${record.partition} offset ${record.offset}`;
      throw new StepError(topology.name, at, error);
    }
  }
  const last = records.at(-1);
  if (topology.show && last) {
    const commit: CommitView = {
      was: (key) => state.before(key),
      now: (key) => state.get(key),
      last,
    };
    const where = `${last.topic}/${last.partition} up to offset ${last.offset}`;
    for (const change of state.changes()) {
      try {
        for (const output of topology.show(change, commit)) gathered.add(output);
        if (state.readError) throw state.readError;
      } catch (error) {
        if (state.readError) throw state.readError;
        throw new StepError(topology.name, where, error);
      }
    }
  }
  return gathered.all();
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

  add(output: Output): void {
    const { topic, key } = output;
    const last = this.#last.get(topic);
    if (last) {
      last.set(key, output);
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
