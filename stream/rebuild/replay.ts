/**
 * History stepped over again: records of one partition into a state of its own, in a store beside the live one. What the
 * steps put out is dropped; what of it is to be told is told at the switch (exchange.ts).
 */
import { setImmediate as turn } from "node:timers/promises";
import { CodecError, decodeEvent } from "../../events/codec.ts";
import { type LocalState, writeChanges } from "../local-state.ts";
import { PartitionState } from "../partition-state.ts";
import { EventLogError, type StoredRecord, type Topology, type TopologyInput } from "../port.ts";

const TICK_TYPE = "tidegate.tick";
/** Stepped over at once before others of the process have their turn, ms. */
const SLICE_MS = 8;
/** Changed keys that are held before they are written: memory. A pack of windows is some KB. */
const HELD_KEYS = 5000;
/** State kept decoded: what is used again and again. */
const CACHE_BYTES = 16 * 1024 ** 2;

/** Where a record of the input stands. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}

export class Replay {
  readonly #topology: Topology;
  readonly #store: LocalState;
  readonly #state: PartitionState;
  /** Inputs taken, ticks among them. */
  records = 0;
  first: Place | undefined;
  last: Place | undefined;

  constructor(topology: Topology, store: LocalState) {
    this.#topology = topology;
    this.#store = store;
    this.#state = new PartitionState(topology.listed ?? [], CACHE_BYTES);
    this.#state.use(store);
  }

  /** Begins with nothing. */
  async begin(): Promise<void> {
    await this.#store.clear();
    await this.#state.load();
  }

  /** @throws EventLogError `invalid` where a step throws; what it cannot take it would have to tell of itself */
  async take(records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    let since = performance.now();
    for (const record of records) {
      this.#step(record);
      if (this.#state.changedKeys >= HELD_KEYS) await this.flush();
      if (performance.now() - since < SLICE_MS) continue;
      await turn();
      signal.throwIfAborted();
      since = performance.now();
    }
  }

  async flush(): Promise<void> {
    if (this.#state.changedKeys === 0) return;
    await writeChanges(this.#store, this.#state.encoded());
    this.#state.committed();
  }

  #step(record: StoredRecord): void {
    const { topic, partition, offset, timestamp } = record;
    const place = { topic, partition, offset, timestamp };
    this.records += 1;
    this.first ??= place;
    this.last = place;
    const input = inputOf(this.#topology, record);
    if (!input) return;
    try {
      const { state } = this.#topology.step(this.#state, input);
      if (!this.#state.readError) for (const [key, value] of state) this.#state.change(key, value);
    } catch (error) {
      const said = (error as Error).message;
      throw (
        this.#state.readError ??
        new EventLogError("invalid", `${this.#topology.name} fails at ${at(place)}: ${said}`, {
          cause: error,
        })
      );
    }
    if (this.#state.readError) throw this.#state.readError;
  }
}

const at = ({ topic, partition, offset }: Place) => `${topic}/${partition} offset ${offset}`;

function inputOf(topology: Topology, record: StoredRecord): TopologyInput | undefined {
  if (record.headers.ce_type !== TICK_TYPE) return { kind: "record", record };
  const { partition, offset, value } = record;
  if (topology.tickMs === undefined || value === null) return undefined;
  try {
    return { kind: "tick", partition, offset, time: decodeEvent(TICK_TYPE, value).time };
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
