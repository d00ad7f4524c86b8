/**
 * Takes away what may go: tombstones that every reader had time to see, records past their topic's retention, and the
 * oldest of the `delete` topics where they are over the log's cap. Like Kafka it does not ask whether somebody has
 * still to read them; a processor that finds a gap says so.
 *
 * What expires goes by a time of its own (expiry.core.ts), kept in the store: a wall clock that jumps must not empty it.
 *
 * It goes through the same writer as everybody, a few blocks at a time, so that no append waits for long.
 */

import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { expired, expiryTime } from "../expiry.core.ts";
import { seal, unseal } from "../seal.ts";
import { blockCount, blockTime, decodeBlock, isWhole } from "./block.ts";
import type { Topic } from "./catalog.ts";
import type { Removal } from "./change.ts";
import {
  after,
  blockKey,
  blockOffset,
  EXPIRY_KEY,
  parseTombstoneKey,
  tombstonesBefore,
} from "./keys.ts";
import type { Store } from "./store.ts";

/** Most blocks that one commit takes away: an append that waits behind it waits for a ms or two. */
const BLOCKS_PER_COMMIT = 100;
/** Bytes of blocks looked at for one commit, of each partition. */
const BYTES_PER_COMMIT = 1024 ** 2;
/** The time of expiry is written down where it moved by so much: hours are what retention is counted in, ms. */
const EXPIRY_KEPT_EVERY_MS = 3_600_000;
/** LevelDB frees deleted ranges when it happens to compact them; from this much on it is told to, bytes. */
const COMPACT_FROM_BYTES = 32 * 1024 ** 2;

export interface SweepResult {
  readonly tombstones: number;
  readonly expiredBlocks: number;
  readonly blocksOverCap: number;
}

interface OldBlock extends Removal {
  readonly time: number;
  readonly count: number;
}

/** The first blocks of a partition, and whether more follow. */
interface FirstBlocks {
  readonly blocks: readonly OldBlock[];
  readonly more: boolean;
}

/** A damaged block counts as sent at the beginning of time: it goes with the next sweep. */
function oldBlock(topic: Topic, partition: number, key: Buffer, block: Buffer): OldBlock {
  const offset = blockOffset(key);
  const base = { topic, partition, offset, bytes: block.length };
  if (!isWhole(block, key)) return { ...base, time: 0, count: 1 };
  const old = { ...base, time: blockTime(block), count: blockCount(block) };
  if (!topic.compacted) return old;
  const recordKey = decodeBlock(topic.name, partition, offset, block)[0]?.key;
  return recordKey == null ? old : { ...old, key: recordKey };
}

function firstBlocks(store: Store, topic: Topic, partition: number): Promise<FirstBlocks> {
  return store.read(async (level) => {
    const from = blockKey(topic.id, partition, 0);
    const iterator = level.iterator({
      gte: from,
      lt: after(from.subarray(0, 9)),
      highWaterMarkBytes: BYTES_PER_COMMIT,
    });
    try {
      // It ends at the limit or at the bytes; only an empty answer says that nothing follows.
      const entries = await iterator.nextv(BLOCKS_PER_COMMIT);
      const more = entries.length > 0 && (await iterator.nextv(1)).length > 0;
      return {
        blocks: entries.map(([key, block]) => oldBlock(topic, partition, key, block)),
        more,
      };
    } finally {
      await iterator.close();
    }
  });
}

export class Retention {
  readonly #store: Store;
  /** Bytes taken away since the partition was last compacted. */
  readonly #freed = new Map<Topic, number[]>();

  #last: Promise<unknown> = Promise.resolve();

  /** By which records expire, and when that was, on the process's own clock. */
  #expiry: { readonly time: number | undefined; readonly moment: number } | undefined;
  #kept: number | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** One pass over everything, after the one that runs: two at once would count what goes twice. @throws EventLogError */
  sweep(signal: AbortSignal): Promise<SweepResult> {
    const pass = this.#last.then(() => this.#pass(signal));
    this.#last = pass.catch(() => {});
    return pass;
  }

  async #pass(signal: AbortSignal): Promise<SweepResult> {
    const now = await this.#now();
    const tombstones = now === undefined ? 0 : await this.#tombstones(now, signal);
    let expiredBlocks = 0;
    for (const topic of this.#store.topics) {
      if (topic.retentionMs === undefined || topic.cleanup === "compact") continue;
      for (const partition of topic.heads.keys()) {
        if (now === undefined) break;
        expiredBlocks += await this.#expire(topic, partition, now, now - topic.retentionMs, signal);
      }
    }
    const blocksOverCap = await this.#shrink(signal);
    await this.#compact(signal);
    return { tombstones, expiredBlocks, blocksOverCap };
  }

  /** The time by which records expire now, on disk before anything is deleted by it. */
  async #now(): Promise<number | undefined> {
    const { now, moment } = this.#store.settings;
    if (!this.#expiry) {
      this.#kept = await this.#store.read(async (level) => {
        const value = await level.get(EXPIRY_KEY);
        const payload = value && unseal(EXPIRY_KEY, value);
        return payload && (decodeCbor(payload) as number);
      });
      this.#expiry = { time: this.#kept, moment: moment() };
    }
    const at = moment();
    const time = expiryTime(this.#expiry.time, now(), at - this.#expiry.moment);
    this.#expiry = { time, moment: at };
    const moved = Math.abs((time ?? 0) - (this.#kept ?? 0));
    if (time !== undefined && moved >= EXPIRY_KEPT_EVERY_MS) {
      const value = seal(EXPIRY_KEY, encodeCbor(time));
      await this.#store.commit({ puts: [[EXPIRY_KEY, value]] });
      this.#kept = time;
    }
    return time;
  }

  async #tombstones(now: number, signal: AbortSignal): Promise<number> {
    const bounds = tombstonesBefore(now - this.#store.settings.tombstoneRetentionMs);
    let removed = 0;
    while (!signal.aborted) {
      const marks = await this.#store.read(async (level) => {
        const found = await level.iterator({ ...bounds, limit: BLOCKS_PER_COMMIT }).all();
        const keys = found.map(([key]) => {
          const at = parseTombstoneKey(key);
          return blockKey(at.topic, at.partition, at.offset);
        });
        const blocks = await level.getMany(keys);
        return found.map(([key, value], i) => ({ key, value, bytes: blocks[i]?.length ?? 0 }));
      });
      if (marks.length === 0) break;
      const removals = marks.flatMap(({ key, value, bytes }): Removal[] => {
        const { topic: id, partition, offset } = parseTombstoneKey(key);
        const topic = this.#store.topicById(id);
        const recordKey = unseal(key, value)?.toString("utf8");
        if (!topic || recordKey === undefined) return [];
        return [{ topic, partition, offset, bytes, key: recordKey }];
      });
      await this.#store.commit({ removals, deletes: marks.map(({ key }) => key) });
      removed += removals.length;
    }
    return removed;
  }

  async #expire(
    topic: Topic,
    partition: number,
    now: number,
    before: number,
    signal: AbortSignal,
  ): Promise<number> {
    let removed = 0;
    while (!signal.aborted) {
      const { blocks, more } = await firstBlocks(this.#store, topic, partition);
      const times = blocks.map(({ time }) => time);
      const gone = blocks.slice(0, expired(times, before, now));
      await this.#remove(gone);
      removed += gone.length;
      if (gone.length < blocks.length || !more) break;
    }
    return removed;
  }

  /** The oldest blocks go, whichever topic they are of, until all together are within the cap. */
  async #shrink(signal: AbortSignal): Promise<number> {
    const { maxBytes, logger } = this.#store.settings;
    const topics = [...this.#store.topics].filter((topic) => topic.cleanup === "delete");
    const bytesOf = (topic: Topic) => topic.heads.reduce((sum, head) => sum + head.bytes, 0);
    const excess = () => topics.reduce((sum, topic) => sum + bytesOf(topic), 0) - maxBytes;
    let removed = 0;
    while (!signal.aborted && excess() > 0) {
      const gone = await this.#oldest(topics, excess());
      if (gone.length === 0) break;
      await this.#remove(gone);
      removed += gone.length;
      const records = gone.reduce((sum, block) => sum + block.count, 0);
      const bytes = gone.reduce((sum, block) => sum + block.bytes, 0);
      logger.warn({ records, bytes, maxBytes }, "the event log is full; its oldest records go");
    }
    return removed;
  }

  /** The oldest blocks of all partitions, until they free the bytes or a commit is full. */
  async #oldest(topics: readonly Topic[], bytes: number): Promise<readonly OldBlock[]> {
    const oldest: OldBlock[] = [];
    // Of a partition that was not looked at to its end, nothing is known beyond this time.
    let horizon = Number.POSITIVE_INFINITY;
    for (const topic of topics) {
      for (const partition of topic.heads.keys()) {
        const { blocks, more } = await firstBlocks(this.#store, topic, partition);
        oldest.push(...blocks);
        if (more) horizon = Math.min(horizon, blocks.at(-1)?.time ?? 0);
      }
    }
    oldest.sort((a, b) => a.time - b.time || a.offset - b.offset);
    let freed = 0;
    let count = 0;
    for (const block of oldest) {
      if (freed >= bytes || count >= BLOCKS_PER_COMMIT || block.time > horizon) break;
      freed += block.bytes;
      count++;
    }
    return oldest.slice(0, count);
  }

  async #remove(blocks: readonly OldBlock[]): Promise<void> {
    if (blocks.length === 0) return;
    await this.#store.commit({ removals: blocks });
    for (const { topic, partition, bytes } of blocks) {
      const freed = this.#freed.get(topic) ?? topic.heads.map(() => 0);
      freed[partition] = (freed[partition] ?? 0) + bytes;
      this.#freed.set(topic, freed);
    }
  }

  async #compact(signal: AbortSignal): Promise<void> {
    for (const [topic, freed] of this.#freed) {
      for (const [partition, bytes] of freed.entries()) {
        if (bytes < COMPACT_FROM_BYTES || signal.aborted) continue;
        const first = blockKey(topic.id, partition, 0);
        await this.#store.read((level) => level.compactRange(first, after(first.subarray(0, 9))));
        freed[partition] = 0;
      }
    }
  }
}
