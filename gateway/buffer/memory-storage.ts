/**
 * A storage in memory, for tests and simulations: what a real disk may do, by order. It holds what was synced; writes can be
 * made to fail before or after they took effect, and the disk can be full. What it holds may decay: a start then does as one
 * on LevelDB does (memory-salvage.ts).
 */
import assert from "node:assert";
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import {
  type Chapters,
  newest,
  type Owner,
  sameOwner,
  seedOf,
  withChapter,
} from "./chapters.core.ts";
import { decodeGroup, encodeGroup, frameBytes } from "./frame.core.ts";
import type { ReadMark } from "./mark.core.ts";
import { lookOver, salvageMemory } from "./memory-salvage.ts";
import { beginEpoch } from "./new-epoch.core.ts";
import { epochEvent } from "./own-events.ts";
import { BufferError } from "./port.ts";
import type { Change, Damage, GroupStorage, Opened, Usage } from "./storage.ts";

/** What outlives a crash: hand it to the next storage to restart on the same disk. */
export interface MemoryDisk {
  /** Empty where there is no store. */
  chapters: Chapters;
  released: number;
  groups: Map<number, Buffer>;
  notes: Map<string, Uint8Array>;
  mark: ReadMark | undefined;
  /** A gateway has begun on it, and says so elsewhere: what is missing from then on went missing. */
  born: boolean;
  /** Takes the newest change back, and so on: what a log that loses its end forgets. The oldest are out of reach. */
  undo: (() => void)[];
}

/** Changes that are kept to be taken back. */
const UNDO = 64;

export function memoryDisk(): MemoryDisk {
  const nothing = { chapters: [], released: 0, mark: undefined, born: false, undo: [] };
  return { ...nothing, groups: new Map(), notes: new Map() };
}

export interface MemoryStorageOptions {
  readonly firstEpoch: Epoch;
  /** For a disk that decays, or goes into other hardware. */
  readonly makeEpoch?: () => Epoch;
  /** As in level-storage.ts. */
  readonly owner?: Owner | undefined;
  readonly origin?: GatewayId | undefined;
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
  /** What the mark says. */
  #accepted = 0;
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
    const { mark, born } = disk;
    const there = disk.chapters.length > 0;
    const isNew = !there && !mark && !born;
    if (isNew) this.#create();
    const found = lookOver(disk, mark);
    const isWhole = found.damage.length === 0 && (there || isNew);
    const renew = !isWhole || !born ? undefined : mark ? copyOf(mark) : "salvage";
    let damage: Damage | undefined;
    const isOurs = !there || sameOwner(newest(disk.chapters).owner, this.#options.owner);
    if (!isWhole) damage = await this.#salvage(there ? found.damage : ["the store is not there"]);
    else if (renew || !isOurs) damage = this.#renew(renew, isOurs, found.accepted);
    await this.between();
    const {
      accepted,
      groups,
      damage: left,
    } = isWhole && isOurs && !renew ? found : lookOver(disk, undefined);
    assert.deepEqual(left, [], "a salvaged store is whole");
    const { chapters, released } = disk;
    disk.mark = { chapters, accepted, released, copied: false };
    disk.born = true;
    this.#open = true;
    this.#broken = false;
    this.#accepted = accepted;
    return { chapters, accepted, released, groups, damage };
  }

  /** Between the store and the mark of an opening: a power cut may leave the one without the other. */
  protected async between(): Promise<void> {}

  #create(): void {
    const { disk } = this;
    disk.chapters = withChapter([], this.#options.firstEpoch, 0, 0, this.#options.owner);
    const event = epochEvent(this.#options.stamp(), { reason: "first-start" });
    const seed = seedOf(newest(disk.chapters));
    disk.groups.set(1, encodeGroup(1, seed, [event], frameBytes(event)));
  }

  async #salvage(found: readonly string[]): Promise<Damage> {
    const { disk } = this;
    const { mark } = disk;
    const { stamp, owner, origin } = this.#options;
    const reason = copyOf(mark) ?? "salvage";
    const made = await salvageMemory(disk, {
      ...{ mark, reason, stamp, owner, origin },
      epoch: this.#makeEpoch(),
    });
    const { chapters, released, groups, previous, lost, saved } = made;
    Object.assign(disk, { chapters, released, groups, undo: [] });
    return { found, reason, previous, lost, saved, quarantine: undefined };
  }

  /** Nothing is lost, but sequences could repeat. */
  #renew(renew: EpochReason | undefined, isOurs: boolean, highest: number): Damage | undefined {
    const { disk } = this;
    const reason = isOurs && renew ? renew : "moved";
    const { released } = disk;
    const previous = newest(disk.chapters).epoch;
    const { owner, origin } = this.#options;
    const old = { chapters: disk.chapters, highest, released, owner, origin };
    const stamp = this.#options.stamp();
    const begun = beginEpoch({ ...old, epoch: this.#makeEpoch(), reason, stamp });
    disk.chapters = begun.chapters;
    disk.groups.set(begun.first, begun.group);
    disk.undo = [];
    if (!renew) return undefined;
    const found = [reason === "restored" ? "a copy was put back" : "the mark is lost"];
    return { found, reason, previous, lost: [], saved: disk.groups.size, quarantine: undefined };
  }

  #makeEpoch(): Epoch {
    const { makeEpoch } = this.#options;
    assert(makeEpoch, "memory decays only where that is wanted");
    return makeEpoch();
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

  async confirm(accepted: number, released: number): Promise<void> {
    assert(this.#open, "the storage is open");
    this.calls.push("mark");
    if (this.#cut) return await new Promise(() => undefined);
    await this.holdMark;
    if (this.failMarks > 0 || this.calls.length === this.failCall) {
      this.failMarks = Math.max(0, this.failMarks - 1);
      this.#broken = true;
      throw new Error("the mark could not be written: planted");
    }
    const { disk } = this;
    disk.mark = { chapters: disk.chapters, accepted, released, copied: false };
    this.#accepted = accepted;
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

  async close(clean: boolean): Promise<void> {
    const { disk } = this;
    const { chapters, released } = disk;
    if (this.#open && clean) {
      disk.mark = { chapters, accepted: this.#accepted, released, copied: false };
    }
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
    disk.undo.push(undoing(disk, change));
    if (disk.undo.length > UNDO) disk.undo.shift();
    for (const first of change.remove) disk.groups.delete(first);
    for (const { first, group } of change.put) disk.groups.set(first, group);
    if (change.released !== undefined) disk.released = change.released;
    for (const { key, value } of change.notes) set(disk.notes, key, value);
  }
}

/** As the disk is now: what of it the change will touch. */
function undoing(disk: MemoryDisk, change: Change): () => void {
  const { released } = disk;
  const firsts = [...change.remove, ...change.put.map(({ first }) => first)];
  const groups = firsts.map((first) => [first, disk.groups.get(first)] as const);
  const notes = change.notes.map(({ key }) => [key, disk.notes.get(key)] as const);
  return () => {
    for (const [first, group] of groups) set(disk.groups, first, group);
    for (const [key, value] of notes) set(disk.notes, key, value);
    disk.released = released;
  };
}

function set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function copyOf(mark: ReadMark | undefined): "restored" | undefined {
  return mark?.copied ? "restored" : undefined;
}
