/**
 * A storage in memory, for tests and simulations: what a real disk may do, by order. It holds what was synced; writes can be
 * made to fail before or after they took effect, and the disk can be full.
 */
import assert from "node:assert";
import type { Epoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { type Chapters, newest, seedOf } from "./chapters.core.ts";
import { decodeGroup, encodeGroup, frameBytes, summarizeGroup } from "./frame.core.ts";
import { GroupIndex } from "./group-index.core.ts";
import { epochEvent } from "./own-events.ts";
import { BufferError } from "./port.ts";
import type { Change, GroupStorage, Opened, Usage } from "./storage.ts";

/** What outlives a crash: hand it to the next storage to restart on the same disk. */
export interface MemoryDisk {
  chapters: Chapters;
  released: number;
  groups: Map<number, Buffer>;
  notes: Map<string, Uint8Array>;
  mark: number;
}

export function memoryDisk(): MemoryDisk {
  return { chapters: [], released: 0, groups: new Map(), notes: new Map(), mark: 0 };
}

export interface MemoryStorageOptions {
  readonly firstEpoch: Epoch;
  readonly stamp: () => Stamp;
  readonly diskBytes?: number;
}

/**
 * How a write fails: `lost` leaves the disk as it was, `kept` has it all and fails only in telling so; of a `torn` one a salvage
 * has found the first half of its events, and put each into a group of its own.
 */
export type Failure = "lost" | "kept" | "torn";

export class MemoryStorage implements GroupStorage {
  readonly disk: MemoryDisk;
  readonly #options: MemoryStorageOptions;
  #open = false;
  #broken = false;
  #cut = false;
  /** How the next writes end, one each; those after them succeed. */
  readonly failures: Failure[] = [];
  /** The next marks that fail. */
  failMarks = 0;
  /** The next openings that fail, as on a full disk. */
  failOpens = 0;
  /** The call by its number that fails, whatever it is; 0 for none. */
  failCall = 0;
  /** What a mark, or a compaction, waits for. */
  holdMark: Promise<void> | undefined;
  holdCompaction: Promise<void> | undefined;
  diskSize: number;
  /** Calls in their order, for tests that ask what came before what. */
  readonly calls: string[] = [];

  constructor(options: MemoryStorageOptions, disk: MemoryDisk = memoryDisk()) {
    this.#options = options;
    this.disk = disk;
    this.diskSize = options.diskBytes ?? Number.POSITIVE_INFINITY;
  }

  async open(): Promise<Opened> {
    assert(!this.#open, "a storage is opened once");
    this.#called("open");
    if (this.failOpens > 0) {
      this.failOpens -= 1;
      throw new BufferError("unavailable", "the disk is full: planted");
    }
    const { disk } = this;
    if (disk.chapters.length === 0) {
      disk.chapters = [{ epoch: this.#options.firstEpoch, base: 0, after: 0, format: 2 }];
      const event = epochEvent(this.#options.stamp(), { reason: "first-start" });
      const seed = seedOf(newest(disk.chapters));
      disk.groups.set(1, encodeGroup(1, seed, [event], frameBytes(event)));
      disk.mark = 1;
    }
    const groups = new GroupIndex();
    let accepted = disk.released;
    for (const [first, group] of [...disk.groups].sort(([a], [b]) => a - b)) {
      const { last, kind, intact } = summarizeGroup(first, this.#seed(first), group);
      assert(intact, "memory does not decay");
      groups.push(first, last, group.length, kind);
      accepted = last;
    }
    assert(accepted >= disk.mark, "what was acknowledged is there");
    this.#open = true;
    this.#broken = false;
    const { chapters, released } = disk;
    return { chapters, accepted, released, groups, damage: undefined };
  }

  async write(change: Change): Promise<void> {
    assert(this.#open && !this.#broken, "nothing is written after a failure");
    this.calls.push("write");
    if (this.#cut) return await new Promise(() => undefined);
    const failure = this.calls.length === this.failCall ? "lost" : this.failures.shift();
    if (failure !== "lost") this.#apply(failure === "torn" ? this.#torn(change) : change);
    if (failure === undefined) return;
    this.#broken = true;
    throw new Error("the disk refused a write: planted");
  }

  #torn(change: Change): Change {
    const put = change.put.flatMap(({ first, group }) => {
      const seed = this.#seed(first);
      const { frames } = decodeGroup(first, seed, group);
      // What gave way for room is another group, and that one is whole.
      if (frames.some(({ type }) => type === "tidegate.loss")) return [{ first, group }];
      return frames.slice(0, Math.ceil(frames.length / 2)).map((frame) => ({
        first: frame.position,
        group: encodeGroup(frame.position, seed, [frame], frameBytes(frame)),
      }));
    });
    return { ...change, put };
  }

  async confirm(accepted: number): Promise<void> {
    assert(this.#open, "the storage is open");
    this.calls.push("mark");
    if (this.#cut) return await new Promise(() => undefined);
    await this.holdMark;
    if (this.failMarks > 0 || this.calls.length === this.failCall) {
      this.failMarks = Math.max(0, this.failMarks - 1);
      this.#broken = true;
      throw new Error("the mark could not be written: planted");
    }
    this.disk.mark = accepted;
  }

  async *groups(from: number): AsyncGenerator<readonly [first: number, group: Uint8Array]> {
    const firsts = [...this.disk.groups.keys()].filter((first) => first >= from);
    const snapshot = new Map(this.disk.groups);
    for (const first of firsts.sort((a, b) => a - b)) {
      yield [first, snapshot.get(first) as Buffer];
    }
  }

  async noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return [...this.disk.notes]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async compact(): Promise<void> {
    this.#called("compact");
    await this.holdCompaction;
  }

  async usage(): Promise<Usage> {
    let diskBytes = 0;
    for (const group of this.disk.groups.values()) diskBytes += group.length;
    return { diskBytes, freeBytes: this.diskSize - diskBytes };
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  async end(): Promise<void> {}

  /** From here on nothing reaches the disk, and nobody is told anything: what is on it is for the next storage. */
  async cutPower(): Promise<void> {
    this.#cut = true;
  }

  #called(name: string): void {
    this.calls.push(name);
    if (this.calls.length === this.failCall) {
      throw new BufferError("unavailable", `${name} failed: planted`);
    }
  }

  #seed(first: number): number {
    const { chapters } = this.disk;
    return seedOf(chapters.findLast((chapter) => chapter.after < first) ?? newest(chapters));
  }

  #apply(change: Change): void {
    const { disk } = this;
    for (const first of change.remove) disk.groups.delete(first);
    for (const { first, group } of change.put) disk.groups.set(first, group);
    if (change.released !== undefined) disk.released = change.released;
    for (const { key, value } of change.notes) {
      if (value === undefined) disk.notes.delete(key);
      else disk.notes.set(key, value);
    }
  }
}
