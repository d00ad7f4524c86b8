/**
 * The buffer in memory: the twin of leveldb.ts for tests and simulation. It promises the same, on a "disk" that is an
 * array: what a commit wrote is in it, what waits is not. `failWrites` makes the next commits fail as a disk would.
 */
import assert from "node:assert";
import { EventEmitter, once } from "node:events";
import type { Epoch } from "../../events/ids.ts";
import { frameBytes } from "./frame.core.ts";
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

export interface MemoryBufferOptions {
  readonly firstEpoch: Epoch;
  readonly firstEvent: NewEvent;
  readonly capacityBytes: number;
  readonly reservedBytes?: number;
}

/** What outlives a MemoryBuffer: hand it to the next one to restart on the same disk. */
export interface MemoryDisk {
  epoch: Epoch | undefined;
  released: number;
  accepted: number;
  events: BufferedEvent[];
  notes: Map<string, Uint8Array>;
}

export function memoryDisk(): MemoryDisk {
  return { epoch: undefined, released: 0, accepted: 0, events: [], notes: new Map() };
}

export class MemoryBuffer implements DurableBuffer {
  readonly #options: MemoryBufferOptions;
  readonly #disk: MemoryDisk;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #open = false;
  #bytes = 0;
  #commits = 0;
  /** Commits that will fail from now on. */
  failWrites = 0;

  constructor(options: MemoryBufferOptions, disk: MemoryDisk = memoryDisk()) {
    this.#options = options;
    this.#disk = disk;
  }

  async start(): Promise<void> {
    if (this.#open) return;
    this.#open = true;
    if (this.#disk.epoch === undefined) {
      this.#disk.epoch = this.#options.firstEpoch;
      this.#store([this.#options.firstEvent]);
    }
    this.#bytes = this.#disk.events.reduce((sum, event) => sum + frameBytes(event), 0);
  }

  async stop(): Promise<void> {
    this.#open = false;
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
    this.#assertOpen();
    this.#mayFail();
    this.#keep(notes);
  }

  async noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return [...this.#disk.notes]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #keep(notes: readonly Note[]): void {
    for (const { key, value } of notes) {
      if (value === undefined) this.#disk.notes.delete(key);
      else this.#disk.notes.set(key, value);
    }
  }

  async append(events: readonly NewEvent[], options: AppendOptions = {}): Promise<SequenceRange> {
    assert(events.length > 0, "an append has events");
    this.#assertOpen();
    const size = events.reduce((sum, event) => sum + frameBytes(event), 0);
    const reserved = options.reserved ? (this.#options.reservedBytes ?? 1024) : 0;
    if (this.#bytes + size > this.#options.capacityBytes + reserved) {
      throw new BufferError("full", "the buffer is full");
    }
    this.#mayFail();
    const range = this.#store(events);
    this.#keep(options.notes ?? []);
    this.#bytes += size;
    this.#commits += 1;
    this.#changes.emit("changed");
    return range;
  }

  async read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]> {
    this.#assertOpen();
    const found: BufferedEvent[] = [];
    let size = 0;
    for (const event of this.#disk.events) {
      if (event.sequence <= after) continue;
      size += event.value.length;
      if (found.length > 0 && (found.length >= limit.events || size > limit.bytes)) break;
      found.push(event);
    }
    return found;
  }

  async waitBeyond(after: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#disk.accepted <= after) await once(this.#changes, "changed", { signal });
  }

  async release(upTo: number): Promise<void> {
    this.#assertOpen();
    assert(upTo <= this.#disk.accepted, "only what was accepted can be released");
    if (upTo <= this.#disk.released) return;
    this.#mayFail();
    this.#disk.released = upTo;
    this.#disk.events = this.#disk.events.filter((event) => event.sequence > upTo);
    this.#bytes = this.#disk.events.reduce((sum, event) => sum + frameBytes(event), 0);
  }

  stats(): BufferStats {
    return {
      state: this.#open ? "open" : "closed",
      epoch: this.#disk.epoch ?? this.#options.firstEpoch,
      accepted: this.#disk.accepted,
      released: this.#disk.released,
      positions: { accepted: this.#disk.accepted, released: this.#disk.released },
      waiting: this.#disk.accepted - this.#disk.released,
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

  #store(events: readonly NewEvent[]): SequenceRange {
    const from = this.#disk.accepted + 1;
    for (const event of events) {
      this.#disk.accepted += 1;
      const position = this.#disk.accepted;
      const epoch = this.#disk.epoch ?? this.#options.firstEpoch;
      this.#disk.events.push({ ...event, position, epoch, sequence: position });
    }
    return { from, to: this.#disk.accepted };
  }

  #mayFail(): void {
    if (this.failWrites === 0) return;
    this.failWrites -= 1;
    throw new BufferError("unavailable", "the disk refused a write: planted");
  }

  #assertOpen(): void {
    if (!this.#open) throw new BufferError("closed", "the buffer is not open");
  }
}
