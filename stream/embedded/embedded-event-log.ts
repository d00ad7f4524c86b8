/**
 * The event log without a broker: the same topics, sinks, processors and tails over one LevelDB in one process, for
 * a site that runs everything on one machine.
 *
 * It promises what stream/port.ts does. store.ts tells its constraints, format, write, read and recovery. In addition
 *  - a second process on the same directory gets `in_use`;
 *  - a gateway's batch that is resent after a restart is recognised, so the journal has no duplicates at all (sink.ts);
 *  - compacted topics keep one record for each key from the moment of the append; a tombstone stays for a day;
 *  - disk use is bounded: retention by time for each topic, a cap over all that are deleted by age (retention.ts).
 */
import { partitionOf } from "../partitioner.ts";
import type {
  EventLog,
  LogRecord,
  PartitionRange,
  PartitionRebuild,
  Processor,
  RebuildOptions,
  RebuildPlan,
  Sink,
  SinkSource,
  StoredRecord,
  Tail,
  TailOptions,
  TopicSpec,
  Topology,
} from "../port.ts";
import { EventLogError } from "../port.ts";
import { pause } from "./backoff.ts";
import { openDatabase, openLevel } from "./database.ts";
import { InputLane } from "./input-lane.ts";
import { type EmbeddedEventLogOptions, type EmbeddedSettings, settingsOf } from "./options.ts";
import { EmbeddedProcessor } from "./processor.ts";
import { rebuildEmbedded } from "./rebuild.ts";
import { Retention, type SweepResult } from "./retention.ts";
import type { Running } from "./running.ts";
import { EmbeddedSink } from "./sink.ts";
import { Store } from "./store.ts";
import { EmbeddedTail } from "./tail.ts";

/** Records that read() takes from disk at once. */
const RECORDS_PER_READ = 500;

export interface EmbeddedLogStats {
  /** Of all records kept, before compression, indexes and state not counted. */
  readonly bytes: number;
  /** The part of it that the cap is about. */
  readonly cappedBytes: number;
  readonly maxBytes: number;
  /** Changes written since start, and the groups (fsyncs) that it took. */
  readonly commits: number;
  readonly groups: number;
  /** Times that the store had to be opened again after a write error. */
  readonly recoveries: number;
  /** Damaged blocks met by readers; one that is read twice counts twice. */
  readonly damagedBlocks: number;
}

export class EmbeddedEventLog implements EventLog {
  readonly kind = "embedded";
  readonly #settings: EmbeddedSettings;
  readonly #store: Store;
  readonly #retention: Retention;
  readonly #children = new Set<EmbeddedSink | EmbeddedTail | EmbeddedProcessor>();
  readonly #running: Running<EmbeddedSink | EmbeddedTail | EmbeddedProcessor> = {
    add: (one) => {
      if (one instanceof EmbeddedProcessor) this.#refuseTwin(one);
      this.#children.add(one);
    },
    delete: (one) => {
      this.#children.delete(one);
    },
  };
  readonly #rebuilding = new Set<Promise<unknown>>();
  #sweeping: Promise<void> = Promise.resolve();
  #stopping: AbortController | undefined;

  constructor(options: EmbeddedEventLogOptions) {
    this.#settings = settingsOf(options);
    const { directory, openLevel: opener = openLevel } = options;
    const open = options.open ?? (() => openDatabase(directory, opener));
    this.#store = new Store(directory, this.#settings, open);
    this.#retention = new Retention(this.#store);
  }

  async start(): Promise<void> {
    if (this.#stopping) return;
    const stopping = new AbortController();
    this.#stopping = stopping;
    try {
      await this.#store.start();
    } catch (error) {
      this.#stopping = undefined;
      throw error;
    }
    this.#sweeping = this.#sweepNowAndThen(stopping.signal);
  }

  async stop(): Promise<void> {
    if (!this.#stopping) return;
    this.#stopping.abort();
    this.#store.prepareStop();
    await Promise.allSettled(this.#rebuilding);
    await Promise.all([...this.#children].map((one) => one.stop()));
    await this.#sweeping;
    await this.#store.stop();
    this.#stopping = undefined;
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#store.createTopics(specs);
  }

  async ranges(name: string): Promise<readonly PartitionRange[]> {
    const topic = this.#store.topic(name);
    return Promise.all(
      topic.heads.map(async ({ end }, partition) => {
        const [first] = await this.#store.records(topic, partition, 0, end, 1);
        return { topic: name, partition, start: first?.offset ?? end, end };
      }),
    );
  }

  async append(name: string, records: readonly LogRecord[]): Promise<void> {
    const topic = this.#store.topic(name);
    const partitions = new Map<number, LogRecord[]>();
    for (const record of records) {
      const partition = partitionOf(record.key, topic.heads.length);
      const some = partitions.get(partition) ?? [];
      some.push(record);
      partitions.set(partition, some);
    }
    const appends = [...partitions].map(([partition, some]) => ({
      topic,
      partition,
      records: some,
    }));
    if (appends.length > 0) await this.#store.commit({ appends });
  }

  sink(source: SinkSource): Sink {
    return new EmbeddedSink(this.#store, source, this.#running);
  }

  process(topology: Topology): Processor {
    return new EmbeddedProcessor(this.#store, topology, this.#running);
  }

  async behind({ name, inputs }: Pick<Topology, "name" | "inputs">): Promise<number> {
    let behind = 0;
    for (const input of inputs) {
      const ranges = await this.ranges(input);
      for (const { partition, start } of ranges) {
        const lane = new InputLane(name, this.#store.topic(input), partition);
        await lane.load(this.#store);
        behind += Math.max(0, lane.end - Math.max(start, lane.done));
      }
    }
    return behind;
  }

  async rebuild(
    topology: Topology,
    plan: RebuildPlan,
    options: RebuildOptions,
  ): Promise<readonly PartitionRebuild[]> {
    const stopping = this.#stopping;
    if (!stopping) throw new EventLogError("closed", "the event log is not running");
    const signal = AbortSignal.any([stopping.signal, options.signal]);
    const running = rebuildEmbedded(this.#store, topology, plan, { ...options, signal });
    this.#rebuilding.add(running);
    try {
      return await running;
    } catch (error) {
      if (stopping.signal.aborted) {
        throw new EventLogError("closed", "the event log stopped in the middle of the rebuild", {
          cause: error,
        });
      }
      throw error;
    } finally {
      this.#rebuilding.delete(running);
    }
  }

  tail(topics: readonly string[], options: TailOptions): Tail {
    return new EmbeddedTail(this.#store, topics, options, this.#running);
  }

  async *read(name: string, from?: ReadonlyMap<number, number>): AsyncIterable<StoredRecord> {
    const topic = this.#store.topic(name);
    const ends = topic.heads.map((head) => head.end);
    for (const [partition, end] of ends.entries()) {
      let next = from?.get(partition) ?? 0;
      while (next < end) {
        const records = await this.#store.records(topic, partition, next, end, RECORDS_PER_READ);
        yield* records;
        next = (records.at(-1)?.offset ?? end) + 1;
      }
    }
  }

  async latest(name: string): Promise<ReadonlyMap<string, StoredRecord>> {
    const newest = new Map<string, StoredRecord>();
    for await (const record of this.read(name)) {
      if (record.key === null) continue;
      if (record.value === null) newest.delete(record.key);
      // A copy: a view would keep the whole block that it stands in.
      else newest.set(record.key, { ...record, value: Uint8Array.from(record.value) });
    }
    return newest;
  }

  /** Takes away now what may go, instead of at the next interval. @throws EventLogError */
  sweep(): Promise<SweepResult> {
    return this.#retention.sweep(this.#stopping?.signal ?? AbortSignal.abort());
  }

  stats(): EmbeddedLogStats {
    let bytes = 0;
    let cappedBytes = 0;
    for (const topic of this.#store.topics) {
      const held = topic.heads.reduce((sum, head) => sum + head.bytes, 0);
      bytes += held;
      if (topic.cleanup === "delete") cappedBytes += held;
    }
    return { bytes, cappedBytes, maxBytes: this.#settings.maxBytes, ...this.#store.counts };
  }

  /** Two processors of one name would commit over each other. */
  #refuseTwin(processor: EmbeddedProcessor): void {
    const { name } = processor.topology;
    for (const one of this.#children) {
      if (one instanceof EmbeddedProcessor && one.topology.name === name) {
        throw new EventLogError("invalid", `a processor of the topology ${name} runs already`);
      }
    }
  }

  async #sweepNowAndThen(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#settings.timers, this.#settings.sweepIntervalMs, signal);
      if (signal.aborted) return;
      try {
        await this.#retention.sweep(signal);
      } catch (error) {
        // The next one will do it; a store that stays broken is told by everybody who writes.
        if (!signal.aborted) this.#settings.logger.warn({ err: error }, "retention waits");
      }
    }
  }
}
