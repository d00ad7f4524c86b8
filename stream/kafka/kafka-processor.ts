/**
 * Runs a topology on Kafka: membership in its consumer group says which partitions are here (group-member.ts), each of
 * them is a task of its own (partition-task.ts), and one reader feeds them all.
 *
 * The group is named after the changelog, which is where the topology's state is: two tenants on one Kafka, or a state
 * begun anew under another name, never share positions.
 */
import { eventHeaders } from "../../events/cloudevents.ts";
import { encodeEvent } from "../../events/codec.ts";
import type { LocalStates } from "../local-state.ts";
import type {
  PartitionRange,
  Processor,
  ProcessorPartition,
  ProcessorStatus,
  Topology,
} from "../port.ts";
import { GroupMember } from "./group-member.ts";
import { IdempotentProducer } from "./idempotent-producer.ts";
import type { KafkaSettings } from "./options.ts";
import { PartitionReader } from "./partition-reader.ts";
import { PartitionTask, type TaskContext } from "./partition-task.ts";
import { Progress } from "./progress.ts";
import { closedError, Outage, orAborted, pause } from "./retry.ts";
import { KafkaSession } from "./session.ts";
import { TICK_TYPE } from "./steps.core.ts";

/** How long stop() and a rebalance wait for commits under way, ms. */
const COMMIT_DEADLINE_MS = 5000;
/** While a partition is not read (being restored, or full), fetches of the others are short so that it waits little, ms. */
const SHORT_FETCH_MS = 20;
/** How often caughtUp() asks the group for partitions that others work on, ms. */
const OTHERS_POLL_MS = 200;

/** `telemetry.ledger-changelog.v1` → `telemetry.ledger.v1`. */
export function groupIdOf(topology: Pick<Topology, "changelog">): string {
  return topology.changelog.replace(/-changelog(?=\.v\d+$)/, "");
}

interface Run {
  readonly abort: AbortController;
  readonly session: KafkaSession;
  readonly member: GroupMember;
  readonly progress: Progress;
  readonly ended: Promise<unknown>;
}

export class KafkaProcessor implements Processor {
  readonly #settings: KafkaSettings;
  readonly #states: LocalStates;
  readonly #topology: Topology;
  readonly #groupId: string;
  readonly #tasks = new Map<number, PartitionTask>();
  readonly #membership: Outage;
  readonly #fetching: Outage;
  #run: Run | undefined;
  #failure: { readonly error: unknown } | undefined;
  #assigned = false;
  #recordsProcessed = 0;
  #commits = 0;
  #commitMs = 0;
  #restored = 0;

  constructor(settings: KafkaSettings, states: LocalStates, topology: Topology) {
    this.#settings = settings;
    this.#states = states;
    this.#topology = topology;
    this.#groupId = groupIdOf(topology);
    this.#membership = new Outage(settings, `group ${this.#groupId}`);
    this.#fetching = new Outage(settings, `topology ${topology.name}`);
  }

  async start(): Promise<void> {
    if (this.#run) return;
    await this.#states.open();
    this.#failure = undefined;
    const abort = new AbortController();
    const session = new KafkaSession(this.#settings);
    const progress = new Progress();
    const callbacks = {
      revoked: async () => {
        await Promise.all([...this.#tasks.values()].map((task) => task.pause()));
      },
      assigned: (partitions: readonly number[]) => this.#assign(partitions, context),
    };
    const { inputs } = this.#topology;
    const groupId = this.#groupId;
    const member = new GroupMember(this.#settings, groupId, inputs, callbacks, this.#membership);
    const context: TaskContext = {
      settings: this.#settings,
      topology: this.#topology,
      groupId,
      states: this.#states,
      session,
      isMember: () => member.isMember(),
      sendTick: this.#tickSender(session),
      packing: oneAfterAnother(),
      changed: () => progress.wake(),
      restored: (records) => {
        this.#restored += records;
      },
      committed: (records, ms) => {
        this.#recordsProcessed += records;
        this.#commitMs += ms;
        this.#commits++;
        progress.wake();
      },
    };
    const running = Promise.all([
      member.run(abort.signal).catch((error: unknown) => this.#fail(error)),
      this.#feed(progress, abort.signal),
    ]);
    this.#run = { abort, session, member, progress, ended: running };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    await this.#end(run);
    this.#run = undefined;
    this.#failure = undefined;
  }

  status(): ProcessorStatus {
    const tasks = [...this.#tasks.values()];
    const partitions = tasks.flatMap((task) =>
      [...task.lanes()].map(
        ({ topic, position, end, since }): ProcessorPartition => ({
          topic,
          partition: task.partition,
          position,
          end: Math.max(position, end),
          ...(since === undefined ? {} : { since }),
        }),
      ),
    );
    const taskError = tasks.find((task) => task.lastError !== undefined)?.lastError;
    // A group that does not answer is no matter as long as its partitions are read and committed.
    const joining = this.#assigned ? undefined : this.#membership.lastError;
    const waiting = joining ?? this.#fetching.lastError ?? taskError;
    const lastError = this.#failure ? (this.#failure.error as Error).message : waiting;
    const ready = this.#assigned && tasks.every((task) => task.ready);
    let state: ProcessorStatus["state"] = ready ? "running" : "starting";
    if (waiting !== undefined) state = "waiting";
    if (!this.#run) state = "stopped";
    if (this.#failure) state = "failed";
    return {
      state,
      partitions,
      recordsProcessed: this.#recordsProcessed,
      commits: this.#commits,
      commitMs: this.#commitMs,
      restoring: tasks.filter((task) => !task.ready).length,
      restored: this.#restored,
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  async caughtUp(signal?: AbortSignal): Promise<void> {
    const run = this.#run;
    if (!run) throw closedError(`topology ${this.#topology.name}`);
    const stopped = run.abort.signal;
    const either = signal ? AbortSignal.any([signal, stopped]) : stopped;
    const outage = new Outage(this.#settings, "a processor's end");
    const { inputs } = this.#topology;
    let targets: readonly PartitionRange[] | undefined;
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      signal?.throwIfAborted();
      if (stopped.aborted) throw closedError(`topology ${this.#topology.name}`);
      try {
        targets ??= await orAborted(
          run.session.use(inputs, async (connection) =>
            (await Promise.all(inputs.map((topic) => connection.ranges(topic)))).flat(),
          ),
          either,
        );
        targets = targets.filter((one) => this.#position(one) < one.end);
        const elsewhere = targets.filter((one) => !this.#tasks.has(one.partition));
        if (this.#assigned && elsewhere.length > 0) {
          const done = await this.#doneElsewhere(run.session, elsewhere);
          targets = targets.filter((one) => !done.has(one));
        }
        if (targets.length === 0) return;
        await run.progress.changed(elsewhere.length > 0 ? OTHERS_POLL_MS : undefined, either);
      } catch (error) {
        if (!either.aborted) await outage.pause(error, either);
      }
    }
  }

  #position({ topic, partition }: PartitionRange): number {
    for (const lane of this.#tasks.get(partition)?.lanes() ?? []) {
      if (lane.topic === topic) return lane.position;
    }
    return -1;
  }

  async #doneElsewhere(
    session: KafkaSession,
    targets: readonly PartitionRange[],
  ): Promise<Set<PartitionRange>> {
    const groupId = this.#groupId;
    const { responses } = await session.use(this.#topology.inputs, async (connection) => {
      const coordinator = await connection.coordinator("group", groupId);
      const topics = [...Map.groupBy(targets, (one) => one.topic)];
      return await coordinator.offsetFetch({
        groupId,
        topics: topics.map(([topic, of]) => ({
          topic,
          partitions: of.map(({ partition }) => ({ partition })),
        })),
      });
    });
    return new Set(
      targets.filter((target) => {
        // An empty partition has no committed offset: nothing to do is done.
        if (target.end === target.start) return true;
        const of = responses.find((one) => one.topic === target.topic)?.partitions;
        const found = of?.find((one) => one.partition === target.partition);
        return Number(found?.offset ?? -1) >= target.end;
      }),
    );
  }

  #assign(partitions: readonly number[], context: TaskContext): void {
    const { logger } = this.#settings;
    logger.info({ topology: this.#topology.name, partitions }, "partitions assigned");
    for (const [partition, task] of this.#tasks) {
      if (partitions.includes(partition)) {
        task.resume();
      } else {
        this.#tasks.delete(partition);
        void task.stop(COMMIT_DEADLINE_MS);
      }
    }
    for (const partition of partitions) {
      if (this.#tasks.has(partition)) continue;
      const task = new PartitionTask(context, partition);
      this.#tasks.set(partition, task);
      task.start((error) => this.#fail(error));
    }
    const { stateCacheBytes } = this.#settings.limits;
    for (const task of this.#tasks.values()) task.cacheUpTo(stateCacheBytes / this.#tasks.size);
    this.#assigned = true;
    context.changed();
  }

  /** Keeps one fetch under way for whatever has room. */
  async #feed(progress: Progress, signal: AbortSignal): Promise<void> {
    const session = new KafkaSession(this.#settings);
    const reader = new PartitionReader(this.#settings, session);
    signal.addEventListener("abort", () => session.close());
    const all = this.#topology.inputs.length;
    while (!signal.aborted) {
      const tasks = [...this.#tasks.values()];
      const wanted = tasks.flatMap((task) => task.wanted());
      try {
        if (wanted.length === 0) {
          await progress.changed(undefined, signal);
          continue;
        }
        const complete = wanted.length === tasks.length * all;
        const { fetchWaitMs } = this.#settings.limits;
        const fetches = await reader.poll(wanted, signal, complete ? fetchWaitMs : SHORT_FETCH_MS);
        for (const fetch of fetches) this.#tasks.get(fetch.partition)?.offer(fetch);
        this.#fetching.over();
      } catch (error) {
        if (!signal.aborted) await this.#fetching.pause(error, signal);
      }
    }
  }

  /** Ticks are no part of any transaction: their marks would stand in everybody's input. */
  #tickSender(session: KafkaSession): TaskContext["sendTick"] {
    const producer = new IdempotentProducer(this.#settings, session);
    const [topic = ""] = this.#topology.inputs;
    const inTurn = oneAfterAnother();
    return async (partition, time) => {
      const { name } = this.#topology;
      const id = `tick-${partition}-${time}`;
      const headers = { ...eventHeaders(TICK_TYPE, id, `/processors/${name}`, time) };
      const record = { key: null, headers, value: encodeEvent(TICK_TYPE, { time }) };
      const fail = async (error: unknown) => {
        throw error;
      };
      await inTurn(() => producer.send({ topic, partition: () => partition }, [record], fail));
    };
  }

  /** A bug, or a setting that cannot be right: everything of this processor ends, and says why until it is started anew. */
  #fail(error: unknown): void {
    if (this.#failure || !this.#run) return;
    this.#failure = { error };
    const topology = this.#topology.name;
    this.#settings.logger.error({ err: error, topology }, "a topology has failed and is stopped");
    void this.#end(this.#run);
  }

  async #end(run: Run): Promise<void> {
    const stops = Promise.all([...this.#tasks.values()].map((t) => t.stop(COMMIT_DEADLINE_MS)));
    await Promise.race([stops, pause(COMMIT_DEADLINE_MS)]);
    // An answer that never comes must not outlive the deadline.
    run.session.close();
    await stops;
    run.abort.abort();
    await run.ended;
    this.#tasks.clear();
    this.#assigned = false;
    run.progress.wake();
  }
}

/** Begins each piece of work when the one before has ended, however it ended. */
function oneAfterAnother(): <Done>(work: () => Promise<Done>) => Promise<Done> {
  let before: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = before.then(work);
    before = mine.catch(() => {});
    return mine;
  };
}
