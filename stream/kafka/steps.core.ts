/** One commit's worth of a topology: its steps over a batch of inputs, and what of it is to be written. Pure. */
import { CodecError, decodeEvent } from "../../events/codec.ts";
import type { PartitionState } from "../partition-state.ts";
import type {
  CommitView,
  Output,
  StateChange,
  StoredRecord,
  Topology,
  TopologyInput,
} from "../port.ts";

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
  #view: CommitView | undefined;
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

  /** What the steps have put out. */
  *outputs(): Generator<Output> {
    yield* this.#gathered.all();
  }

  /** What is to be shown of a change that they made. @throws as take() does */
  shown(change: StateChange): readonly Output[] {
    const last = this.#last;
    if (!this.#topology.show || !last) return [];
    const state = this.#state;
    this.#view ??= { was: (key) => state.before(key), now: (key) => state.get(key), last };
    try {
      const outputs = this.#topology.show(change, this.#view);
      if (state.readError) throw state.readError;
      for (const { topic } of outputs) this.#gathered.named(topic);
      return outputs;
    } catch (error) {
      if (state.readError) throw state.readError;
      const where = `${last.topic}/${last.partition} up to offset ${last.offset}`;
      throw new StepError(this.#topology.name, where, error);
    }
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
    this.named(topic);
    this.#inOrder.get(topic)?.push(output);
  }

  /** @throws where the topology does not name it */
  named(topic: string): void {
    if (this.#inOrder.has(topic) || this.#last.has(topic)) return;
    throw new Error(`output to ${topic}, which the topology does not name`);
  }

  *all(): Generator<Output> {
    for (const outputs of this.#inOrder.values()) yield* outputs;
    for (const outputs of this.#last.values()) yield* outputs.values();
  }
}
