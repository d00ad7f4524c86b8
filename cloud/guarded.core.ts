/**
 * A topology that one bad record does not stop: where its step throws, the record goes to the rejected topic with its position
 * and the reason, and the partition goes on. Pure.
 *
 * What a topology knows to be wrong with a record it tells by itself (rejected.core.ts). This is for what nobody thought
 * of: a step is pure, so the same record would make it throw again on every try, and everything behind would wait for ever.
 */
import type { Topology } from "../stream/port.ts";
import { Fault } from "./journal.core.ts";
import { rejected } from "./rejected.core.ts";

/** @param topic where rejected records go */
export function guarded(topology: Topology, topic: string): Topology {
  const target = { topology: topology.name, topic };
  const named = topology.outputs.some((one) => one.topic === topic);
  return {
    ...topology,
    outputs: named ? topology.outputs : [...topology.outputs, { topic, coalesce: false }],
    step(state, input) {
      if (input.kind === "tick") return topology.step(state, input);
      try {
        return topology.step(state, input);
      } catch (error) {
        // A state that could not be read is not the record's fault: the runtime looks for that itself, and tries again.
        const said = error instanceof Error ? error.message : String(error);
        const fault = new Fault("processor_failed", `the processor failed at it: ${said}`);
        const output = rejected(target, input.record, fault);
        // Several topologies may fail at the same record.
        return { state: [], outputs: [{ ...output, id: `${output.id}/${topology.name}` }] };
      }
    },
  };
}
