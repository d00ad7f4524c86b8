/** One commit's worth of a topology: its steps over a batch of inputs, and what of it is to be written. Pure. */

import { eventHeaders } from "../../events/cloudevents.ts";
import { CodecError, decodeEvent, encodeCbor } from "../../events/codec.ts";
import { partitionOf } from "../partitioner.ts";
import type { Output, StoredRecord, Topology, TopologyInput } from "../port.ts";
import type { PartitionState } from "./partition-state.ts";
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

/** Changes the state in place. @throws StepError; what was changed by then is for the caller to roll back */
export function runSteps(
  topology: Topology,
  state: PartitionState,
  records: readonly StoredRecord[],
): Output[] {
  const declared = new Set(topology.outputs.map((one) => one.topic));
  const outputs: Output[] = [];
  for (const record of records) {
    try {
      const input = inputOf(topology, record);
      if (!input) continue;
      const result = topology.step(state, input);
      for (const [key, value] of result.state) state.change(key, value);
      for (const output of result.outputs) {
        if (!declared.has(output.topic)) {
          throw new Error(`output to ${output.topic}, which the topology does not name`);
        }
        outputs.push(output);
      }
    } catch (error) {
      const at = `${record.topic}/${record.partition} offset ${record.offset}`;
      throw new StepError(topology.name, at, error);
    }
  }
  return coalesced(topology, outputs);
}

function coalesced(topology: Topology, outputs: readonly Output[]): Output[] {
  const coalescing = new Set(topology.outputs.filter((one) => one.coalesce).map((o) => o.topic));
  if (coalescing.size === 0) return [...outputs];
  const last = new Map<string, Output>();
  for (const one of outputs) {
    if (coalescing.has(one.topic)) last.set(`${one.topic} ${one.key}`, one);
  }
  return outputs.filter(
    (one) => !coalescing.has(one.topic) || last.get(`${one.topic} ${one.key}`) === one,
  );
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
