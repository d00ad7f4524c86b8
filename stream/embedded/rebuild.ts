/**
 * A topology's state made anew in the embedded log, in the process that has it open. The replay reads the input like
 * anybody and gives the event loop back every few milliseconds; for the switch of a partition its processor, where one runs,
 * pauses between two commits, and goes on with what stands there then (switch.ts).
 */
import {
  EventLogError,
  type Output,
  type PartitionRebuild,
  type RebuildOptions,
  type RebuildPlan,
  type Topology,
} from "../port.ts";
import { exchangeParts } from "../rebuild/exchange.ts";
import { Replay } from "../rebuild/replay.ts";
import { Scratch } from "../rebuild/scratch.ts";
import type { Topic } from "./catalog.ts";
import { InputLane } from "./input-lane.ts";
import { LevelState } from "./state.ts";
import type { Store } from "./store.ts";
import { StateSwitch } from "./switch.ts";

/** Records read at once. */
const RECORDS_PER_READ = 500;
/** What is left to replay when the processor is paused, at most, if the input does not outrun us; records. */
const NEARLY = 500;
const CATCH_UPS = 20;

interface Context {
  readonly store: Store;
  readonly topology: Topology;
  readonly topic: Topic;
  readonly plan: RebuildPlan;
  readonly options: RebuildOptions;
  readonly scratch: Scratch;
}

export async function rebuildEmbedded(
  store: Store,
  topology: Topology,
  plan: RebuildPlan,
  options: RebuildOptions,
): Promise<readonly PartitionRebuild[]> {
  const [input = "", ...others] = topology.inputs;
  if (others.length > 0 || plan.replay.inputs.join() !== input) {
    throw new EventLogError("invalid", `${topology.name} has several inputs: it cannot be rebuilt`);
  }
  const topic = store.topic(input);
  for (const output of topology.outputs) store.topic(output.topic);
  const scratch = await Scratch.open(options.directory, options.minFreeBytes);
  try {
    const context = { store, topology, topic, plan, options, scratch };
    const all = topic.heads.map((_, partition) => new PartitionRebuilder(context, partition));
    const tell = (phase: "replay" | "switch", switched: number) =>
      options.onProgress({
        phase,
        records: all.reduce((sum, one) => sum + one.records, 0),
        total: all.reduce((sum, one) => sum + one.total, 0),
        partitions: all.length,
        switched,
      });
    for (const one of all) await one.prepare();
    for (const one of all) await one.catchUp(() => tell("replay", 0));
    const done: PartitionRebuild[] = [];
    // Those in which nothing was ever processed at the end: what they are to hold, the others may have to say.
    for (const one of all.toSorted((a, b) => b.records - a.records)) {
      done.push(await one.exchange(() => tell("switch", done.length)));
      tell("switch", options.dryRun ? 0 : done.length);
    }
    return done.sort((a, b) => a.partition - b.partition);
  } finally {
    await scratch.remove();
  }
}

class PartitionRebuilder {
  readonly #context: Context;
  readonly #partition: number;
  readonly #lane: InputLane;
  readonly #replay: Replay;
  readonly #switch: StateSwitch;
  /** Next offset to replay. */
  #at = 0;

  constructor(context: Context, partition: number) {
    this.#context = context;
    this.#partition = partition;
    this.#lane = new InputLane(context.topology.name, context.topic, partition);
    this.#switch = new StateSwitch(context.store, context.topology, partition);
    this.#replay = new Replay(context.plan.replay, context.scratch.of("made", partition));
  }

  get records(): number {
    return this.#replay.records;
  }
  get total(): number {
    return this.records + Math.max(0, this.#lane.done - this.#at);
  }

  async prepare(): Promise<void> {
    const { store, topic, options } = this.#context;
    const end = topic.heads[this.#partition]?.end ?? 0;
    const [first] = await store.records(topic, this.#partition, 0, end, 1);
    this.#at = await this.#firstAt(first?.offset ?? end, end, options.from);
    await this.#lane.load(store);
    await this.#replay.begin();
  }

  /** Replays up to where the processor is by now. */
  async catchUp(tell: () => void): Promise<void> {
    const { store, topic, options, scratch } = this.#context;
    await this.#lane.load(store);
    while (this.#at < this.#lane.done) {
      options.signal.throwIfAborted();
      const goal = this.#lane.done;
      const some = await store.records(topic, this.#partition, this.#at, goal, RECORDS_PER_READ);
      const records = some.filter((one) => one.offset < goal);
      await this.#replay.take(records, options.signal);
      this.#at = (records.at(-1)?.offset ?? goal - 1) + 1;
      await scratch.checkRoom();
      tell();
    }
    await this.#replay.flush();
  }

  async exchange(tell: () => void): Promise<PartitionRebuild> {
    const { store, topology, options } = this.#context;
    for (let round = 0; round < CATCH_UPS; round++) {
      const before = this.#lane.done;
      await this.catchUp(tell);
      if (this.#lane.done - before < NEARLY) break;
    }
    const turn = await store.turns.take(topology.name, this.#partition, true);
    const begun = performance.now();
    try {
      options.signal.throwIfAborted();
      // One that was decided before the process died, and whose partition nobody has processed since.
      await this.#switch.settle();
      await this.catchUp(tell);
      const told = await this.#write();
      const { first, records } = this.#replay;
      const heldMs = Math.round(performance.now() - begun);
      const from = first ? { first: { offset: first.offset, timestamp: first.timestamp } } : {};
      return { partition: this.#partition, records, ...from, ...told, heldMs };
    } finally {
      // What failed before the decision goes, here or where the partition is processed next.
      await this.#switch.settle().catch(() => undefined);
      turn.end();
    }
  }

  async #write(): Promise<Pick<PartitionRebuild, "changed" | "outputs">> {
    const { store, topology, plan, options, scratch } = this.#context;
    const partition = this.#partition;
    const { first, last } = this.#replay;
    const change = this.#switch;
    let changed = 0;
    const outputs: Record<string, number> = {};
    const count = ({ topic }: Output) => {
      outputs[topic] = (outputs[topic] ?? 0) + 1;
    };
    await store.read(async (level) => {
      const live = new LevelState(level, topology.name, partition);
      const made = scratch.of("made", partition);
      const of = { partition, live, made, first, last };
      for await (const part of exchangeParts(plan, of, options.signal)) {
        changed += part.changes.length;
        for (const one of part.outputs) count(one);
        if (!options.dryRun) await change.stage(part);
      }
    });
    if (options.dryRun || changed + Object.keys(outputs).length === 0) return { changed, outputs };
    options.signal.throwIfAborted();
    await change.decide();
    await change.settle();
    return { changed, outputs };
  }

  /** The first record that was sent at or after the time, found by halves: times of sending grow with the offsets. */
  async #firstAt(start: number, end: number, time: number | undefined): Promise<number> {
    if (time === undefined) return start;
    const { store, topic } = this.#context;
    let [low, high] = [start, end];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const [found] = await store.records(topic, this.#partition, middle, end, 1);
      if (found && found.timestamp < time) low = Math.max(middle, found.offset) + 1;
      else high = middle;
    }
    return low;
  }
}
