/**
 * A buffer whose disk a test holds in its hand: what is offered goes to it at the end of the turn, or when the test says
 * so. What is on the disk (`HeldDisk`) outlives the buffer, so that a restart is a new buffer on the same disk.
 */
import type { Epoch } from "../../../events/ids.ts";
import {
  BufferError,
  type BufferedEvent,
  type BufferStats,
  type DurableBuffer,
  type NewEvent,
  type Note,
  type SequenceRange,
  type Waiter,
} from "../../buffer/port.ts";

export interface HeldDisk {
  readonly events: BufferedEvent[];
  readonly notes: Map<string, Uint8Array>;
}

interface Offer {
  readonly event: NewEvent | undefined;
  readonly waiter: Waiter;
  readonly notes: readonly Note[];
}

const EPOCH = "0123456789" as Epoch;

export class HeldBuffer implements DurableBuffer {
  readonly disk: HeldDisk;
  /** While true nothing reaches the disk but by letGo(). */
  hold = false;
  /** Offers that come next are refused. */
  refuse = 0;
  commits = 0;
  #offers: Offer[] = [];
  #scheduled = false;
  #watchers: (() => void)[] = [];
  #open = true;

  constructor(disk: HeldDisk = { events: [], notes: new Map() }) {
    this.disk = disk;
  }

  get held(): number {
    return this.#offers.filter(({ event, waiter }) => event && !waiter.gone).length;
  }

  offer(event: NewEvent, waiter: Waiter, notes: readonly Note[] = []): void {
    this.#offers.push({ event, waiter, notes });
    this.#changed();
    this.#schedule();
  }

  append(events: readonly NewEvent[]): Promise<SequenceRange> {
    return new Promise((resolve, reject) => {
      for (const event of events) {
        this.offer(event, { stored: (to) => resolve({ from: to, to }), refused: reject });
      }
    });
  }

  note(notes: readonly Note[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { stored: () => resolve(), refused: reject };
      this.#offers.push({ event: undefined, waiter, notes });
      this.#schedule();
    });
  }

  async noted(prefix: string): Promise<readonly (readonly [string, Uint8Array])[]> {
    return [...this.disk.notes]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Writes what waits, at most so many offers, and tells them. */
  letGo(most = Number.POSITIVE_INFINITY): void {
    const taken = this.#offers.splice(0, most);
    const told: (() => void)[] = [];
    for (const { event, waiter, notes } of taken) {
      if (waiter.gone) continue;
      if (!this.#open || (event && this.refuse > 0)) {
        if (event) this.refuse -= 1;
        told.push(() =>
          waiter.refused(new BufferError(this.#open ? "unavailable" : "closed", "planted")),
        );
        continue;
      }
      const sequence = this.disk.events.length + 1;
      if (event) {
        const value = Uint8Array.from(event.value);
        this.disk.events.push({ ...event, value, epoch: EPOCH, sequence, position: sequence });
      }
      for (const { key, value } of notes) {
        if (value === undefined) this.disk.notes.delete(key);
        else this.disk.notes.set(key, Uint8Array.from(value));
      }
      told.push(() => waiter.stored(sequence));
    }
    this.commits += 1;
    for (const tell of told) tell();
    this.#changed();
  }

  /** Resolves once the condition holds; it is looked at after each offer and each commit. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#open = false;
    this.letGo();
  }

  async read(after: number): Promise<readonly BufferedEvent[]> {
    return this.disk.events.slice(after);
  }

  async waitBeyond(after: number): Promise<void> {
    await this.until(() => this.disk.events.length > after);
  }

  async release(): Promise<void> {}

  stats(): BufferStats {
    throw new Error("nobody asks here");
  }

  #schedule(): void {
    if (this.hold || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.hold) this.letGo();
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }
}
