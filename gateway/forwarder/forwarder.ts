/**
 * Drains the buffer into the event log: one frozen batch at a time, in order, released only once the log has it.
 *
 * The sink owns sending and sending again; the forwarder owns what comes next. A batch that was sent but not yet
 * released when the gateway crashes is sent once more after the restart, under the same ids: that one batch is all
 * that can ever stand twice in the log.
 *
 * While the time of this boot is not known yet, and may soon be, what came in this boot waits, and all behind it: the
 * order of the journal is sacred. The clock bounds that wait.
 */
import type { Logger } from "pino";
import type {
  EventLog,
  FrozenBatch,
  Sent,
  Sink,
  SinkSource,
  SinkStatus,
} from "../../stream/port.ts";
import { pause, systemTimers, type Timers } from "../../time/timers.ts";
import {
  BufferError,
  type BufferedEvent,
  type DurableBuffer,
  type ReadLimit,
} from "../buffer/port.ts";
import { FIRST_BYTES, nextBatchBytes } from "./batch-size.core.ts";
import { freeze, type Journal, type Offsets, sendable } from "./freeze.core.ts";

/** What the forwarder asks of the gateway's clock. */
export interface ForwarderClock extends Offsets {
  readonly boot: string;
  /** Whether what came in this boot has to wait for its time; never for ever. */
  holding(): boolean;
  /** Resolves when it has not; rejects with the signal's reason. */
  released(signal: AbortSignal): Promise<void>;
}

export interface ForwarderOptions {
  readonly buffer: DurableBuffer;
  readonly log: EventLog;
  readonly journal: Journal;
  /** Without one every event is sent as it was stamped. */
  readonly clock?: ForwarderClock;
  /** Most events in one batch. */
  readonly batchEvents: number;
  /** Most bytes of values in one batch; Kafka's default limit for a batch is 1 MiB with headers. Smaller on a slow link. */
  readonly batchBytes: number;
  /** How long what does not fill a batch may wait for more, ms; default 0. */
  readonly lingerMs?: number;
  /**
   * Between the beginnings of two batches while the second is not full, ms; default 0. A log that answers at once would
   * otherwise get batches of a few readings, each with some 150 bytes of its own and hardly compressed.
   */
  readonly batchIntervalMs?: number;
  /** Default: as many as it takes. */
  readonly bytesPerSecond?: number;
  /** Told what each batch took, before compression. */
  readonly onSent?: (bytes: number) => void;
  /** Default: the machine's. */
  readonly timers?: Timers;
  readonly logger: Logger;
}

/** Between tries while the buffer is being reopened after a failed write. */
const BUFFER_RETRY_MS = 200;

const NO_CLOCK: ForwarderClock = {
  boot: "",
  holding: () => false,
  released: async () => {},
  offsetOf: () => undefined,
};

export class Forwarder implements SinkSource {
  readonly #options: ForwarderOptions;
  readonly #timers: Timers;
  readonly #stopped = new AbortController();
  #sink: Sink | undefined;
  #sending:
    | { readonly batch: FrozenBatch; readonly upTo: number; readonly bytes: number }
    | undefined;
  /** When the last batch was handed over, on the timers' clock. */
  #begun = Number.NEGATIVE_INFINITY;
  /** What a batch may hold now: what the link has shown that it takes. */
  #size: number;

  #ahead:
    | {
        readonly after: number;
        readonly events: Promise<readonly BufferedEvent[] | undefined>;
      }
    | undefined;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#size = Math.min(FIRST_BYTES, options.batchBytes);
    this.#timers = options.timers ?? systemTimers;
  }

  async start(): Promise<void> {
    if (this.#sink) return;
    const { log, bytesPerSecond } = this.#options;
    this.#sink = log.sink(this, bytesPerSecond === undefined ? {} : { bytesPerSecond });
    await this.#sink.start();
  }

  /** @param deadlineMs how long the batch in flight may still take */
  async stop(deadlineMs: number): Promise<void> {
    await this.#sink?.stop(deadlineMs);
    this.#stopped.abort();
    this.#sink = undefined;
  }

  status(): SinkStatus {
    return this.#sink?.status() ?? { state: "stopped", recordsSent: 0, retries: 0 };
  }

  async next(signal: AbortSignal): Promise<FrozenBatch> {
    const { buffer, journal, clock = NO_CLOCK } = this.#options;
    for (;;) {
      const events = await this.#whileBufferRecovers(signal, async () => {
        const { released } = buffer.stats().positions;
        const ahead = this.#ahead?.after === released ? await this.#ahead.events : undefined;
        this.#ahead = undefined;
        await buffer.waitBeyond(released, signal);
        const waitMs = this.#waitMs();
        if (waitMs > 0) await pause(this.#timers, waitMs, signal);
        else if (ahead && ahead.length > 0) return ahead;
        return await buffer.read(released, this.#limit());
      });
      const held = clock.holding() ? clock.boot : undefined;
      const sent = events.slice(0, sendable(events, held));
      const last = sent.at(-1);
      if (last) {
        const batch = freeze(journal, sent, clock);
        const bytes = sent.reduce((sum, { value }) => sum + value.length, 0);
        this.#sending = { batch, upTo: last.position, bytes };
        this.#begun = this.#timers.now();
        // What comes next is read while the log takes this one; a read that fails is tried again in its turn.
        const next = buffer.read(last.position, this.#limit()).catch(() => undefined);
        this.#ahead = { after: last.position, events: next };
        return batch;
      }
      // Read anew after the wait: what waited may have given way to newer readings meanwhile.
      if (held !== undefined) await clock.released(signal);
      else await pause(this.#timers, BUFFER_RETRY_MS, signal);
    }
  }

  /** How long what waits should wait for company. */
  #waitMs(): number {
    const { buffer, batchEvents, lingerMs = 0, batchIntervalMs = 0 } = this.#options;
    const { waiting, bytes } = buffer.stats();
    if (waiting >= batchEvents || bytes >= this.#size) return 0;
    return Math.max(lingerMs, this.#begun + batchIntervalMs - this.#timers.now());
  }

  #limit(): ReadLimit {
    return { events: this.#options.batchEvents, bytes: this.#size };
  }

  async acknowledged(batch: FrozenBatch, { ms, tries }: Sent): Promise<void> {
    const sending = this.#sending;
    if (sending?.batch !== batch) throw new Error("a batch was acknowledged that is not in flight");
    await this.#whileBufferRecovers(this.#stopped.signal, () =>
      this.#options.buffer.release(sending.upTo),
    );
    this.#sending = undefined;
    const { bytes } = sending;
    this.#options.onSent?.(bytes);
    this.#size = nextBatchBytes(this.#size, { bytes, ms, tries }, this.#options.batchBytes);
  }

  async #whileBufferRecovers<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const passing = error instanceof BufferError && error.code !== "closed";
        if (!passing) throw error;
        // The buffer itself says loudly what is wrong with it, and comes back whole.
        this.#options.logger.debug({ reason: error.message }, "waiting for the buffer");
        await pause(this.#timers, BUFFER_RETRY_MS, signal);
      }
    }
  }
}
