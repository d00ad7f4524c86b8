/**
 * The durable buffer itself, over any storage: order, group commit, cap, recovery.
 *
 * Constraints. The acknowledgement of a reading waits for us, so one fsync must serve everybody who waits (group
 * commit). A store whose write failed may lose what is written after it, so after any failure it is closed, opened and
 * checked before anything more is acknowledged. A store may forget what it had, so how far was acknowledged is also
 * written beside it, before the acknowledgement.
 *
 * Write. append(), offer(), note() and release() put what they want into queues. A commit takes what waits, up to a
 * limit, and writes it in one synced step; meanwhile the next gathers. Then the mark is written, and only then is
 * anybody told; the next group is written at the same time. Positions are given out at commit, so that a failed one
 * leaves no hole.
 *
 * Read. By groups, every frame checked as it is read. A damaged one is not passed on and not passed over: it starts a
 * recovery.
 *
 * Full. At the cap, either the oldest groups that nobody is sending give way, in the same step as what takes their
 * room, or what is offered waits. At the floor of free space the buffer grows no more, which is the same.
 *
 * Recovery. The storage is closed and opened until that succeeds; it comes back whole, with what was lost declared.
 * What was being written is then either found in it, and told, or written again under the same promise: who waits for
 * an acknowledgement waits on, and is never told anything false.
 */
import assert from "node:assert";
import { EventEmitter, once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { Epoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { type Chapters, chapterOf, newest, seedOf } from "./chapters.core.ts";
import { type DroppedRun, planDrop } from "./drop.core.ts";
import { decodeGroup, encodeGroup, FRAME_HEADER_BYTES, frameBytes } from "./frame.core.ts";
import { GroupIndex } from "./group-index.core.ts";
import { lossEvent } from "./own-events.ts";
import {
  type AppendOptions,
  BufferError,
  type BufferedEvent,
  type BufferStats,
  type DurableBuffer,
  type FullPolicy,
  type NewEvent,
  type Note,
  type ReadLimit,
  type SequenceRange,
  type Waiter,
} from "./port.ts";
import type { Change, GroupStorage, Opened, Usage } from "./storage.ts";

export interface GroupCommitOptions {
  readonly storage: GroupStorage;
  /** What may wait to be forwarded, in bytes of events. */
  readonly capacityBytes: number;
  readonly policy: FullPolicy;
  /** With less left on the disk the buffer grows no more, bytes. 0 never looks. */
  readonly freeFloorBytes: number;
  /** How long a commit may gather before it is written, ms; 0 writes at once. */
  readonly commitWindowMs: number;
  readonly stamp: () => Stamp;
  readonly logger?: Logger;
  readonly limits?: Partial<Limits>;
}

export interface Limits {
  /** Room above the cap for the gateway's own events, so that a full buffer can still say that it is full. */
  readonly reservedBytes: number;
  /** What may wait to be written, in bytes; beyond it callers are refused. They hold it in memory until then. */
  readonly heldBytes: number;
  /** A group is closed at this size: larger ones gain nothing and hold up the acknowledgements before them. */
  readonly groupBytes: number;
  /** Removed bytes after which the storage is asked for their space; less is not worth the writing. */
  readonly compactBytes: number;
  /** Between looks at the disk, ms. */
  readonly usageIntervalMs: number;
  /** Between tries to open a store that cannot be opened, ms: a full disk is not to be hammered. */
  readonly reopenDelayMs: number;
  /** What a buffer may hold although the disk is below its floor: enough to keep forwarding alive. */
  readonly floorRoomBytes: number;
}

const MiB = 1024 * 1024;

const LIMITS: Limits = {
  reservedBytes: MiB,
  heldBytes: 16 * MiB,
  groupBytes: MiB,
  compactBytes: 16 * MiB,
  usageIntervalMs: 2000,
  reopenDelayMs: 1000,
  floorRoomBytes: 4 * MiB,
};

/** Once full, it is called so until there is room again worth speaking of. */
const ROOM_SHARE = 0.95;

const NO_NOTES: readonly Note[] = [];

interface Item {
  readonly events: readonly NewEvent[];
  readonly bytes: number;
  readonly notes: readonly Note[];
  readonly waiter: Waiter;
  /** Of the gateway itself: it passes what waits for room. */
  readonly own: boolean;
}

interface Releasing {
  readonly upTo: number;
  resolve(): void;
  reject(error: BufferError): void;
}

/** A run of groups that give way, and the group that declares them lost. */
interface Drop {
  readonly run: DroppedRun;
  readonly group: Buffer;
}

/** A group between the moment that it was taken and the moment that its callers know. */
interface Group {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly items: readonly Item[];
  readonly releases: readonly Releasing[];
}

export class GroupCommitBuffer implements DurableBuffer {
  readonly #options: GroupCommitOptions;
  readonly #limits: Limits;
  readonly #storage: GroupStorage;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #state: "closed" | "open" | "recovering" = "closed";
  #stopping = new AbortController();
  #trouble: string | undefined;

  #chapters: Chapters = [];
  #groups = new GroupIndex();
  /** Highest position that is in the store, and highest that is also in the mark: only that one is spoken of. */
  #written = 0;
  #confirmed = 0;
  #released = 0;
  /** Highest position that was handed out by read(): it may be on its way to the log. */
  #sent = 0;

  #queue: Item[] = [];
  #queueHead = 0;
  #heldBytes = 0;
  #own: Item[] = [];
  #releases: Releasing[] = [];
  #scheduled: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #soon = false;
  #writing: Promise<void> | undefined;
  /** The write under way takes groups out of the middle, which a read must not meet. */
  #dropping = false;
  #failed: Group | undefined;
  #unconfirmed: Group[] = [];
  #confirming: Promise<void> | undefined;
  #recovery: Promise<void> | undefined;

  #full = false;
  #usage: Usage | undefined;
  #usageTimer: NodeJS.Timeout | undefined;
  #garbage = 0;
  #compaction: Promise<void> | undefined;
  #commits = 0;
  #recoveries = 0;
  readonly #lost = { full: 0, damage: 0 };

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#storage = options.storage;
  }

  async start(): Promise<void> {
    if (this.#state !== "closed") return;
    this.#stopping = new AbortController();
    try {
      this.#adopt(await this.#storage.open());
      this.#state = "open";
    } catch (error) {
      if (!passing(error)) throw error;
      this.#fail(error as Error);
    }
    await this.#lookAtDisk();
    this.#usageTimer = setInterval(() => void this.#lookAtDisk(), this.#limits.usageIntervalMs);
    this.#usageTimer.unref();
  }

  async stop(): Promise<void> {
    if (this.#state === "closed" || this.#stopping.signal.aborted) return;
    clearInterval(this.#usageTimer);
    this.#stopping.abort();
    await this.#recovery;
    while (this.#state === "open") {
      await this.#writing;
      await this.#confirming;
      this.#unschedule();
      if (!this.#commit()) break;
    }
    await this.#recovery;
    await this.#compaction;
    const closed = new BufferError("closed", "the buffer is being closed");
    this.#refuseAll(closed);
    const clean = this.#state === "open";
    this.#state = "closed";
    await this.#storage.close(clean);
    this.#changes.emit("changed");
  }

  append(events: readonly NewEvent[], options: AppendOptions = {}): Promise<SequenceRange> {
    assert(events.length > 0, "an append has events");
    return new Promise((resolve, reject) => {
      const stored = (to: number) => resolve({ from: to - events.length + 1, to });
      const waiter: Waiter = { stored, refused: reject };
      this.#enqueue(events, waiter, options.notes ?? NO_NOTES, options.reserved ?? false);
    });
  }

  offer(event: NewEvent, waiter: Waiter, notes: readonly Note[] = NO_NOTES): void {
    this.#enqueue([event], waiter, notes, false);
  }

  note(notes: readonly Note[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue([], { stored: () => resolve(), refused: reject }, notes, true);
    });
  }

  release(upTo: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed" || this.#stopping.signal.aborted) {
        reject(new BufferError("closed", "the buffer is not open"));
        return;
      }
      assert(upTo <= this.#confirmed, "only what was accepted can be released");
      if (upTo <= this.#released) resolve();
      else {
        this.#releases.push({ upTo, resolve, reject });
        this.#schedule();
      }
    });
  }

  async read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]> {
    // The write under way may be taking out the very groups that would be read.
    while (this.#dropping) await this.#writing;
    const unready = this.#unready();
    if (unready) throw unready;
    const from = Math.max(after, this.#released) + 1;
    const index = this.#groups.find(from);
    const begin = this.#groups.at(index);
    if (!begin || begin.first > this.#confirmed) return [];
    this.#sent = Math.max(this.#sent, this.#reach(index, limit));
    const found: BufferedEvent[] = [];
    let size = 0;
    let expected = begin.first;
    try {
      for await (const [first, group] of this.#storage.groups(begin.first)) {
        if (first > this.#confirmed) break;
        const chapter = chapterOf(this.#chapters, first);
        const { frames, intact } = decodeGroup(first, seedOf(chapter), group);
        if (!intact || first !== expected) break;
        for (const { position, span: _, ...event } of frames) {
          expected = position + 1;
          if (position < from) continue;
          size += event.value.length;
          const enough = found.length >= limit.events || size > limit.bytes;
          if (found.length > 0 && enough) return found;
          const sequence = position - chapter.base;
          found.push({ ...event, position, epoch: chapter.epoch, sequence });
        }
      }
    } catch (error) {
      if (this.#state === "open" && found.length === 0) throw this.#damagedAt(expected, error);
    }
    // What stands before a damaged record goes on its way; the next read meets the damage first.
    if (found.length > 0) return found;
    throw this.#unready() ?? this.#damagedAt(expected);
  }

  async waitBeyond(after: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#confirmed <= after || this.#state === "recovering") {
      await once(this.#changes, "changed", { signal });
    }
  }

  async noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    const unready = this.#unready();
    if (unready) throw unready;
    return await this.#storage.noted(prefix);
  }

  stats(): BufferStats {
    const chapter = this.#chapters.at(-1);
    const base = chapter?.base ?? 0;
    const unreleased = this.#groups.length > 0 ? this.#confirmed - this.#released : 0;
    const open = this.#full ? "full" : "open";
    return {
      state: this.#state === "open" ? open : this.#state,
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
      epoch: chapter?.epoch ?? ("" as Epoch),
      accepted: Math.max(0, this.#confirmed - base),
      released: Math.max(0, this.#released - base),
      positions: { accepted: this.#confirmed, released: this.#released },
      waiting: unreleased,
      bytes: this.#groups.bytes,
      capacityBytes: this.#capacity(),
      policy: this.#options.policy,
      diskBytes: this.#usage?.diskBytes,
      freeBytes: this.#usage?.freeBytes,
      commits: this.#commits,
      lost: { ...this.#lost },
      recoveries: this.#recoveries,
    };
  }

  #enqueue(
    events: readonly NewEvent[],
    waiter: Waiter,
    notes: readonly Note[],
    own: boolean,
  ): void {
    if (this.#state === "closed" || this.#stopping.signal.aborted) {
      waiter.refused(new BufferError("closed", "the buffer is not open"));
      return;
    }
    let bytes = 0;
    for (const event of events) bytes += frameBytes(event);
    const item: Item = { events, bytes, notes, waiter, own };
    if (this.#heldBytes + bytes > this.#limits.heldBytes) this.#forgetGone();
    if (this.#heldBytes + bytes > this.#limits.heldBytes) {
      waiter.refused(this.#overload());
      return;
    }
    this.#heldBytes += bytes;
    if (own) this.#own.push(item);
    else this.#queue.push(item);
    this.#schedule();
  }

  #overload(): BufferError {
    const held = this.#limits.heldBytes;
    return this.#state === "recovering"
      ? new BufferError(
          "unavailable",
          `the buffer is being recovered and ${held} bytes wait for it`,
        )
      : new BufferError("full", `the buffer is full and ${held} bytes wait for room in it`);
  }

  #forgetGone(): void {
    const waiting = this.#queue.slice(this.#queueHead).filter((item) => !item.waiter.gone);
    this.#queue = waiting;
    this.#queueHead = 0;
    this.#heldBytes = 0;
    for (const { bytes } of [...waiting, ...this.#own]) this.#heldBytes += bytes;
  }

  #unready(): BufferError | undefined {
    if (this.#state === "open") return undefined;
    return this.#state === "recovering"
      ? new BufferError("unavailable", `the buffer is being recovered: ${this.#trouble}`)
      : new BufferError("closed", "the buffer is not open");
  }

  /** Last position that a read from this group on can hand out. */
  #reach(index: number, limit: ReadLimit): number {
    let bytes = 0;
    let events = 0;
    let reach = 0;
    for (let i = index; ; i += 1) {
      const group = this.#groups.at(i);
      if (!group) return reach;
      reach = group.last;
      // The first may be read from its middle on.
      if (i === index) continue;
      const count = group.kind === "loss" ? 1 : group.last - group.first + 1;
      events += count;
      bytes += group.bytes - count * FRAME_HEADER_BYTES;
      if (bytes > limit.bytes || events > limit.events) return reach;
    }
  }

  /** Everything that arrived in one turn of the event loop shares the commit, or in one window where one is set. */
  #schedule(): void {
    if (this.#writing || this.#state !== "open") return;
    const { commitWindowMs } = this.#options;
    const window = this.#heldBytes < this.#limits.groupBytes ? commitWindowMs : 0;
    if (this.#scheduled) {
      // A window ends early when there is a group's worth.
      if (window > 0 || this.#soon) return;
      this.#unschedule();
    }
    const due = () => {
      this.#scheduled = undefined;
      this.#commit();
    };
    this.#soon = window === 0;
    this.#scheduled = this.#soon ? setImmediate(due) : setTimeout(due, window);
  }

  #unschedule(): void {
    clearTimeout(this.#scheduled as NodeJS.Timeout | undefined);
    clearImmediate(this.#scheduled as NodeJS.Immediate | undefined);
    this.#scheduled = undefined;
  }

  /** @returns whether there was anything to write */
  #commit(): boolean {
    if (this.#writing || this.#state !== "open") return this.#writing !== undefined;
    const items = this.#take();
    const releases = this.#releases;
    if (items.length === 0 && releases.length === 0) return false;
    this.#releases = [];
    this.#writing = this.#write(items, releases).finally(() => {
      this.#writing = undefined;
      this.#dropping = false;
      if (this.#queue.length > 0 || this.#own.length > 0 || this.#releases.length > 0) {
        this.#schedule();
      }
    });
    return true;
  }

  /** What goes into the next group: the gateway's own events, then the others as far as there is room for them. */
  #take(): Item[] {
    const taken: Item[] = [];
    let size = 0;
    const own = this.#own;
    this.#own = [];
    const capacity = this.#capacity();
    for (const item of own) {
      const room = capacity + this.#limits.reservedBytes - this.#groups.bytes;
      this.#heldBytes -= item.bytes;
      if (this.#options.policy === "refuse" && item.bytes > 0 && size + item.bytes > room) {
        item.waiter.refused(new BufferError("full", `the buffer holds its ${capacity} bytes`));
        continue;
      }
      taken.push(item);
      size += item.bytes;
    }
    const groupBytes = Math.min(this.#limits.groupBytes, this.#options.capacityBytes / 4);
    while (this.#queueHead < this.#queue.length) {
      const item = this.#queue[this.#queueHead] as Item;
      if (!item.waiter.gone) {
        if (taken.length > 0 && size + item.bytes > groupBytes) break;
        const over = this.#groups.bytes + size + item.bytes > capacity;
        if (over) this.#becomeFull();
        if (over && this.#options.policy === "refuse") break;
        taken.push(item);
        size += item.bytes;
      }
      this.#heldBytes -= item.bytes;
      this.#queueHead += 1;
    }
    if (this.#queueHead === this.#queue.length) {
      this.#queue = [];
      this.#queueHead = 0;
    } else if (this.#queueHead > 4096) {
      this.#queue = this.#queue.slice(this.#queueHead);
      this.#queueHead = 0;
    }
    return taken;
  }

  async #write(items: readonly Item[], releases: readonly Releasing[]): Promise<void> {
    const first = this.#written + 1;
    let size = 0;
    const events: NewEvent[] = [];
    const notes: Note[] = [];
    for (const item of items) {
      size += item.bytes;
      for (const event of item.events) events.push(event);
      for (const note of item.notes) notes.push(note);
    }
    const last = this.#written + events.length;
    const group: Group = { first, last, bytes: size, items, releases };
    const released = releases.reduce((most, { upTo }) => Math.max(most, upTo), this.#released);
    let freed = 0;
    while ((this.#groups.at(freed)?.last ?? Number.POSITIVE_INFINITY) <= released) freed += 1;
    const drops = this.#makeRoom(size, released);
    const change = this.#changeFor(group, events, notes, released, freed, drops);
    this.#dropping = drops.length > 0;
    try {
      await this.#storage.write(change);
    } catch (error) {
      this.#failed = group;
      this.#fail(error as Error);
      return;
    }
    this.#commits += 1;
    this.#apply(group, released, freed, drops);
    this.#unconfirmed.push(group);
    this.#confirming ??= this.#confirm().finally(() => {
      this.#confirming = undefined;
    });
    this.#compactIfWorth();
  }

  #makeRoom(size: number, released: number): readonly Drop[] {
    if (this.#options.policy !== "drop-oldest") return [];
    const wanted = this.#groups.bytes + size - this.#capacity();
    if (wanted <= 0) return [];
    const sent = Math.max(this.#sent, released);
    return planDrop(this.#groups, this.#chapters, sent, wanted).map((run) => {
      const chapter = chapterOf(this.#chapters, run.from);
      const [from, to] = [run.from - chapter.base, run.to - chapter.base];
      const loss = lossEvent(this.#options.stamp(), from, to, "full");
      return { run, group: encodeGroup(run.from, seedOf(chapter), [loss], frameBytes(loss)) };
    });
  }

  #changeFor(
    group: Group,
    events: readonly NewEvent[],
    notes: readonly Note[],
    released: number,
    freed: number,
    drops: readonly Drop[],
  ): Change {
    const put: { first: number; group: Buffer }[] = [];
    const remove: number[] = [];
    for (let i = 0; i < freed; i += 1) remove.push(this.#groups.at(i)?.first ?? 0);
    for (const { run, group: loss } of drops) {
      for (let i = 1; i < run.count; i += 1) {
        remove.push(this.#groups.at(run.begin + i)?.first ?? 0);
      }
      put.push({ first: run.from, group: loss });
    }
    if (events.length > 0) {
      const seed = seedOf(newest(this.#chapters));
      put.push({ first: group.first, group: encodeGroup(group.first, seed, events, group.bytes) });
    }
    return { put, remove, notes, released: released > this.#released ? released : undefined };
  }

  /** What the storage now holds, in the index. */
  #apply(group: Group, released: number, freed: number, drops: readonly Drop[]): void {
    // From the newest run to the oldest, so that the places of those still to come stay what they are.
    for (const { run, group: loss } of drops.toReversed()) {
      this.#lost.full += run.events;
      this.#garbage += run.bytes;
      this.#groups.replace(run.begin, run.count, loss.length, "loss");
    }
    const before = this.#groups.bytes;
    this.#groups.shift(this.#removedBefore(released, freed));
    this.#garbage += before - this.#groups.bytes;
    this.#released = released;
    if (group.last >= group.first) {
      this.#groups.push(group.first, group.last, group.bytes, "events");
      this.#written = group.last;
    }
    if (this.#full && this.#groups.bytes < this.#capacity() * ROOM_SHARE) this.#becomeRoomy();
  }

  #removedBefore(released: number, freed: number): number {
    let count = 0;
    while ((this.#groups.at(count)?.last ?? Number.POSITIVE_INFINITY) <= released) count += 1;
    assert.equal(count, freed, "what was removed from the store goes from the index");
    return count;
  }

  /**
   * The moment of acknowledgement. When the waiters of a group are told, its events, notes and cursor are fsynced in
   * the store, and the mark beside it says so too; nothing else stands between a reading and its PUBACK.
   */
  async #confirm(): Promise<void> {
    while (this.#unconfirmed.length > 0 && this.#state === "open") {
      const groups = this.#unconfirmed;
      // What is written meanwhile has a mark of its own to come.
      this.#unconfirmed = [];
      const accepted = groups.at(-1)?.last ?? this.#confirmed;
      let failed: Error | undefined;
      try {
        if (accepted > this.#confirmed) await this.#storage.confirm(accepted, this.#released);
      } catch (error) {
        failed = error as Error;
      }
      if (failed || this.#state !== "open") {
        this.#unconfirmed = [...groups, ...this.#unconfirmed];
        if (failed) this.#fail(failed);
        return;
      }
      this.#confirmed = Math.max(this.#confirmed, accepted);
      for (const group of groups) this.#tell(group);
      this.#changes.emit("changed");
    }
  }

  #tell(group: Group): void {
    const { base } = chapterOf(this.#chapters, group.first);
    let position = group.first - 1;
    for (const { events, waiter } of group.items) {
      position += events.length;
      if (!waiter.gone) waiter.stored(position - base);
    }
    for (const release of group.releases) release.resolve();
  }

  #damagedAt(position: number, cause?: unknown): BufferError {
    const { epoch, base } = chapterOf(this.#chapters, position);
    const why =
      cause instanceof Error ? `cannot be read: ${cause.message}` : "is not what was written";
    const what = `record ${epoch}-${position - base} ${why}`;
    this.#fail(new BufferError("damaged", what));
    return new BufferError("unavailable", `the buffer is being recovered: ${what}`);
  }

  /** Nothing is acknowledged from here on until the store was closed, opened and checked. */
  #fail(error: Error): void {
    if (this.#state === "recovering") return;
    this.#state = "recovering";
    this.#trouble = error.message;
    this.#recoveries += 1;
    this.#unschedule();
    this.#options.logger?.error(
      { reason: error.message },
      "the buffer failed; nothing is acknowledged until it was opened again and checked",
    );
    this.#recovery = this.#recover().finally(() => {
      this.#recovery = undefined;
    });
  }

  async #recover(): Promise<void> {
    await this.#writing;
    await this.#confirming;
    await this.#compaction;
    let told = "";
    for (;;) {
      try {
        await this.#storage.close(false);
        this.#adopt(await this.#storage.open());
        break;
      } catch (error) {
        this.#trouble = (error as Error).message;
        if (this.#trouble !== told) {
          this.#options.logger?.error({ reason: this.#trouble }, "the buffer cannot be opened yet");
        }
        told = this.#trouble;
        const { signal } = this.#stopping;
        await pause(this.#limits.reopenDelayMs, undefined, { signal }).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
    this.#state = "open";
    this.#trouble = undefined;
    this.#settle();
    this.#options.logger?.info({ accepted: this.#confirmed }, "the buffer is open again");
    this.#changes.emit("changed");
    this.#schedule();
  }

  #adopt(opened: Opened): void {
    this.#chapters = opened.chapters;
    this.#groups = opened.groups;
    this.#written = opened.accepted;
    this.#confirmed = opened.accepted;
    this.#released = opened.released;
    const { damage } = opened;
    if (!damage) return;
    for (const [from, to] of damage.lost) this.#lost.damage += to - from + 1;
    this.#options.logger?.error(
      { ...damage },
      "the buffer was damaged: what could be saved is kept, the rest is declared lost, and a new epoch begins",
    );
  }

  /** What was under way when the store failed: told where the store has it, else written again. */
  #settle(): void {
    const groups = [...this.#unconfirmed, ...(this.#failed ? [this.#failed] : [])];
    this.#unconfirmed = [];
    this.#failed = undefined;
    const again: Item[] = [];
    const releases: Releasing[] = [];
    for (const group of groups) {
      const found = this.#groups.at(this.#groups.find(group.first));
      const kept =
        group.last >= group.first &&
        found?.first === group.first &&
        found.last === group.last &&
        found.kind === "events" &&
        found.bytes === group.bytes;
      releases.push(...group.releases);
      if (kept) this.#tell({ ...group, releases: [] });
      else again.push(...group.items);
    }
    for (const release of [...releases, ...this.#releases.splice(0)]) {
      if (release.upTo <= this.#released) release.resolve();
      else this.#releases.push(release);
    }
    for (const { bytes } of again) this.#heldBytes += bytes;
    this.#own.unshift(...again.filter((item) => item.own));
    const others = again.filter((item) => !item.own);
    this.#queue = [...others, ...this.#queue.slice(this.#queueHead)];
    this.#queueHead = 0;
  }

  #refuseAll(error: BufferError): void {
    this.#unschedule();
    const groups = [...this.#unconfirmed, ...(this.#failed ? [this.#failed] : [])];
    const items = [
      ...groups.flatMap((group) => group.items),
      ...this.#queue.slice(this.#queueHead),
      ...this.#own,
    ];
    const releases = [...groups.flatMap((group) => group.releases), ...this.#releases];
    this.#unconfirmed = [];
    this.#failed = undefined;
    this.#queue = [];
    this.#queueHead = 0;
    this.#own = [];
    this.#heldBytes = 0;
    this.#releases = [];
    for (const { waiter } of items) if (!waiter.gone) waiter.refused(error);
    for (const release of releases) release.reject(error);
  }

  /** The cap as it is now: where the disk is below its floor, what is held already. */
  #capacity(): number {
    const { capacityBytes, freeFloorBytes } = this.#options;
    const low = this.#usage !== undefined && this.#usage.freeBytes < freeFloorBytes;
    if (!low) return capacityBytes;
    return Math.min(capacityBytes, Math.max(this.#groups.bytes, this.#limits.floorRoomBytes));
  }

  #becomeFull(): void {
    if (this.#full) return;
    this.#full = true;
    const { policy, logger } = this.#options;
    const what =
      policy === "refuse"
        ? "readings are not acknowledged until the log takes some"
        : "the oldest readings give way and are declared lost";
    logger?.warn(
      { bytes: this.#groups.bytes, capacity: this.#capacity(), free: this.#usage?.freeBytes },
      `the buffer is full: ${what}`,
    );
  }

  #becomeRoomy(): void {
    this.#full = false;
    this.#options.logger?.info({ bytes: this.#groups.bytes }, "the buffer has room again");
  }

  async #lookAtDisk(): Promise<void> {
    try {
      this.#usage = await this.#storage.usage();
      this.#schedule();
    } catch (error) {
      this.#options.logger?.debug({ reason: (error as Error).message }, "the disk cannot be asked");
    }
  }

  /** In the background: LevelDB frees nothing of what was removed until it rewrites where it stood. */
  #compactIfWorth(): void {
    if (this.#garbage < this.#limits.compactBytes || this.#compaction !== undefined) return;
    this.#garbage = 0;
    const below = this.#groups.at(0)?.first ?? this.#written + 1;
    this.#compaction = this.#storage
      .compact(below)
      .catch((error: Error) => {
        this.#options.logger?.warn({ reason: error.message }, "space could not be given back yet");
      })
      .finally(() => {
        this.#compaction = undefined;
      });
  }
}

/** Whether trying again later may help, without a person. */
function passing(error: unknown): boolean {
  return error instanceof BufferError && error.code === "unavailable";
}
