/**
 * The event log port on Apache Kafka. It needs brokers of version 2.3 or later (zstd, idempotence, transactions); it is
 * tried on 4.3. What the port promises and what this adapter leans on for it:
 *  - a sink's batch stands once however often it is resent: producer id and sequence (idempotent-producer.ts);
 *  - a processor's commit is one Kafka transaction over outputs, changelog and position (partition-task.ts);
 *  - readers see what is committed, in the order of the partition, from any position (partition-reader.ts).
 */

import { type LocalStates, MemoryStates, StoredStates } from "../local-state.ts";
import { partitionOf } from "../partitioner.ts";
import {
  type EventLog,
  EventLogError,
  type LogRecord,
  type PartitionRange,
  type PartitionRebuild,
  type Processor,
  type RebuildOptions,
  type RebuildPlan,
  type Sink,
  type SinkOptions,
  type SinkSource,
  type StoredRecord,
  type Tail,
  type TailOptions,
  type TopicSpec,
  type Topology,
} from "../port.ts";
import { metadataRequest } from "./admin-requests.ts";
import { recordsBehind } from "./behind.ts";
import { createTopics } from "./create-topics.ts";
import { type Fault, faultOf } from "./faults.ts";
import { IdempotentProducer, sendInParts } from "./idempotent-producer.ts";
import { groupIdOf, KafkaProcessor } from "./kafka-processor.ts";
import { KafkaSink } from "./kafka-sink.ts";
import { KafkaTail } from "./kafka-tail.ts";
import { type KafkaLogOptions, type KafkaSettings, settle } from "./options.ts";
import { latestByKey, readToEnd } from "./read.ts";
import { rebuildOnKafka } from "./rebuild.ts";
import { closedError, Outage, Patience, withDeadline } from "./retry.ts";
import { KafkaSession } from "./session.ts";

/** Of how many topics that we may not see it is told: names may come from anybody who asks over HTTP. */
const MOST_FORBIDDEN = 100;

interface Open {
  readonly abort: AbortController;
  readonly session: KafkaSession;
  readonly producer: IdempotentProducer;
  /** The append before: they go one after another, in the order of the calls. */
  appended: Promise<unknown>;
}

export class KafkaEventLog implements EventLog {
  readonly kind = "kafka";
  readonly #settings: KafkaSettings;
  readonly #made = new Set<{ stop(): Promise<void> }>();
  /** Whoever needs its topics asks again and again, and only we know whether Kafka is away or says no. */
  readonly #creating: Outage;
  readonly #states: LocalStates;
  /** Topics of which it was told that we may not see them. */
  readonly #forbidden = new Set<string>();
  #open: Open | undefined;

  constructor(options: KafkaLogOptions) {
    const { stateDirectory } = options;
    this.#states =
      stateDirectory === undefined ? new MemoryStates() : new StoredStates(stateDirectory);
    this.#settings = settle(options);
    this.#creating = new Outage(this.#settings, "looking for topics");
  }

  async start(): Promise<void> {
    if (this.#open) return;
    const session = new KafkaSession(this.#settings);
    const producer = new IdempotentProducer(this.#settings, session);
    const abort = new AbortController();
    this.#open = { abort, session, producer, appended: Promise.resolve() };
    void this.#greet(this.#open);
  }

  async stop(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    await Promise.all([...this.#made].map((one) => one.stop()));
    this.#made.clear();
    open.abort.abort();
    open.session.close();
    await this.#states.close();
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    const doing = "create topics";
    const { session, abort } = this.#opened(doing);
    try {
      await withDeadline(this.#settings, doing, abort.signal, () =>
        session.use([], (connection) => createTopics(connection, specs, this.#settings)),
      );
      this.#creating.over();
    } catch (error) {
      if (!abort.signal.aborted) this.#creating.note(causeOf(error));
      throw error;
    }
  }

  async ranges(topic: string): Promise<readonly PartitionRange[]> {
    const doing = `ranges of ${topic}`;
    const { session, abort } = this.#opened(doing);
    try {
      const ranges = await withDeadline(this.#settings, doing, abort.signal, () =>
        session.use([topic], (connection) => connection.ranges(topic)),
      );
      this.#forbidden.delete(topic);
      return ranges;
    } catch (error) {
      this.#tellForbidden(topic, error);
      throw error;
    }
  }

  async append(topic: string, records: readonly LogRecord[]): Promise<void> {
    const open = this.#opened(`append to ${topic}`);
    const mine = open.appended.then(() => this.#append(open, topic, records));
    open.appended = mine.catch(() => {});
    await mine;
  }

  async #append(open: Open, topic: string, records: readonly LogRecord[]): Promise<void> {
    const doing = `append to ${topic}`;
    const { session, producer, abort } = open;
    const count = await withDeadline(this.#settings, doing, abort.signal, () =>
      session.use([topic], async (connection) => connection.partitionCount(topic)),
    );
    const byPartition = Map.groupBy(records, (record) => partitionOf(record.key, count));
    for (const [partition, of] of byPartition) {
      const patience = new Patience(this.#settings, doing, abort.signal);
      const destination = { topic, partition: () => partition };
      await sendInParts(producer, destination, of, (error) => patience.again(error));
    }
  }

  sink(source: SinkSource, options?: SinkOptions): Sink {
    return this.#keep(new KafkaSink(this.#settings, source, options));
  }

  process(topology: Topology): Processor {
    return this.#keep(new KafkaProcessor(this.#settings, this.#states, topology));
  }

  async behind(topology: Pick<Topology, "name" | "inputs" | "changelog">): Promise<number> {
    const doing = `position of ${topology.name}`;
    const { session, abort } = this.#opened(doing);
    return await withDeadline(this.#settings, doing, abort.signal, () =>
      session.use(topology.inputs, (connection) => recordsBehind(connection, topology)),
    );
  }

  async rebuild(
    topology: Topology,
    plan: RebuildPlan,
    options: RebuildOptions,
  ): Promise<readonly PartitionRebuild[]> {
    const { abort } = this.#opened(`rebuild ${topology.name}`);
    const signal = AbortSignal.any([abort.signal, options.signal]);
    const groupId = groupIdOf(topology);
    return await rebuildOnKafka(this.#settings, groupId, topology, plan, { ...options, signal });
  }

  tail(topics: readonly string[], options: TailOptions): Tail {
    const tail = new KafkaTail(this.#settings, topics, options);
    // Everybody who looks over HTTP has a tail: one that ended must not be kept until the log stops.
    return {
      start: () => {
        this.#made.add(tail);
        return tail.start();
      },
      stop: async () => {
        await tail.stop();
        this.#made.delete(tail);
      },
      caughtUp: (signal) => tail.caughtUp(signal),
      status: () => tail.status(),
    };
  }

  async *read(topic: string, from?: ReadonlyMap<number, number>): AsyncGenerator<StoredRecord> {
    const { abort } = this.#opened(`read ${topic}`);
    for await (const fetch of readToEnd(this.#settings, topic, from ?? new Map(), abort.signal)) {
      yield* fetch.records;
    }
  }

  async latest(topic: string): Promise<ReadonlyMap<string, StoredRecord>> {
    return await latestByKey(this.read(topic));
  }

  /** Whoever reads asks for the ranges first and goes on asking: that it may not is one line for each topic. */
  #tellForbidden(topic: string, error: unknown): void {
    const { code, reaction, message } = causeOf(error);
    // No connection is told by whoever met it first.
    if (code !== "not_authorized" || reaction === "reconnect") return;
    if (this.#forbidden.has(topic) || this.#forbidden.size >= MOST_FORBIDDEN) return;
    this.#forbidden.add(topic);
    this.#settings.logger.warn({ code, topic }, `${message}; it is tried again by itself`);
  }

  #opened(doing: string): Open {
    if (!this.#open) throw closedError(doing);
    return this.#open;
  }

  #keep<T extends { stop(): Promise<void> }>(made: T): T {
    this.#made.add(made);
    return made;
  }

  /** One line that says whether Kafka is there; nobody waits for it. */
  async #greet(open: Open): Promise<void> {
    const { logger, brokers, outages } = this.#settings;
    try {
      // Versions are told to everybody: only an answer to something else says that we are let in.
      await open.session.use([], (connection) => connection.ask(metadataRequest([])));
      logger.info({ brokers }, "connected to Kafka");
    } catch (error) {
      if (open.abort.signal.aborted) return;
      outages.tell(open, faultOf(error));
    }
  }
}

/** Of an error that was made ready for callers: how Kafka put it. */
function causeOf(error: unknown): Fault {
  const { cause } = error as { cause?: unknown };
  return faultOf(error instanceof EventLogError && cause ? cause : error);
}
