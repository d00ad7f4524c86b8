/**
 * Runs a topology on one partition: reads its inputs, steps, and commits outputs, state and positions in one batch.
 *
 * Several inputs are taken in the order of their times of sending, so that a replay sees about what the first run
 * saw. A batch ends after `commitRecords` inputs or `commitStepMs` of stepping; the commit's fsync gives the event
 * loop back to whoever else lives in the process.
 */
import { eventHeaders } from "../../events/cloudevents.ts";
import { CodecError, decodeEvent, encodeEvent } from "../../events/codec.ts";
import { PartitionState } from "../partition-state.ts";
import type { CommitView, StepResult, StoredRecord, Topology, TopologyInput } from "../port.ts";
import { pause, pauseMs } from "./backoff.ts";
import { OutputBatch } from "./batch.ts";
import type { Topic } from "./catalog.ts";
import type { Level } from "./database.ts";
import { InputLane } from "./input-lane.ts";
import { LevelState, sealed } from "./state.ts";
import type { Store } from "./store.ts";
import { StateSwitch } from "./switch.ts";

/** What the partitions of one processor share. */
export interface TaskContext {
  readonly store: Store;
  readonly topology: Topology;
  readonly outputs: ReadonlyMap<string, { topic: Topic; coalesce: boolean }>;
  /** After each commit: how many records it processed, and how long it took. */
  onCommit(records: number, ms: number): void;
  /** The positions on disk were read; a commit that failed may have moved them all the same. */
  onLoaded(): void;
  /** Waits after a fault of the store's, or goes on (undefined). */
  onWaiting(fault: string | undefined): void;
}

/** The step threw, or put out what it may not: a bug. */
export class StepError extends Error {
  constructor(topology: string, input: StoredRecord, cause: unknown) {
    const at = `${input.topic}/${input.partition} offset ${input.offset}`;
    super(`${topology} failed at ${at}: ${(cause as Error)?.message ?? String(cause)}`, { cause });
    this.name = "StepError";
  }
}

export class PartitionTask {
  readonly lanes: readonly InputLane[];
  readonly #context: TaskContext;
  readonly #partition: number;
  readonly #state: PartitionState;
  /** Of the newest tick that stands in the partition, whoever wrote it. */
  #lastTick: number | undefined;
  #batch: OutputBatch;
  #records = 0;

  constructor(context: TaskContext, inputs: readonly Topic[], partition: number) {
    const { topology, store } = context;
    this.#context = context;
    this.#partition = partition;
    this.lanes = inputs.map((topic) => new InputLane(topology.name, topic, partition));
    const { stateCacheBytes } = store.settings;
    this.#state = new PartitionState(topology.listed ?? [], stateCacheBytes);
    this.#batch = this.#newBatch();
  }

  /** Until aborted. @throws StepError */
  async run(signal: AbortSignal): Promise<void> {
    const { store, topology } = this.#context;
    while (!signal.aborted) {
      const turn = await store.turns.take(topology.name, this.#partition, false);
      try {
        await this.#run(AbortSignal.any([signal, turn.wanted]));
      } catch (error) {
        // What is cut short when a rebuild wants the partition is begun again from what is on disk.
        if (error instanceof StepError || signal.aborted || !turn.wanted.aborted) throw error;
      } finally {
        turn.end();
      }
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { store, onWaiting } = this.#context;
    let loaded = false;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        if (!loaded) {
          await this.#load();
          this.#context.onLoaded();
        }
        loaded = true;
        await this.#once(signal);
        if (attempt > 0) onWaiting(undefined);
        attempt = 0;
      } catch (error) {
        if (error instanceof StepError || signal.aborted) throw error;
        // A write whose outcome is unknown, or a read that failed: begin again from what is on disk.
        loaded = false;
        store.settings.logger.warn(
          { err: error, topology: this.#context.topology.name, partition: this.#partition },
          "processor waits",
        );
        onWaiting((error as Error).message);
        await pause(store.settings.timers, pauseMs(++attempt, store.settings.random()), signal);
      }
    }
  }

  async #load(): Promise<void> {
    const { store, topology } = this.#context;
    await new StateSwitch(store, topology, this.#partition).settle();
    for (const lane of this.lanes) await lane.load(store);
    await store.read(async (level) => {
      this.#state.use(this.#stored(level));
      try {
        await this.#state.load();
      } finally {
        this.#state.use(undefined);
      }
    });
    this.#batch = this.#newBatch();
    this.#records = 0;
  }

  #stored(level: Level): LevelState {
    return new LevelState(level, this.#context.topology.name, this.#partition);
  }

  #newBatch(): OutputBatch {
    return new OutputBatch(this.#context.topology, this.#context.outputs);
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { store } = this.#context;
    await store.read((level) => this.#gather(level));
    if (signal.aborted) return;
    if (this.lanes.some((lane) => lane.moved)) return this.#commit();
    if (!this.lanes.every((lane) => lane.exhausted)) return;
    const tickIn = this.#tickIn();
    if (tickIn === 0) return this.#tick();
    // All that there is has been processed: what failed before did reach the disk.
    this.#context.onWaiting(undefined);
    await store.bell.wait(
      this.lanes.map((lane) => lane.topic.id),
      signal,
      tickIn,
    );
  }

  /** Steps what makes one commit. Synchronous but for reading. */
  async #gather(level: Level): Promise<void> {
    const { store } = this.#context;
    const { commitRecords, commitStepMs, timers } = store.settings;
    for (const lane of this.lanes) await lane.fill(store, commitRecords);
    this.#state.use(this.#stored(level));
    try {
      const until = timers.now() + commitStepMs;
      let last: StoredRecord | undefined;
      for (let taken = 0; taken < commitRecords && timers.now() < until; taken++) {
        const lane = this.#next();
        const record = lane?.peek();
        if (!lane || !record) break;
        this.#step(lane, record);
        lane.take();
        last = record;
      }
      if (last) this.#show(last);
    } finally {
      this.#state.use(undefined);
    }
  }

  /** The input whose next record was sent first; none while one that has more was not read on. */
  #next(): InputLane | undefined {
    let first: InputLane | undefined;
    for (const lane of this.lanes) {
      const record = lane.peek();
      if (!record) {
        if (lane.exhausted) continue;
        return undefined;
      }
      if (!first || record.timestamp < (first.peek()?.timestamp ?? 0)) first = lane;
    }
    return first;
  }

  /** A record as the step sees it; undefined for what it does not see. */
  #inputOf(lane: InputLane, record: StoredRecord): TopologyInput | undefined {
    if (record.headers.ce_type !== "tidegate.tick") return { kind: "record", record };
    // Time is the first input's. Of another one it would come twice, and in another order on a replay.
    if (lane !== this.lanes[0] || this.#context.topology.tickMs === undefined) return undefined;
    try {
      const { time } = decodeEvent("tidegate.tick", record.value ?? new Uint8Array());
      this.#lastTick = time;
      return { kind: "tick", partition: record.partition, offset: record.offset, time };
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#context.store.settings.logger.warn(
        { err: error },
        "a tick that cannot be read is skipped",
      );
      return undefined;
    }
  }

  #step(lane: InputLane, record: StoredRecord): void {
    const input = this.#inputOf(lane, record);
    if (!input) return;
    const { topology } = this.#context;
    try {
      const result = topology.step(this.#state, input);
      // Looked at even where the step caught what a failed read threw.
      if (!this.#state.readError) this.#apply(result);
    } catch (error) {
      throw this.#state.readError ?? new StepError(topology.name, record, error);
    }
    if (this.#state.readError) throw this.#state.readError;
    if (input.kind === "record") this.#records++;
  }

  /** What the topology makes of all that has changed, at the end of what makes one commit. */
  #show(last: StoredRecord): void {
    const { topology } = this.#context;
    const state = this.#state;
    if (!topology.show) return;
    const commit: CommitView = {
      was: (key) => state.before(key),
      now: (key) => state.get(key),
      last,
    };
    try {
      for (const change of state.changes()) {
        for (const output of topology.show(change, commit)) this.#batch.add(output);
      }
    } catch (error) {
      throw state.readError ?? new StepError(topology.name, last, error);
    }
    if (state.readError) throw state.readError;
  }

  #apply(result: StepResult): void {
    for (const [key, value] of result.state) this.#state.change(key, value);
    for (const output of result.outputs) this.#batch.add(output);
  }

  /** The moment of acknowledgement: outputs, state and positions are on disk together. */
  async #commit(): Promise<void> {
    const { store } = this.#context;
    const begun = store.settings.timers.now();
    const { puts, deletes } = sealed(
      this.#context.topology.name,
      this.#partition,
      this.#state.encoded(),
    );
    const moved = this.lanes.filter((lane) => lane.moved);
    await store.commit({
      appends: this.#batch.appends(),
      puts: [...puts, ...moved.map((lane) => lane.position())],
      deletes,
    });
    this.#state.committed();
    for (const lane of moved) lane.committed();
    const records = this.#records;
    this.#records = 0;
    this.#batch = this.#newBatch();
    this.#context.onCommit(records, store.settings.timers.now() - begun);
  }

  /** ms until a tick is due, undefined where none is asked for. A clock that was set back makes one due at once. */
  #tickIn(): number | undefined {
    const { tickMs } = this.#context.topology;
    if (tickMs === undefined) return undefined;
    if (this.#lastTick === undefined) return 0;
    const since = this.#context.store.settings.now() - this.#lastTick;
    return since < 0 ? 0 : Math.max(0, tickMs - since);
  }

  async #tick(): Promise<void> {
    const { store, topology } = this.#context;
    const topic = this.lanes[0]?.topic as Topic;
    const time = store.settings.now();
    const id = `${topology.name}-${this.#partition}-${time}`;
    const headers = { ...eventHeaders("tidegate.tick", id, `/processors/${topology.name}`, time) };
    const value = encodeEvent("tidegate.tick", { time });
    const records = [{ key: null, headers, value }];
    await store.commit({ appends: [{ topic, partition: this.#partition, records }] });
    this.#lastTick = time;
  }
}
