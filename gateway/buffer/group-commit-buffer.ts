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
import type { Logger } from "pino";
import type { Epoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { pause, systemTimers, type Timers } from "../../time/timers.ts";
import { type Chapters, chapterOf, newest, seedOf } from "./chapters.core.ts";
import { CommitTimer } from "./commit-timer.ts";
import { type Drop, dropsFor } from "./drops.ts";
import { decodeGroup, encodeGroup, frameBytes } from "./frame.core.ts";
import { GroupIndex } from "./group-index.core.ts";
import { LIMITS, type Limits } from "./limits.ts";
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
import { eventsStored, type Group, type Releasing, sameEvent } from "./settle.ts";
import { Space } from "./space.ts";
import type { Change, GroupStorage, Opened } from "./storage.ts";
import { type Item, WaitingRoom } from "./waiting-room.ts";

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
  /** Default: the machine's. */
  readonly timers?: Timers;
  readonly logger?: Logger;
  readonly limits?: Partial<Limits>;
}

const NO_NOTES: readonly Note[] = [];

export class GroupCommitBuffer implements DurableBuffer {
  readonly #options: GroupCommitOptions;
  readonly #limits: Limits;
  readonly #timers: Timers;
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

  readonly #waiting: WaitingRoom;
  #releases: Releasing[] = [];
  readonly #timer: CommitTimer;
  #writing: Promise<void> | undefined;
  /** The write under way takes groups out of the middle, which a read must not meet. */
  #dropping = false;
  #failed: Group | undefined;
  #unconfirmed: Group[] = [];
  #confirming: Promise<void> | undefined;
  #recovery: Promise<void> | undefined;

  readonly #space: Space;
  #commits = 0;
  #recoveries = 0;
  readonly #lost = { full: 0, damage: 0 };

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#timers = options.timers ?? systemTimers;
    this.#waiting = new WaitingRoom(this.#limits.heldBytes);
    this.#timer = new CommitTimer({
      timers: this.#timers,
      windowMs: options.commitWindowMs,
      paceMs: this.#limits.paceMs,
      idleMs: this.#limits.idleReleaseMs,
      commit: () => this.#commit(),
    });
    this.#space = new Space({ ...options, timers: this.#timers, limits: this.#limits });
    this.#storage = options.storage;
  }

  async start(): Promise<void> {
    if (this.#state !== "closed") return;
    this.#stopping = new AbortController();
    try {
      this.#adopt(await this.#storage.open());
      this.#state = "open";
    } catch (error) {
      if (!passing(error)) {
        await this.#storage.end();
        throw error;
      }
      this.#fail(error as Error);
    }
    await this.#space.start(() => this.#schedule());
  }

  async stop(): Promise<void> {
    if (this.#state === "closed" || this.#stopping.signal.aborted) return;
    this.#space.stop();
    this.#stopping.abort();
    await this.#recovery;
    while (this.#state === "open") {
      await this.#writing;
      await this.#confirming;
      this.#timer.cancel();
      if (!this.#commit()) break;
    }
    await this.#recovery;
    await this.#space.settled();
    const closed = new BufferError("closed", "the buffer is being closed");
    this.#refuseAll(closed);
    const clean = this.#state === "open";
    this.#state = "closed";
    await this.#storage.close(clean);
    await this.#storage.end();
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
    this.#sent = Math.max(this.#sent, this.#groups.reach(index, limit));
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
          const place = { position, epoch: chapter.epoch, sequence: position - chapter.base };
          const { owner } = chapter;
          found.push(
            owner ? { ...event, ...place, gateway: owner.gateway } : { ...event, ...place },
          );
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
    const oldest = this.#groups.at(0);
    // Of the oldest group a part may be released already.
    const gone = oldest?.kind === "events" ? Math.max(0, this.#released - oldest.first + 1) : 0;
    const open = this.#space.full ? "full" : "open";
    return {
      state: this.#state === "open" ? open : this.#state,
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
      epoch: chapter?.epoch ?? ("" as Epoch),
      accepted: Math.max(0, this.#confirmed - base),
      released: Math.max(0, this.#released - base),
      positions: { accepted: this.#confirmed, released: this.#released },
      waiting: this.#groups.events - gone,
      bytes: this.#groups.bytes,
      capacityBytes: this.#space.capacity(this.#groups.bytes),
      policy: this.#options.policy,
      diskBytes: this.#space.usage?.diskBytes,
      freeBytes: this.#space.usage?.freeBytes,
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
    if (this.#waiting.add({ events, bytes, notes, waiter, own })) this.#schedule();
    else waiter.refused(this.#overload());
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

  #unready(): BufferError | undefined {
    if (this.#state === "open") return undefined;
    return this.#state === "recovering"
      ? new BufferError("unavailable", `the buffer is being recovered: ${this.#trouble}`)
      : new BufferError("closed", "the buffer is not open");
  }

  #schedule(): void {
    if (this.#writing !== undefined || this.#state !== "open") return;
    const { isEmpty, bytes } = this.#waiting;
    // Where all is released that is there, the log waits for nothing but the next reading.
    const idle = isEmpty && this.#releases.every(({ upTo }) => upTo >= this.#written);
    this.#timer.schedule(idle ? "none" : bytes >= this.#limits.groupBytes ? "now" : "some");
  }

  /** @returns whether there was anything to write */
  #commit(): boolean {
    if (this.#writing || this.#state !== "open") return this.#writing !== undefined;
    const items = this.#take();
    const releases = this.#releases;
    if (items.length === 0 && releases.length === 0) return false;
    this.#releases = [];
    this.#timer.begin(items.length);
    this.#writing = this.#write(items, releases).finally(() => {
      this.#writing = undefined;
      this.#dropping = false;
      if (!this.#waiting.isEmpty || this.#releases.length > 0) this.#schedule();
    });
    return true;
  }

  #take(): readonly Item[] {
    const givesWay = this.#options.policy === "drop-oldest";
    const others = this.#space.capacity(this.#groups.bytes) - this.#groups.bytes;
    const { items, full } = this.#waiting.take({
      own: givesWay ? Number.POSITIVE_INFINITY : others + this.#limits.reservedBytes,
      others,
      givesWay,
      group: Math.min(this.#limits.groupBytes, this.#options.capacityBytes / 4),
    });
    if (full) this.#space.becomeFull(this.#groups.bytes);
    return items;
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
  }

  #makeRoom(size: number, released: number): readonly Drop[] {
    if (this.#options.policy !== "drop-oldest") return [];
    const wanted = this.#groups.bytes + size - this.#space.capacity(this.#groups.bytes);
    if (wanted <= 0) return [];
    const sent = Math.max(this.#sent, released);
    return dropsFor(this.#groups, this.#chapters, sent, wanted, this.#options.stamp);
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
    const before = this.#groups.bytes;
    for (const { run, group: loss } of drops.toReversed()) {
      this.#lost.full += run.events;
      this.#groups.replace(run.begin, run.count, loss.length, "loss");
    }
    // What gave way lies behind what may be on its way to the log, so the released ones are the oldest still.
    this.#groups.shift(freed);
    const removed = before - this.#groups.bytes;
    this.#released = released;
    if (group.last >= group.first) {
      this.#groups.push(group.first, group.last, group.bytes, "events");
      this.#written = group.last;
    }
    this.#space.holds(this.#groups.bytes);
    this.#space.removed(removed, this.#groups.at(0)?.first ?? this.#written + 1);
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
    this.#timer.cancel();
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
    await this.#space.settled();
    let told = "";
    for (;;) {
      try {
        await this.#storage.close(false);
        const opened = await this.#storage.open();
        this.#adopt(opened);
        await this.#settle(opened);
        break;
      } catch (error) {
        this.#trouble = (error as Error).message;
        if (this.#trouble !== told) {
          this.#options.logger?.error({ reason: this.#trouble }, "the buffer cannot be opened yet");
        }
        told = this.#trouble;
        const { signal } = this.#stopping;
        await pause(this.#timers, this.#limits.reopenDelayMs, signal).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
    this.#state = "open";
    this.#trouble = undefined;
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
      damage.lost.length > 0
        ? "the buffer was damaged: what could be saved is kept, the rest is declared lost, and a new epoch begins"
        : "the buffer was not as it was left: all that it is known to have held is kept, and a new epoch begins",
    );
  }

  /**
   * What was under way when the store failed: told where the store has it, else written again. A salvage may have saved
   * a part of a group, in groups of another shape, so each event is looked for in its place.
   * @throws where the store cannot be read; everything is then still under way
   */
  async #settle(opened: Opened): Promise<void> {
    const groups = [...this.#unconfirmed, ...(this.#failed ? [this.#failed] : [])];
    const stored = await Promise.all(
      groups.map(({ first, last }) => eventsStored(this.#storage, opened, first, last)),
    );
    this.#unconfirmed = [];
    this.#failed = undefined;
    const again: Item[] = [];
    const releases: Releasing[] = [];
    for (const [i, group] of groups.entries()) {
      releases.push(...group.releases);
      const found = stored[i] ?? new Map<number, NewEvent>();
      const whole = group.last >= group.first && found.size === group.last - group.first + 1;
      let position = group.first - 1;
      for (const item of group.items) {
        const begin = position + 1;
        position += item.events.length;
        const kept =
          item.events.length === 0
            ? whole
            : item.events.every((event, at) => sameEvent(event, found.get(begin + at)));
        if (!kept) again.push(item);
        else if (!item.waiter.gone) {
          item.waiter.stored(position - chapterOf(this.#chapters, position).base);
        }
      }
    }
    for (const release of [...releases, ...this.#releases.splice(0)]) {
      if (release.upTo <= this.#released) release.resolve();
      else this.#releases.push(release);
    }
    this.#waiting.putBack(again);
  }

  #refuseAll(error: BufferError): void {
    this.#timer.cancel();
    const groups = [...this.#unconfirmed, ...(this.#failed ? [this.#failed] : [])];
    const items = [...groups.flatMap((group) => group.items), ...this.#waiting.clear()];
    const releases = [...groups.flatMap((group) => group.releases), ...this.#releases];
    this.#unconfirmed = [];
    this.#failed = undefined;
    this.#releases = [];
    for (const { waiter } of items) if (!waiter.gone) waiter.refused(error);
    for (const release of releases) release.reject(error);
  }
}

/** Whether trying again later may help, without a person. */
function passing(error: unknown): boolean {
  return error instanceof BufferError && error.code === "unavailable";
}
