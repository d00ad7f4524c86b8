/**
 * The durable buffer on LevelDB.
 *
 * Constraints. The acknowledgement of a reading waits for us, so one fsync must serve everybody who waits (group
 * commit); LevelDB forgets that a write failed and damages what follows if its handle is kept, so after any failed
 * write it is closed, opened and looked at before anything is accepted again; its own checksums do not protect us,
 * so each event carries one over its sequence and content.
 *
 * On disk. Keys are bytes:
 *   "e" + first sequence u64 (big endian)  → one group of events as in frame.core.ts
 *   "m" + name                             → `format`, `epoch`, `released`
 * One value for each group commit, because at the broker that is twice as fast as one for each event.
 *
 * Write. append() and release() put what they want into one queue. A commit takes what waits, up to a limit, writes it
 * in one batch with `sync: true` and resolves it; meanwhile the next gathers. Sequences are given out at commit, so
 * that a failed one leaves no hole.
 *
 * Read. The group that holds a sequence is the last whose key is not above it. Every frame is checked as it is read.
 *
 * Recovery. start() reads every group once: frames whole, sequences without holes from the released one on. A store
 * that should exist and does not is an error, never a new empty store.
 */
import assert from "node:assert";
import { EventEmitter, once } from "node:events";
import { type ChainedBatch, ClassicLevel } from "classic-level";
import type { Logger } from "pino";
import { type Epoch, isEpoch } from "../../events/ids.ts";
import { decodeGroup, encodeGroup, frameBytes } from "./frame.core.ts";
import {
  type AppendOptions,
  BufferError,
  type BufferedEvent,
  type BufferStats,
  type DurableBuffer,
  type NewEvent,
  type Note,
  type ReadLimit,
  type SequenceRange,
  type Waiter,
} from "./port.ts";

export interface LevelBufferOptions {
  /** Owned by the buffer alone. */
  readonly directory: string;
  /** True only at the very first start of a gateway: a store that went missing must not become an empty one. */
  readonly createIfMissing: boolean;
  /** For a new store: its epoch and the event that opens it. */
  readonly firstEpoch: Epoch;
  readonly firstEvent: NewEvent;
  /** What may wait to be forwarded, in bytes of events; beyond it append() refuses. */
  readonly capacityBytes: number;
  readonly logger?: Logger;
}

/** Room above the cap for the gateway's own events, so that a full buffer can still say that it is full. */
export const RESERVED_BYTES = 1024 * 1024;

/** A group is closed at this size: larger ones gain nothing and hold up the acknowledgements before them. */
const MAX_GROUP_BYTES = 1024 * 1024;

/** Pause between tries to reopen after a failed write: long enough for a full disk not to be hammered. */
const REOPEN_DELAY_MS = 1000;

const FORMAT = "1";
const bytes = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;
const META_FORMAT = Buffer.from("mformat");
const META_EPOCH = Buffer.from("mepoch");
const META_RELEASED = Buffer.from("mreleased");
const EVENTS_BEGIN = Buffer.from("e");
const EVENTS_END = Buffer.from("f");

type Store = ClassicLevel<Buffer, Buffer>;

interface Waiting {
  readonly events: readonly NewEvent[];
  readonly bytes: number;
  readonly notes: readonly Note[];
  readonly resolve: (range: SequenceRange) => void;
  readonly reject: (error: Error) => void;
}

interface Group {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

function putNotes(batch: ChainedBatch<Store, Buffer, Buffer>, notes: readonly Note[]): void {
  for (const { key, value } of notes) {
    const at = Buffer.from(`n${key}`);
    if (value === undefined) batch.del(at, bytes);
    else batch.put(at, Buffer.from(value), bytes);
  }
}

function groupKey(first: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = 0x65;
  key.writeBigUInt64BE(BigInt(first), 1);
  return key;
}

export class LevelBuffer implements DurableBuffer {
  readonly #options: LevelBufferOptions;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #store: Store | undefined;
  #state: "stopped" | "open" | "recovering" | "stopping" = "stopped";
  #epoch = "" as Epoch;
  #accepted = 0;
  #released = 0;
  #bytes = 0;
  #commits = 0;
  /** What is on disk, oldest first, so that a release knows what to delete without reading. */
  #groups: Group[] = [];
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #releaseTo = 0;
  #releaseWaiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #recovery: Promise<void> | undefined;

  constructor(options: LevelBufferOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#state !== "stopped") return;
    await this.#open(this.#options.createIfMissing);
    this.#state = "open";
  }

  async stop(): Promise<void> {
    if (this.#state === "stopped" || this.#state === "stopping") return;
    this.#state = "stopping";
    while (this.#writing !== undefined || this.#hasWork()) {
      if (this.#writing === undefined) this.#commit();
      await this.#writing;
    }
    await this.#recovery;
    await this.#store?.close();
    this.#store = undefined;
    this.#state = "stopped";
  }

  offer(event: NewEvent, waiter: Waiter, notes?: readonly Note[]): void {
    this.append([event], notes ? { notes } : {}).then(
      ({ to }) => {
        if (!waiter.gone) waiter.stored(to);
      },
      (error: BufferError) => {
        if (!waiter.gone) waiter.refused(error);
      },
    );
  }

  async note(notes: readonly Note[]): Promise<void> {
    const batch = this.#opened().batch();
    putNotes(batch, notes);
    await batch.write({ sync: true });
  }

  async noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    const found = await this.#opened()
      .iterator({
        gte: Buffer.from(`n${prefix}`),
        lt: Buffer.from(`n${prefix}\u{10ffff}`),
        ...bytes,
      })
      .all();
    return found.map(([key, value]) => [key.toString().slice(1), value] as const);
  }

  append(events: readonly NewEvent[], options: AppendOptions = {}): Promise<SequenceRange> {
    assert(events.length > 0, "an append has events");
    const unready = this.#unready();
    if (unready) return Promise.reject(unready);
    let size = 0;
    for (const event of events) size += frameBytes(event);
    const cap = this.#options.capacityBytes + (options.reserved ? RESERVED_BYTES : 0);
    if (this.#bytes + this.#queuedBytes + size > cap) {
      return Promise.reject(
        new BufferError(
          "full",
          `the buffer holds its ${this.#options.capacityBytes} bytes; nothing more is accepted until the log takes some`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ events, bytes: size, notes: options.notes ?? [], resolve, reject });
      this.#queuedBytes += size;
      this.#schedule();
    });
  }

  release(upTo: number): Promise<void> {
    const unready = this.#unready();
    if (unready) return Promise.reject(unready);
    assert(upTo <= this.#accepted, "only what was accepted can be released");
    if (upTo <= this.#released) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#releaseTo = Math.max(this.#releaseTo, upTo);
      this.#releaseWaiting.push({ resolve, reject });
      this.#schedule();
    });
  }

  async read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]> {
    const unready = this.#unready();
    if (unready) throw unready;
    const from = Math.max(after, this.#released) + 1;
    if (from > this.#accepted) return [];
    const group = this.#groups[this.#groupIndex(from)];
    assert(group, "every sequence that waits is in a group");
    const found: BufferedEvent[] = [];
    let size = 0;
    const iterator = this.#opened().iterator({
      gte: groupKey(group.first),
      lt: EVENTS_END,
      fillCache: false,
      ...bytes,
    });
    try {
      for await (const [key, value] of iterator) {
        for (const event of decodeGroup(Number(key.readBigUInt64BE(1)), value)) {
          if (event.sequence < from) continue;
          if (event.sequence !== from + found.length) {
            throw new BufferError("damaged", `the buffer lacks record ${from + found.length}`);
          }
          size += event.value.length;
          if (found.length > 0 && (found.length >= limit.events || size > limit.bytes)) {
            return found;
          }
          found.push({ ...event, epoch: this.#epoch, position: event.sequence });
        }
      }
    } finally {
      await iterator.close();
    }
    return found;
  }

  async waitBeyond(after: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#accepted <= after || this.#state === "recovering") {
      await once(this.#events, "changed", { signal });
    }
  }

  stats(): BufferStats {
    return {
      state: this.#state === "stopped" || this.#state === "stopping" ? "closed" : this.#state,
      epoch: this.#epoch,
      accepted: this.#accepted,
      released: this.#released,
      positions: { accepted: this.#accepted, released: this.#released },
      waiting: this.#accepted - this.#released,
      policy: "refuse",
      diskBytes: undefined,
      freeBytes: undefined,
      lost: { full: 0, damage: 0 },
      recoveries: 0,
      bytes: this.#bytes,
      capacityBytes: this.#options.capacityBytes,
      commits: this.#commits,
    };
  }

  #unready(): BufferError | undefined {
    if (this.#state === "open") return undefined;
    return this.#state === "recovering"
      ? new BufferError("unavailable", "the buffer is being reopened after a failed write")
      : new BufferError("closed", "the buffer is not open");
  }

  #opened(): Store {
    assert(this.#store, "the store is open");
    return this.#store;
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 || this.#releaseWaiting.length > 0;
  }

  /** Once a turn of the event loop: everything that arrived in it shares the commit. */
  #schedule(): void {
    if (this.#scheduled || this.#writing !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#writing === undefined && this.#hasWork() && this.#state !== "stopped")
        this.#commit();
    });
  }

  #commit(): void {
    this.#writing = this.#commitGroup().finally(() => {
      this.#writing = undefined;
      if (this.#hasWork()) this.#schedule();
    });
  }

  /**
   * The moment of acknowledgement. When the promises of a group resolve, its events and the new release mark are
   * written to LevelDB's log and fsynced; nothing else stands between a reading and its PUBACK.
   */
  async #commitGroup(): Promise<void> {
    const taken = this.#takeGroup();
    const releases = this.#releaseWaiting;
    this.#releaseWaiting = [];
    const releasedTo = releases.length > 0 ? this.#releaseTo : this.#released;
    const first = this.#accepted + 1;
    let size = 0;
    const events: NewEvent[] = [];
    for (const waiting of taken) {
      size += waiting.bytes;
      for (const event of waiting.events) events.push(event);
    }
    let freed = 0;
    while ((this.#groups[freed]?.last ?? Number.POSITIVE_INFINITY) <= releasedTo) freed += 1;

    try {
      const batch = this.#opened().batch();
      if (events.length > 0) batch.put(groupKey(first), encodeGroup(first, events, size), bytes);
      for (const { notes } of taken) putNotes(batch, notes);
      if (releases.length > 0) this.#putRelease(batch, releasedTo, freed);
      await batch.write({ sync: true });
    } catch (error) {
      this.#queuedBytes -= size;
      this.#fail(error as Error, taken, releases);
      return;
    }

    this.#commits += 1;
    this.#released = releasedTo;
    for (const group of this.#groups.splice(0, freed)) this.#bytes -= group.bytes;
    if (events.length > 0) {
      this.#accepted += events.length;
      this.#bytes += size;
      this.#queuedBytes -= size;
      this.#groups.push({ first, last: this.#accepted, bytes: size });
    }
    let next = first;
    for (const waiting of taken) {
      waiting.resolve({ from: next, to: next + waiting.events.length - 1 });
      next += waiting.events.length;
    }
    for (const waiting of releases) waiting.resolve();
    this.#events.emit("changed");
  }

  #takeGroup(): Waiting[] {
    let count = 0;
    let size = 0;
    for (const waiting of this.#queue) {
      if (count > 0 && size + waiting.bytes > MAX_GROUP_BYTES) break;
      size += waiting.bytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #putRelease(batch: ChainedBatch<Store, Buffer, Buffer>, upTo: number, groups: number): void {
    for (const group of this.#groups.slice(0, groups)) batch.del(groupKey(group.first), bytes);
    batch.put(META_RELEASED, Buffer.from(String(upTo)), bytes);
  }

  /** Nothing is accepted on a handle whose write failed: LevelDB would lose what follows. */
  #fail(
    error: Error,
    taken: readonly Waiting[],
    releases: readonly { reject: (error: Error) => void }[],
  ): void {
    const refused = new BufferError("unavailable", `the disk refused a write: ${error.message}`, {
      cause: error,
    });
    const stopping = this.#state === "stopping";
    if (!stopping) this.#state = "recovering";
    for (const waiting of [...taken, ...this.#queue, ...releases, ...this.#releaseWaiting]) {
      waiting.reject(refused);
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#releaseWaiting = [];
    this.#options.logger?.error({ err: error }, "the buffer could not be written; reopening it");
    if (!stopping) this.#recovery = this.#reopen();
  }

  async #reopen(): Promise<void> {
    while (this.#state === "recovering") {
      try {
        await this.#store?.close();
        this.#store = undefined;
        await this.#open(false);
        // stop() may have come while the store was opened.
        if (this.#state === "recovering") this.#state = "open";
        this.#options.logger?.info({ accepted: this.#accepted }, "the buffer is open again");
        this.#events.emit("changed");
      } catch (error) {
        this.#options.logger?.error({ err: error }, "the buffer cannot be reopened yet");
        await new Promise((resolve) => setTimeout(resolve, REOPEN_DELAY_MS));
      }
    }
  }

  async #open(createIfMissing: boolean): Promise<void> {
    const store: Store = new ClassicLevel(this.#options.directory, bytes);
    try {
      await store.open({ createIfMissing, compression: false });
    } catch (error) {
      throw openError(error as Error & { cause?: Error & { code?: string } }, this.#options);
    }
    try {
      await this.#load(store);
    } catch (error) {
      await store.close();
      throw error;
    }
    this.#store = store;
  }

  async #load(store: Store): Promise<void> {
    const format = await store.get(META_FORMAT);
    if (format === undefined) await this.#initialise(store);
    else if (format.toString() !== FORMAT) {
      throw new BufferError(
        "format",
        `the buffer in ${this.#options.directory} has format ${format}, this version reads ${FORMAT}; run the version that wrote it, or use another data directory`,
      );
    }
    const epoch = (await store.get(META_EPOCH))?.toString() ?? "";
    if (!isEpoch(epoch)) throw new BufferError("damaged", "the buffer's epoch is unreadable");
    const released = Number((await store.get(META_RELEASED))?.toString() ?? "0");
    const groups: Group[] = [];
    let total = 0;
    let expected: number | undefined;
    for await (const [key, value] of store.iterator({
      gte: EVENTS_BEGIN,
      lt: EVENTS_END,
      fillCache: false,
      ...bytes,
    })) {
      const first = Number(key.readBigUInt64BE(1));
      if ((expected ?? first) !== first || (expected === undefined && first > released + 1)) {
        throw new BufferError("damaged", `the buffer lacks records before ${first}`);
      }
      let last = first - 1;
      for (const event of decodeGroup(first, value)) last = event.sequence;
      groups.push({ first, last, bytes: value.length });
      total += value.length;
      expected = last + 1;
    }
    this.#epoch = epoch;
    this.#released = released;
    this.#releaseTo = released;
    this.#accepted = groups.at(-1)?.last ?? released;
    this.#groups = groups;
    this.#bytes = total;
  }

  async #initialise(store: Store): Promise<void> {
    for await (const _ of store.keys({ limit: 1 })) {
      throw new BufferError("damaged", `${this.#options.directory} holds no buffer of Tidegate`);
    }
    const event = this.#options.firstEvent;
    const batch = store.batch();
    batch.put(META_FORMAT, Buffer.from(FORMAT), bytes);
    batch.put(META_EPOCH, Buffer.from(this.#options.firstEpoch), bytes);
    batch.put(groupKey(1), encodeGroup(1, [event], frameBytes(event)), bytes);
    await batch.write({ sync: true });
  }

  /** Index of the group that holds the sequence; -1 where none does. */
  #groupIndex(sequence: number): number {
    let low = 0;
    let high = this.#groups.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const group = this.#groups[middle];
      assert(group);
      if (sequence < group.first) high = middle - 1;
      else if (sequence > group.last) low = middle + 1;
      else return middle;
    }
    return -1;
  }
}

function openError(
  error: Error & { cause?: Error & { code?: string } },
  options: LevelBufferOptions,
): BufferError {
  const cause = error.cause ?? error;
  if ("code" in cause && cause.code === "LEVEL_LOCKED") {
    return new BufferError(
      "in_use",
      `another process has the buffer in ${options.directory} open; stop it, or start this one with another --data-dir`,
      { cause },
    );
  }
  if (/does not exist \(create_if_missing is false\)/.test(cause.message)) {
    return new BufferError(
      "damaged",
      `the buffer in ${options.directory} should be there and is not; restore it, or start with another --data-dir (this one would lose what was accepted)`,
      { cause },
    );
  }
  const denied = /Permission denied|Read-only|No space|Not a directory|No such file/i.test(
    cause.message,
  );
  return new BufferError(
    denied ? "unwritable" : "damaged",
    `the buffer in ${options.directory} cannot be opened: ${cause.message}`,
    { cause },
  );
}
