/**
 * A topology's state made anew on Kafka, beside the processors that run.
 *
 * The replay reads the input and the changelog like anybody, into two states in a directory of its own. For the switch of a
 * partition it takes the partition over as another processor would: it fences the owner, says in the group's offsets that it
 * holds the partition and for how long (group-offsets.ts), runs on to the owner's last commit, and writes what differs in one
 * transaction, which also ends the hold. The owner meets the fence at its next commit, waits for the end of the hold, reads
 * the tail of the changelog as after any takeover, and goes on.
 *
 * Where the rebuild dies the transaction never commits: Kafka aborts it, at the latest when the owner takes the partition back,
 * and that is when the hold is over.
 */
import { randomBytes } from "node:crypto";
import { encodeCbor } from "../../events/codec.ts";
import type { LocalState } from "../local-state.ts";
import {
  EventLogError,
  type Output,
  type PartitionRange,
  type PartitionRebuild,
  type RebuildOptions,
  type RebuildPlan,
  type Topology,
} from "../port.ts";
import { type ExchangePart, exchangeParts } from "../rebuild/exchange.ts";
import { Replay } from "../rebuild/replay.ts";
import { Scratch } from "../rebuild/scratch.ts";
import { Changelog, POSITION_KEY } from "./changelog.ts";
import { type CommitPart, CommitRecords } from "./commit-records.ts";
import { eventLogError, faultOf } from "./faults.ts";
import {
  type GroupOffsets,
  groupOffsets,
  type Hold,
  HoldWatch,
  holdText,
} from "./group-offsets.ts";
import type { KafkaSettings } from "./options.ts";
import { readToEnd } from "./read.ts";
import { Outage, pause, withDeadline } from "./retry.ts";
import { KafkaSession } from "./session.ts";
import { PartitionTransactions } from "./transactions.ts";

/** Partitions replayed at once: while one waits for the network another has the processor. */
const AT_ONCE = 4;
/** What is left to replay when the partition is taken over, at most, if the input does not outrun us; records. */
const NEARLY = 2000;
const CATCH_UPS = 8;
/** A hold lasts longer for larger states, ms for each key in them … */
const HOLD_PER_KEY_MS = 0.2;
/** … up to what brokers let a transaction take by default, nearly. */
const LONGEST_HOLD_MS = 14 * 60_000;
/** How often it tries to take over a partition that its owner takes back at the same time. */
const TAKEOVERS = 20;
/** How long a lost broker is waited for before the rebuild ends with nothing switched, ms. */
const PATIENCE_MS = 10 * 60_000;
/** How often a partition that another rebuild holds is looked at, ms. */
const HOLD_POLL_MS = 100;
/** To let go of a partition where something failed, ms. */
const LET_GO_MS = 5000;

export async function rebuildOnKafka(
  settings: KafkaSettings,
  groupId: string,
  topology: Topology,
  plan: RebuildPlan,
  options: RebuildOptions,
): Promise<readonly PartitionRebuild[]> {
  const [input = "", ...others] = topology.inputs;
  if (others.length > 0 || plan.replay.inputs.join() !== input) {
    throw new EventLogError("invalid", `${topology.name} has several inputs: it cannot be rebuilt`);
  }
  const session = new KafkaSession(settings);
  const scratch = await Scratch.open(options.directory, options.minFreeBytes);
  try {
    return await new KafkaRebuild({
      settings,
      groupId,
      topology,
      input,
      plan,
      options,
      session,
      scratch,
    }).run();
  } catch (error) {
    options.signal.throwIfAborted();
    throw eventLogError(error, `rebuild ${topology.name}`);
  } finally {
    session.close();
    await scratch.remove();
  }
}

interface Context {
  readonly settings: KafkaSettings;
  readonly groupId: string;
  readonly topology: Topology;
  readonly input: string;
  readonly plan: RebuildPlan;
  readonly options: RebuildOptions;
  readonly session: KafkaSession;
  readonly scratch: Scratch;
}

class KafkaRebuild {
  readonly #context: Context;
  #partitions: readonly PartitionRebuilder[] = [];
  #phase: "replay" | "switch" = "replay";
  #switched = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  async run(): Promise<readonly PartitionRebuild[]> {
    const { settings, session, input, topology, options } = this.#context;
    const { signal } = options;
    const topics = [input, topology.changelog, ...topology.outputs.map((one) => one.topic)];
    const doing = `rebuild ${topology.name}`;
    // All of them, so that one that is missing is told before hours of work.
    const [ranges, begins] = await withDeadline(settings, doing, signal, () =>
      session.use(topics, async (connection) => {
        for (const topic of topics) connection.partitionCount(topic);
        return [
          await connection.ranges(input),
          options.from === undefined ? undefined : await connection.offsetsAt(input, options.from),
        ] as const;
      }),
    );
    this.#partitions = ranges.map((range) => {
      const begin = Math.max(range.start, begins?.get(range.partition) ?? range.start);
      return new PartitionRebuilder(this.#context, range, begin, () => this.#tell());
    });
    const waiting = [...this.#partitions];
    const work = async () => {
      for (let one = waiting.shift(); one; one = waiting.shift()) await one.prepare();
    };
    await allOrFirstError(Array.from({ length: AT_ONCE }, () => work));
    this.#phase = "switch";
    const done: PartitionRebuild[] = [];
    // Those in which nothing was ever processed at the end: what they are to hold, the others may have to say.
    for (const one of this.#partitions.toSorted((a, b) => b.records - a.records)) {
      done.push(await (options.dryRun ? one.compare() : one.exchange()));
      if (!options.dryRun) this.#switched += 1;
      this.#tell();
    }
    return done.sort((a, b) => a.partition - b.partition);
  }

  #tell(): void {
    const partitions = this.#partitions;
    this.#context.options.onProgress({
      phase: this.#phase,
      records: partitions.reduce((sum, one) => sum + one.records, 0),
      total: partitions.reduce((sum, one) => sum + one.total, 0),
      partitions: partitions.length,
      switched: this.#switched,
    });
  }
}

class PartitionRebuilder {
  readonly #context: Context;
  readonly #range: PartitionRange;
  /** The first offset to replay. */
  readonly #begin: number;
  readonly #tell: () => void;
  readonly #live: LocalState;
  readonly #made: LocalState;
  readonly #replay: Replay;
  readonly #changelog: Changelog;
  readonly #transactions: PartitionTransactions;
  /** Next offset to replay. */
  #at: number;
  /** Where the live state is. */
  #goal = 0;
  #heldMs = 0;

  constructor(context: Context, range: PartitionRange, begin: number, tell: () => void) {
    const { settings, topology, groupId, session, scratch, plan, input } = context;
    const { partition } = range;
    this.#context = context;
    this.#range = range;
    this.#tell = tell;
    this.#live = scratch.of("live", partition);
    this.#made = scratch.of("made", partition);
    this.#replay = new Replay(plan.replay, this.#made);
    this.#begin = begin;
    this.#at = begin;
    const restored = () => scratch.checkRoom();
    this.#changelog = new Changelog(
      { settings, topology, groupId, restored },
      partition,
      this.#live,
    );
    const outputs = topology.outputs.map((one) => one.topic);
    const topics = [...new Set([input, ...outputs, topology.changelog])];
    this.#transactions = new PartitionTransactions(
      settings,
      session,
      `${groupId}-${partition}`,
      topics,
    );
  }

  get records(): number {
    return this.#replay.records;
  }
  get total(): number {
    return this.records + Math.max(0, Math.max(this.#goal, this.#range.end) - this.#at);
  }

  /** The live state as it is by now, and history up to there. */
  async prepare(): Promise<void> {
    await this.#patiently(async (signal) => {
      await this.#live.clear();
      await this.#replay.begin();
      this.#goal = await this.#restored(-1, signal);
      this.#at = this.#begin;
    });
    await this.#catchUp();
  }

  /** What the switch would write, by the state of just now. */
  async compare(): Promise<PartitionRebuild> {
    const counts = new Counts();
    for await (const part of this.#parts(this.#context.options.signal)) counts.add(part);
    return this.#report(counts);
  }

  async exchange(): Promise<PartitionRebuild> {
    const { signal } = this.#context.options;
    for (let round = 0; round < CATCH_UPS; round++) {
      const before = this.#goal;
      await this.#patiently(async () => {
        this.#goal = await this.#restored(-1, signal);
      });
      await this.#catchUp();
      if (this.#goal - before < NEARLY) break;
    }
    const hold: Hold = { token: randomBytes(6).toString("hex"), ms: await this.#holdMs() };
    for (let tries = 1; ; tries++) {
      signal.throwIfAborted();
      try {
        return await this.#exchangeHeld(hold);
      } catch (error) {
        // Its owner took it back between our fence and our word; or a broker moved. Nothing was written.
        const { reaction } = faultOf(error);
        const passes = ["fenced", "retry", "refresh", "reconnect", "renew"].includes(reaction);
        if (signal.aborted || !passes || tries >= TAKEOVERS || isOurs(error)) throw error;
        await pause(100 * tries, signal);
      }
    }
  }

  async #exchangeHeld(hold: Hold): Promise<PartitionRebuild> {
    const { signal } = this.#context.options;
    await this.#awaitOther(hold);
    const begun = performance.now();
    const end = await this.#takeOver(hold);
    try {
      this.#goal = await this.#restored(end, signal);
      await this.#catchUp();
      const counts = new Counts();
      for await (const part of this.#parts(signal)) {
        counts.add(part);
        await this.#transactions.send(await this.#records(part), signal);
      }
      const position = encodeCbor({ [this.#context.input]: this.#goal });
      const records = await this.#noRecords();
      const { changelog } = this.#context.topology;
      records.plain(changelog, this.#range.partition, POSITION_KEY, position);
      const parts = records.parts();
      // The moment of the switch. It ends the hold: the offsets are written without the word.
      const { groupId } = this.#context;
      await this.#transactions.commit({ parts, groupId, offsets: [this.#offset()] }, signal);
      this.#heldMs = performance.now() - begun;
      return this.#report(counts);
    } catch (error) {
      await this.#letGo(hold).catch(() => undefined);
      throw error;
    }
  }

  /** @returns the offset of a record that is behind everything that was committed before */
  async #takeOver(hold: Hold): Promise<number> {
    const { signal } = this.#context.options;
    try {
      await this.#transactions.fence(signal, hold.ms);
    } catch (error) {
      // A broker that allows less: then there is so much time, and a larger difference fails.
      if (!faultOf(error).message.startsWith("INVALID_TRANSACTION_TIMEOUT")) throw error;
      await this.#transactions.fence(signal);
    }
    const { offsets } = await this.#groupOffsets();
    this.#goal = offsets.get(this.#context.input) ?? this.#goal;
    const word = { ...this.#offset(), metadata: holdText(hold) };
    return await this.#changelog.markEnd(this.#transactions, signal, [word]);
  }

  /** Two rebuilds of a topology take turns; one that was killed is waited for as long as its hold was to last. */
  async #awaitOther(mine: Hold): Promise<void> {
    const { settings, topology, options } = this.#context;
    const watch = new HoldWatch(settings.moment);
    for (let told = false; ; told = true) {
      const { hold } = await this.#groupOffsets();
      const leftMs = hold?.token === mine.token ? 0 : watch.leftMs(hold);
      if (leftMs === 0) return;
      const of = { topology: topology.name, partition: this.#range.partition, leftMs };
      if (!told)
        settings.logger.info(of, "another rebuild holds the partition, or was killed there");
      await pause(Math.min(leftMs, HOLD_POLL_MS), options.signal);
      options.signal.throwIfAborted();
    }
  }

  /** Nobody has to wait for the end of a hold that is of no use any more. */
  async #letGo(hold: Hold): Promise<void> {
    const { session, groupId, input } = this.#context;
    const signal = AbortSignal.timeout(LET_GO_MS);
    if (!(await this.#transactions.abandon(signal).catch(() => false))) {
      // Either it was committed after all, or somebody else has the partition, or it is still ours.
      const { partition } = this.#range;
      const now = await groupOffsets(session, groupId, [input], partition);
      if (now.hold?.token !== hold.token) return;
      await this.#transactions.fence(signal);
    }
    await this.#changelog.markEnd(this.#transactions, signal, [this.#offset()]);
  }

  #offset() {
    const { input } = this.#context;
    return { topic: input, partition: this.#range.partition, offset: this.#goal };
  }

  async #records({ changes, outputs }: ExchangePart): Promise<CommitPart[]> {
    const { topology } = this.#context;
    const records = await this.#noRecords();
    for (const output of outputs) records.output(output);
    for (const { key, value } of changes) {
      records.plain(topology.changelog, this.#range.partition, key, value);
    }
    return records.parts();
  }

  async #noRecords(): Promise<CommitRecords> {
    const { topology, session, settings } = this.#context;
    const topics = topology.outputs.map(({ topic }) => topic);
    const counts = await session.use(
      [topology.changelog, ...topics],
      async (c) => new Map(topics.map((topic) => [topic, c.partitionCount(topic)])),
    );
    return new CommitRecords(topology.name, counts, settings.limits.compressFromBytes);
  }

  async *#parts(signal: AbortSignal) {
    const { plan } = this.#context;
    const { partition } = this.#range;
    const { first, last } = this.#replay;
    const of = { partition, live: this.#live, made: this.#made, first, last };
    yield* exchangeParts(plan, of, signal);
  }

  /** @returns where the live state that was just read is */
  async #restored(end: number, signal: AbortSignal): Promise<number> {
    const { input } = this.#context;
    const positions = await this.#changelog.restore(end, signal);
    if (positions?.[input] !== undefined) return positions[input];
    // Nothing was ever committed: there is no state, and whoever processes the partition begins where the log does.
    const { offsets } = await this.#groupOffsets();
    return offsets.get(input) ?? this.#range.start;
  }

  /** Replays up to the goal, and behind a record that retention took meanwhile on. */
  async #catchUp(): Promise<void> {
    const { settings, input, scratch } = this.#context;
    const { partition } = this.#range;
    await this.#patiently(async (signal) => {
      const only = { partition, knownOffset: this.#goal - 1 };
      if (this.#at >= this.#goal) return;
      const from = new Map([[partition, this.#at]]);
      for await (const { records, next } of readToEnd(settings, input, from, signal, only)) {
        const mine = records.filter((one) => one.offset >= this.#at && one.offset < this.#goal);
        await this.#replay.take(mine, signal);
        this.#at = Math.min(Math.max(this.#at, next), this.#goal);
        await scratch.checkRoom();
        this.#tell();
        if (next >= this.#goal) break;
      }
      // Behind it there are only marks of transactions.
      this.#at = this.#goal;
    });
    await this.#replay.flush();
  }

  async #holdMs(): Promise<number> {
    let keys = 0;
    for (const state of [this.#live, this.#made]) {
      for await (const some of state.keys("")) keys += some.length;
    }
    const ms = this.#context.settings.limits.rebuildHoldMs + keys * HOLD_PER_KEY_MS;
    return Math.round(Math.min(LONGEST_HOLD_MS, ms));
  }

  /** A broker that restarts must not cost what was done so far. */
  async #patiently(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { settings, topology, options } = this.#context;
    const outage = new Outage(settings, `rebuild of ${topology.name}`);
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      options.signal.throwIfAborted();
      try {
        await work(options.signal);
        outage.over();
        return;
      } catch (error) {
        if (isOurs(error) || performance.now() > until) throw error;
        if (faultOf(error).code !== "unreachable") throw error;
        await outage.pause(error, options.signal);
      }
    }
  }

  #groupOffsets(): Promise<GroupOffsets> {
    const { settings, session, groupId, input, options } = this.#context;
    return withDeadline(settings, `offsets of ${groupId}`, options.signal, () =>
      groupOffsets(session, groupId, [input], this.#range.partition),
    );
  }

  #report(counts: Counts): PartitionRebuild {
    const { partition } = this.#range;
    const { first, records } = this.#replay;
    return {
      partition,
      records,
      ...(first ? { first: { offset: first.offset, timestamp: first.timestamp } } : {}),
      ...counts.told(),
      heldMs: Math.round(this.#heldMs),
    };
  }
}

class Counts {
  #changed = 0;
  readonly #outputs = new Map<string, number>();

  add(part: { readonly changes: readonly unknown[]; readonly outputs: readonly Output[] }): void {
    this.#changed += part.changes.length;
    for (const { topic } of part.outputs) {
      this.#outputs.set(topic, (this.#outputs.get(topic) ?? 0) + 1);
    }
  }

  told(): Pick<PartitionRebuild, "changed" | "outputs"> {
    return { changed: this.#changed, outputs: Object.fromEntries(this.#outputs) };
  }
}

/** Said by us, not by a broker: asking again changes nothing. */
function isOurs(error: unknown): boolean {
  return error instanceof EventLogError && error.code !== "unreachable";
}

/** The first that fails is told once the others have come to their end: they use the same directory. */
async function allOrFirstError(work: readonly (() => Promise<void>)[]): Promise<void> {
  const failed: unknown[] = [];
  await Promise.all(work.map((one) => one().catch((error: unknown) => failed.push(error))));
  if (failed.length > 0) throw failed[0];
}
