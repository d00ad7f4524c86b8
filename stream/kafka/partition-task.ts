/**
 * One partition of one topology: reads ahead, runs steps, and commits outputs, state changes and positions in one
 * transaction.
 *
 * There is one way back from everything that fails: undo what is not committed, fence (which settles a commit whose
 * answer was lost), read what the changelog has got since, and go on at the position that stands in it. State and
 * position come from the same topic, so they can never be of two different moments. The group's offsets are committed
 * in the same transaction, for Kafka's own tools and for a group whose changelog has no position yet.
 *
 * A copy of the state is kept on this machine (../local-state.ts), so that only the tail of the changelog has to be read.
 */
import { setImmediate as turn } from "node:timers/promises";
import { encodeCbor } from "../../events/codec.ts";
import type { LocalState, LocalStates, StateWrite } from "../local-state.ts";
import { PartitionState } from "../partition-state.ts";
import type { Topology } from "../port.ts";
import { Bell } from "./bell.ts";
import { Changelog, POSITION_KEY } from "./changelog.ts";
import { type CommitPart, CommitRecords } from "./commit-records.ts";
import { faultOf } from "./faults.ts";
import { type GroupOffsets, groupOffsets, HoldWatch } from "./group-offsets.ts";
import { type Lane, Lanes } from "./lanes.ts";
import type { KafkaSettings } from "./options.ts";
import type { PartitionFetch } from "./partition-reader.ts";
import type { FetchEntry } from "./requests.ts";
import { closedError, Outage } from "./retry.ts";
import type { KafkaSession } from "./session.ts";
import { StepError, Steps } from "./steps.core.ts";
import { PartitionTransactions } from "./transactions.ts";

/** Stepped over at once, before the event loop gets to fetches and heartbeats: a few ms. */
const SLICE_RECORDS = 500;
/** Changes made into records at once, likewise. */
const SLICE_CHANGES = 500;
/** How long a tick that was sent may take to come back before another is sent, ms. */
const TICK_PATIENCE_MS = 5000;
/** How often a partition that was taken from us asks whether it is ours again, ms. */
const MEMBERSHIP_POLL_MS = 500;
/** How often one that a rebuild holds asks whether it is free, ms. */
const HOLD_POLL_MS = 100;

export interface TaskContext {
  readonly settings: KafkaSettings;
  readonly topology: Topology;
  readonly groupId: string;
  readonly states: LocalStates;
  /** For transactions and questions; fetches go elsewhere. */
  readonly session: KafkaSession;
  /** Resolves true while the group holds us for a member. */
  isMember(): Promise<boolean>;
  sendTick(partition: number, time: number): Promise<void>;
  /** Makes the records of one commit after another: what is not packed yet is held once, and not for each partition. */
  packing<Packed>(work: () => Promise<Packed>): Promise<Packed>;
  /** Something has changed that somebody may wait for: positions, readiness, room to read ahead. */
  changed(): void;
  /** So many records of the changelog were read to bring the state here. */
  restored(records: number): void;
  committed(records: number, ms: number): void;
}

export class PartitionTask {
  readonly partition: number;
  readonly #context: TaskContext;
  readonly #state: PartitionState;
  readonly #copy: LocalState;
  readonly #changelog: Changelog;
  readonly #transactions: PartitionTransactions;
  readonly #holdWatch: HoldWatch;
  readonly #bell = new Bell();
  readonly #abort = new AbortController();
  readonly #outage: Outage;
  readonly #lanes = new Lanes();
  #ready = false;
  #paused = false;
  #stopping = false;
  #committing = false;
  /** Somebody else has taken the partition since: it is taken back only once the group says that it is ours. */
  #fenced = false;
  #lastTick = 0;
  #tickSent = Number.NEGATIVE_INFINITY;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(context: TaskContext, partition: number) {
    this.#context = context;
    this.partition = partition;
    const { settings, topology, session, groupId } = context;
    const outputs = topology.outputs.map((one) => one.topic);
    const topics = [...new Set([...topology.inputs, ...outputs, topology.changelog])];
    const id = `${groupId}-${partition}`;
    this.#transactions = new PartitionTransactions(settings, session, id, topics);
    this.#copy = context.states.of(topology.changelog, partition);
    this.#changelog = new Changelog(context, partition, this.#copy);
    this.#holdWatch = new HoldWatch(settings.moment);
    this.#state = new PartitionState(topology.listed ?? [], settings.limits.stateCacheBytes);
    this.#state.use(this.#copy);
    this.#outage = new Outage(settings, `topology ${topology.name}, partition ${partition},`);
  }

  /** @param failed what a step threw: the end of this task */
  start(failed: (error: unknown) => void): void {
    this.#ended = this.#run().catch(failed);
  }

  /** Finishes the commit under way; `deadlineMs` later it is left to fail. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    this.#bell.ring();
    const late = setTimeout(() => this.#abort.abort(), this.#committing ? deadlineMs : 0);
    await this.#ended;
    clearTimeout(late);
  }

  /** Resolves when no commit is under way; nothing is begun until resume(). */
  async pause(): Promise<void> {
    this.#paused = true;
    while (this.#committing && !this.#abort.signal.aborted) {
      await this.#bell.wait(undefined, this.#abort.signal);
    }
  }

  resume(): void {
    this.#paused = false;
    this.#bell.ring();
  }

  /** This one's share of the state that the processor keeps decoded. */
  cacheUpTo(bytes: number): void {
    this.#state.cacheUpTo(bytes);
  }

  get ready(): boolean {
    return this.#ready;
  }

  get lastError(): string | undefined {
    return this.#outage.lastError;
  }

  lanes(): Iterable<Readonly<Lane>> {
    return this.#lanes.all();
  }

  /** What to fetch next, as far as there is room. */
  wanted(): FetchEntry[] {
    if (!this.#ready) return [];
    const { partition } = this;
    return this.#lanes
      .withRoom(this.#context.settings.limits.readAheadBytes)
      .map(({ topic, ahead }) => ({ topic, partition, position: ahead }));
  }

  offer(fetch: PartitionFetch): void {
    if (!this.#ready || !this.#lanes.offer(fetch)) return;
    this.#bell.ring();
    this.#context.changed();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted && !this.#stopping) {
      try {
        if (this.#paused) {
          await this.#bell.wait(undefined, signal);
          continue;
        }
        if (this.#fenced) {
          this.#fenced = !(await this.#context.isMember());
          if (this.#fenced) await this.#bell.wait(MEMBERSHIP_POLL_MS, signal);
          continue;
        }
        if (!this.#ready) {
          const heldMs = this.#holdWatch.leftMs((await this.#committed()).hold);
          if (heldMs > 0) {
            await this.#bell.wait(Math.min(heldMs, HOLD_POLL_MS), signal);
            continue;
          }
          await this.#prepare(signal);
        }
        await this.#processOnce(signal);
      } catch (error) {
        this.#ready = false;
        this.#context.changed();
        if (error instanceof StepError) throw error;
        if (signal.aborted) return;
        const fault = faultOf(error);
        if (fault.reaction === "split" || fault.code === "invalid") throw error;
        if (fault.reaction === "fenced") {
          this.#fenced = true;
          this.#lanes.clear();
        }
        if (this.#state.readError) await this.#forgetCopy();
        await this.#outage.pause(error, signal);
      }
    }
  }

  /** What cannot be read here can be read again from the changelog. */
  async #forgetCopy(): Promise<void> {
    const { settings, topology } = this.#context;
    const reason = this.#state.readError?.message;
    const of = { topology: topology.name, partition: this.partition, reason };
    settings.logger.warn(
      of,
      "the copy of the state is damaged and is made again from the changelog",
    );
    await this.#copy.clear().catch(() => undefined);
    // Once is enough: what fails from here on is something else.
    this.#state.readError = undefined;
  }

  /** From here on the partition is ours, and state and positions are as last committed. */
  async #prepare(signal: AbortSignal): Promise<void> {
    const { topology, session } = this.#context;
    await this.#transactions.fence(signal);
    const end = await this.#changelog.markEnd(this.#transactions, signal);
    const { inputs } = topology;
    const positions = await this.#changelog.restore(end, signal);
    await this.#state.load();
    if (signal.aborted) throw closedError("restore");
    const known = this.#lanes.positions();
    const ranges = await session.use(inputs, async (connection) =>
      (await Promise.all(inputs.map((topic) => connection.ranges(topic)))).flat(),
    );
    const offsets = positions || known.size > 0 ? new Map() : (await this.#committed()).offsets;
    this.#lanes.clear();
    for (const topic of inputs) {
      const range = ranges.find((r) => r.topic === topic && r.partition === this.partition);
      const committed = positions?.[topic] ?? known.get(topic) ?? offsets.get(topic);
      this.#lanes.begin(topic, committed ?? range?.start ?? 0, range?.end ?? 0);
    }
    this.#ready = true;
    this.#outage.over();
    this.#context.changed();
  }

  async #committed(): Promise<GroupOffsets> {
    const { session, groupId, topology } = this.#context;
    return await groupOffsets(session, groupId, topology.inputs, this.partition);
  }

  async #processOnce(signal: AbortSignal): Promise<void> {
    const steps = new Steps(this.#context.topology, this.#state);
    let moved = false;
    // From the first step to the commit: pause() waits for all of it.
    this.#committing = true;
    try {
      await this.#gather(steps, signal);
      const positions = this.#lanes.next();
      moved = this.#lanes.wouldMove(positions);
      if (moved) await this.#commit(steps, positions, signal);
    } finally {
      this.#committing = false;
      this.#bell.ring();
    }
    // What came meanwhile has rung already.
    if (!moved && !this.#lanes.hasRecords()) await this.#idle(signal);
  }

  /**
   * Steps over what makes one commit: all that is there. Where more comes than can be taken at once a commit gathers for a while,
   * so that what is changed again and again is written once; never so long or so much that it would be in anybody's way.
   */
  async #gather(steps: Steps, signal: AbortSignal): Promise<void> {
    const { settings } = this.#context;
    const { commitRecords, commitChanges, commitIntervalMs } = settings.limits;
    const until = settings.moment() + commitIntervalMs;
    while (!signal.aborted && !this.#stopping && !this.#paused) {
      const taken = this.#lanes.take(Math.min(SLICE_RECORDS, commitRecords - steps.inputs));
      steps.take(taken);
      const left = until - settings.moment();
      if (steps.inputs >= commitRecords || steps.held >= commitChanges || left <= 0) return;
      if (taken.length > 0) await turn();
      else if (steps.inputs > 0 && this.#lanes.awaited()) await this.#bell.wait(left, signal);
      else return;
    }
  }

  async #commit(
    steps: Steps,
    positions: ReadonlyMap<string, number>,
    signal: AbortSignal,
  ): Promise<void> {
    const { topology, groupId, settings } = this.#context;
    const position = encodeCbor(Object.fromEntries(positions));
    const copy = this.#copy.begin();
    let begun: number;
    try {
      const counts = await this.#partitionCounts();
      const pack = () => this.#parts(steps, copy, position, counts);
      const parts = await this.#context.packing(pack);
      const { partition } = this;
      const offsets = [...positions].map(([topic, offset]) => ({ topic, partition, offset }));
      begun = settings.moment();
      await this.#transactions.commit({ parts, groupId, offsets }, signal);
    } catch (error) {
      await copy.discard();
      throw error;
    }
    const offset = this.#transactions.lastOffsetOf(topology.changelog, this.partition);
    const at = settings.now();
    await copy.write(offset === undefined ? undefined : { offset, positions: position, at });
    this.#state.committed();
    this.#lanes.committed(positions);
    if (steps.lastTick !== undefined) {
      this.#lastTick = Math.max(this.#lastTick, steps.lastTick);
      this.#tickSent = Number.NEGATIVE_INFINITY;
    }
    this.#context.committed(steps.records, settings.moment() - begun);
  }

  async #partitionCounts(): Promise<ReadonlyMap<string, number>> {
    const { topology, session } = this.#context;
    const topics = topology.outputs.map(({ topic }) => topic);
    return await session.use(
      topics,
      async (c) => new Map(topics.map((topic) => [topic, c.partitionCount(topic)])),
    );
  }

  /** What goes to the log; the changes go to the copy of the state, too. */
  async #parts(
    steps: Steps,
    copy: StateWrite,
    position: Uint8Array,
    counts: ReadonlyMap<string, number>,
  ): Promise<CommitPart[]> {
    const { topology, settings } = this.#context;
    const { changelog } = topology;
    const { partition } = this;
    const records = new CommitRecords(topology.name, counts, settings.limits.compressFromBytes);
    for (const output of steps.outputs()) records.output(output);
    let done = 0;
    for (const change of this.#state.changes()) {
      for (const output of steps.shown(change)) records.output(output);
      const { key, value } = this.#state.encode(change);
      records.plain(changelog, partition, key, value);
      copy.set(key, value);
      if (++done % SLICE_CHANGES === 0) await turn();
    }
    // The last record of the commit: what a copy's checkpoint is held against.
    records.plain(changelog, partition, POSITION_KEY, position);
    return records.parts();
  }

  /** Nothing to process: time may pass. Waits for what comes next. */
  async #idle(signal: AbortSignal): Promise<void> {
    const { topology, settings } = this.#context;
    if (topology.tickMs === undefined) {
      await this.#bell.wait(undefined, signal);
      return;
    }
    const now = settings.now();
    const due = Math.max(this.#lastTick + topology.tickMs, this.#tickSent + TICK_PATIENCE_MS);
    const caughtUp = this.#lanes.caughtUp();
    if (now < due || !caughtUp) {
      await this.#bell.wait(caughtUp ? due - now : undefined, signal);
      return;
    }
    this.#tickSent = now;
    try {
      await this.#context.sendTick(this.partition, now);
    } catch (error) {
      // No tick then: time passes for the topology when the log is there again.
      settings.logger.debug({ topology: topology.name, ...faultOf(error) }, "a tick was not sent");
    }
  }
}
