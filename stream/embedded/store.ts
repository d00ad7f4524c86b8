/**
 * The one LevelDB of an embedded log, and the only place that writes it.
 *
 * Constraints. One directory, one process (LevelDB's lock holds it). What resolved is on disk. A damaged value is
 * found by its checksum and never handed on. After a failed write LevelDB's handle may lose later acknowledged
 * writes, so it is closed, opened and loaded anew before anything is accepted again.
 *
 * Format. See keys.ts for the keys, block.ts for records, database.ts for the directory.
 *
 * Write. Changes go through one FIFO. A writer takes what waits as one group, gives offsets in that order, writes one
 * batch with `{ sync: true }`, and only then moves the heads that readers go by, resolves the callers and rings the
 * bell: one fsync serves all that wait, and nobody sees what is not durable.
 *
 * Read. Inside read() the database stays open; a reader never goes past a head, so what a crash would take back is
 * not seen.
 *
 * Recovery. LevelDB replays its own log; start() checks the format and loads topics and heads. A group is in the
 * database as a whole or not at all, so there is nothing else to mend.
 */

import type { TopicSpec } from "../port.ts";
import { EventLogError, type StoredRecord } from "../port.ts";
import { seal, unseal } from "../seal.ts";
import { pause, pauseMs } from "./backoff.ts";
import { Bell } from "./bell.ts";
import { decodeBlock, isWhole } from "./block.ts";
import { Catalog, makeTopic, type Topic, topicEntry } from "./catalog.ts";
import { type Change, MAX_GROUP_BYTES, type Prepared, prepare, writeGroup } from "./change.ts";
import { FORMAT, type Level, storageError } from "./database.ts";
import { blockKey, blockOffset, FORMAT_KEY, readU64, u64 } from "./keys.ts";
import type { EmbeddedSettings } from "./options.ts";
import { Turns } from "./turns.ts";

/** What a reader takes at once at most, bytes: a block or many small ones, and no burden for a small machine. */
const MAX_READ_BYTES = 256 * 1024;

interface Waiting extends Prepared {
  resolve(): void;
  reject(error: EventLogError): void;
}

export interface StoreCounts {
  readonly commits: number;
  readonly groups: number;
  readonly recoveries: number;
  readonly damagedBlocks: number;
}

export class Store {
  readonly directory: string;
  readonly settings: EmbeddedSettings;
  readonly bell: Bell;
  readonly turns = new Turns();
  readonly #openDatabase: () => Promise<Level>;
  #catalog = new Catalog();
  #level: Level | undefined;
  #state: "closed" | "open" | "recovering" = "closed";
  #queue: Waiting[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #reopened = Promise.withResolvers<void>();
  #closing = new AbortController();
  /** Whoever waits for a store that cannot be opened again has to be let go before it is closed. */
  #ending = new AbortController();
  #away: { readonly since: number; readonly reason: string } | undefined;
  #readers = 0;
  #readersGone: (() => void) | undefined;
  #making: Promise<void> = Promise.resolve();
  #counts = { commits: 0, groups: 0, recoveries: 0, damagedBlocks: 0 };

  constructor(directory: string, settings: EmbeddedSettings, open: () => Promise<Level>) {
    this.directory = directory;
    this.settings = settings;
    this.bell = new Bell(settings.timers);
    this.#openDatabase = open;
  }

  get topics(): Iterable<Topic> {
    return this.#catalog.topics;
  }
  /** Since when the database cannot be used and why; undefined while it can. */
  get away(): { readonly since: number; readonly reason: string } | undefined {
    return this.#away;
  }
  get counts(): StoreCounts {
    return this.#counts;
  }

  /** @throws EventLogError `in_use`, `storage` */
  async start(): Promise<void> {
    if (this.#state !== "closed") return;
    this.#closing = new AbortController();
    this.#ending = new AbortController();
    this.#catalog = new Catalog();
    await this.#open();
    this.#away = undefined;
    this.#state = "open";
  }

  /** Still takes what those who use it have in flight, but does not wait for a broken database any more. */
  prepareStop(): void {
    this.#ending.abort();
  }

  /** Writes what waits, lets readers end, closes. */
  async stop(): Promise<void> {
    if (this.#state === "closed") return;
    this.prepareStop();
    this.#closing.abort();
    await this.#writing;
    this.#state = "closed";
    this.#reopened.resolve();
    await this.#untilNobodyReads();
    const level = this.#level;
    this.#level = undefined;
    await level?.close();
  }

  /** @throws EventLogError `closed`, `unknown_topic` */
  topic(name: string): Topic {
    this.#mustBeUsable();
    const topic = this.#catalog.byName(name);
    if (topic) return topic;
    throw new EventLogError("unknown_topic", `topic ${name} does not exist in ${this.directory}`);
  }

  topicById(id: number): Topic | undefined {
    return this.#catalog.byId(id);
  }

  /** Makes those that do not exist. One call at a time, so that no two topics get one id. */
  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    const made = this.#making.then(async () => {
      this.#mustBeUsable();
      let id = this.#catalog.nextId;
      const topics: Topic[] = [];
      for (const spec of specs) {
        if (this.#catalog.byName(spec.name) || topics.some((one) => one.name === spec.name))
          continue;
        if (!(Number.isInteger(spec.partitions) && spec.partitions > 0)) {
          throw new EventLogError("invalid", `${spec.name}: ${spec.partitions} partitions`);
        }
        topics.push(makeTopic(id++, spec));
      }
      if (topics.length === 0) return;
      await this.commit({ puts: topics.map(topicEntry) });
      for (const topic of topics) this.#catalog.add(topic);
    });
    this.#making = made.catch(() => {});
    return made;
  }

  /**
   * Resolves when the change is on disk, whole. @throws EventLogError `closed`, `invalid`, `storage`; after a `storage`
   * error of a write it is unknown whether it is there.
   */
  commit(change: Change): Promise<void> {
    try {
      this.#mustBeUsable();
      if (this.#state === "recovering") throw this.#refused("it is being opened again");
      const prepared = prepare(change, this.settings.maxRecordBytes);
      if (
        this.#pendingBytes > 0 &&
        this.#pendingBytes + prepared.bytes > this.settings.maxPendingBytes
      ) {
        throw this.#refused(`${this.#pendingBytes} bytes wait already; the disk does not keep up`);
      }
      this.#pendingBytes += prepared.bytes;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#queue.push({ ...prepared, resolve, reject });
      this.#writing ??= this.#write();
      return promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Runs with the database open; waits while it is being opened again. @throws EventLogError `closed`, `storage` */
  async read<T>(use: (level: Level) => Promise<T>): Promise<T> {
    if (this.#state === "recovering") await this.#reopened.promise;
    if (!this.#level) throw this.#closed();
    this.#readers++;
    try {
      return await use(this.#level);
    } catch (error) {
      // The caller's own errors pass as they are.
      const { code } = error as { code?: unknown };
      if (typeof code !== "string" || !code.startsWith("LEVEL_")) throw error;
      throw storageError(this.directory, "read", error);
    } finally {
      if (--this.#readers === 0) this.#readersGone?.();
    }
  }

  /**
   * Records in [from, end), whole blocks, until there are `wanted` or the bytes are enough. Empty means that nothing
   * is left there: a compacted or expired stretch.
   */
  records(
    topic: Topic,
    partition: number,
    from: number,
    end: number,
    wanted: number,
  ): Promise<StoredRecord[]> {
    return this.read(async (level) => {
      const found: StoredRecord[] = [];
      const iterator = level.iterator({
        gte: blockKey(topic.id, partition, from),
        lt: blockKey(topic.id, partition, end),
        highWaterMarkBytes: MAX_READ_BYTES,
      });
      try {
        let bytes = 0;
        while (found.length < wanted && bytes < MAX_READ_BYTES) {
          const entries = await iterator.nextv(wanted);
          if (entries.length === 0) break;
          for (const [key, block] of entries) {
            bytes += block.length;
            if (!isWhole(block, key)) {
              this.#damaged(topic, partition, blockOffset(key));
              continue;
            }
            for (const record of decodeBlock(topic.name, partition, blockOffset(key), block)) {
              if (record.offset >= from) found.push(record);
            }
          }
        }
      } finally {
        await iterator.close();
      }
      return found;
    });
  }

  /** Kept going rather than stopped for ever: the ledger shows what is missing, by sequence. */
  #damaged(topic: Topic, partition: number, offset: number): void {
    this.#counts.damagedBlocks++;
    this.settings.logger.error(
      { topic: topic.name, partition, offset },
      "a block of the event log is damaged on disk; its records are left out",
    );
  }

  #mustBeUsable(): void {
    if (this.#state !== "closed" && !this.#closing.signal.aborted) return;
    throw this.#closed();
  }

  #closed(): EventLogError {
    return new EventLogError("closed", `the event log in ${this.directory} is not running`);
  }

  #refused(why: string): EventLogError {
    return new EventLogError(
      "storage",
      `the event log in ${this.directory} takes nothing now: ${why}`,
    );
  }

  async #open(): Promise<void> {
    const level = await this.#openDatabase();
    try {
      const format = await level.get(FORMAT_KEY);
      const payload = format && unseal(FORMAT_KEY, format);
      if (format && !(payload && readU64(payload, 0) === FORMAT)) {
        throw new EventLogError("storage", `${this.directory} holds no log of format ${FORMAT}`);
      }
      if (!format) await level.put(FORMAT_KEY, seal(FORMAT_KEY, u64(FORMAT)), { sync: true });
      await this.#catalog.load(level);
    } catch (error) {
      await level.close();
      throw storageError(this.directory, "open", error);
    }
    this.#level = level;
  }

  async #write(): Promise<void> {
    // What is appended in the same turn goes with the first.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        const heads = await writeGroup(this.#level as Level, group, this.settings.now());
        for (const [head, made] of heads) Object.assign(head, made.head);
        this.#counts.groups++;
        this.#counts.commits += group.length;
        for (const one of group) one.resolve();
        this.bell.ring(new Set([...heads.values()].map((one) => one.topic.id)));
      } catch (error) {
        await this.#recover(group, storageError(this.directory, "write", error));
      } finally {
        for (const one of group) this.#pendingBytes -= one.bytes;
      }
    }
    this.#writing = undefined;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const one of this.#queue) {
      if (count > 0 && bytes + one.bytes > MAX_GROUP_BYTES) break;
      bytes += one.bytes;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** Everybody who waits is told; then the database is closed, opened and loaded anew, for as long as that takes. */
  async #recover(group: readonly Waiting[], error: EventLogError): Promise<void> {
    const { logger, random, timers } = this.settings;
    this.#state = "recovering";
    this.#away = { since: this.settings.now(), reason: error.message };
    this.#counts.recoveries++;
    this.#reopened = Promise.withResolvers();
    logger.error({ err: error }, "the event log could not be written; opening it again");
    for (const one of group) one.reject(error);
    for (const one of this.#queue.splice(0)) {
      this.#pendingBytes -= one.bytes;
      one.reject(error);
    }
    await this.#untilNobodyReads();
    // A handle that cannot even be closed is given up all the same; opening will say what is wrong.
    await this.#level
      ?.close()
      .catch((fault: unknown) => logger.warn({ err: fault }, "close failed"));
    this.#level = undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#open();
        this.#state = "open";
        this.#away = undefined;
        break;
      } catch (again) {
        logger.error({ err: again, attempt }, "the event log could not be opened again");
        await pause(timers, pauseMs(attempt, random()), this.#ending.signal);
        if (this.#ending.signal.aborted) break;
      }
    }
    this.#reopened.resolve();
    // A write that failed may have reached the disk: its records are there, and nobody was told.
    this.bell.ring([...this.#catalog.topics].map(({ id }) => id));
  }

  async #untilNobodyReads(): Promise<void> {
    while (this.#readers > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#readersGone = resolve;
      await promise;
    }
    this.#readersGone = undefined;
  }
}
