/**
 * Stands between a gateway and its buffer and writes down what the buffer tells: which sequence of which epoch is stored, and
 * when that was asked for. What was told once must be in the log, or declared lost, whatever happens to the gateway then.
 */
import type {
  AppendOptions,
  BufferedEvent,
  BufferStats,
  DurableBuffer,
  NewEvent,
  Note,
  ReadLimit,
  SequenceRange,
  Waiter,
} from "../../gateway/buffer/port.ts";
import type { GatewayDisk } from "./buffer-disk.ts";
import type { Scope } from "./virtual-time.ts";

/** What a gateway's buffer ever told, over all its processes. */
export class Testimony {
  /** When each sequence was offered, ms from the beginning of the run, by epoch. */
  readonly offered = new Map<string, Map<number, number>>();
  /** When anything of an epoch was told first. */
  readonly begun = new Map<string, number>();
  /** Told before the mark beside the store said so too. */
  readonly early: string[] = [];
  /** Told a second time, as another event: a sequence was used twice. */
  readonly twice: string[] = [];
  add(epoch: string, sequence: number, offeredAt: number, now: number): void {
    if (!this.begun.has(epoch)) this.begun.set(epoch, now);
    const known = this.offered.get(epoch) ?? new Map<number, number>();
    this.offered.set(epoch, known);
    if (known.has(sequence)) this.twice.push(`${epoch}-${sequence}`);
    known.set(sequence, offeredAt);
  }
}

export class WitnessedBuffer implements DurableBuffer {
  readonly #buffer: DurableBuffer;
  readonly #testimony: Testimony;
  readonly #disk: GatewayDisk;
  readonly #timers: Scope;
  readonly #waiting = new Set<{ readonly gone?: boolean }>();

  constructor(buffer: DurableBuffer, testimony: Testimony, disk: GatewayDisk, timers: Scope) {
    this.#buffer = buffer;
    this.#testimony = testimony;
    this.#disk = disk;
    this.#timers = timers;
  }

  start(): Promise<void> {
    return this.#buffer.start();
  }

  stop(): Promise<void> {
    return this.#buffer.stop();
  }

  /** Something was offered and is not told yet. */
  get isBusy(): boolean {
    return [...this.#waiting].some(({ gone }) => !gone);
  }

  async append(events: readonly NewEvent[], options?: AppendOptions): Promise<SequenceRange> {
    const at = this.#timers.now();
    const told = (range: SequenceRange) => {
      for (let one = range.from; one <= range.to; one += 1) this.#tell(one, at);
      return range;
    };
    const waiting = {};
    this.#waiting.add(waiting);
    try {
      return await this.#buffer.append(events, options).then(told);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  offer(event: NewEvent, waiter: Waiter, notes?: readonly Note[]): void {
    const at = this.#timers.now();
    const own: Waiter = {
      get gone() {
        return waiter.gone ?? false;
      },
      stored: (sequence) => {
        this.#waiting.delete(own);
        this.#tell(sequence, at);
        waiter.stored(sequence);
      },
      refused: (error) => {
        this.#waiting.delete(own);
        waiter.refused(error);
      },
    };
    this.#waiting.add(own);
    this.#buffer.offer(event, own, notes);
  }

  read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]> {
    return this.#buffer.read(after, limit);
  }

  waitBeyond(after: number, signal: AbortSignal): Promise<void> {
    return this.#buffer.waitBeyond(after, signal);
  }

  release(upTo: number): Promise<void> {
    return this.#buffer.release(upTo);
  }

  note(notes: readonly Note[]): Promise<void> {
    return this.#buffer.note(notes);
  }

  noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return this.#buffer.noted(prefix);
  }

  stats(): BufferStats {
    return this.#buffer.stats();
  }

  /** What was written before a salvage is told under the epoch before the newest, which has no such sequence yet. */
  #tell(sequence: number, offeredAt: number): void {
    const { epoch, accepted } = this.#buffer.stats();
    const { chapters, mark } = this.#disk.buffer;
    const own = chapters.at(sequence > accepted ? -2 : -1);
    const name = own?.epoch ?? epoch;
    const position = (own?.base ?? 0) + sequence;
    if (mark && mark.accepted < position) this.#testimony.early.push(`${name}-${sequence}`);
    this.#testimony.add(name, sequence, offeredAt, this.#timers.now());
  }
}
