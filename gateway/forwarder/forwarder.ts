/**
 * Drains the buffer into the event log: one frozen batch at a time, in order, released only once the log has it.
 *
 * The sink owns sending and sending again; the forwarder owns what comes next. A batch that was sent but not yet
 * released when the gateway crashes is sent once more after the restart, under the same ids: that one batch is all
 * that can ever stand twice in the log.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { EventLog, FrozenBatch, Sink, SinkSource, SinkStatus } from "../../stream/port.ts";
import { BufferError, type DurableBuffer } from "../buffer/port.ts";
import { freeze, type Journal } from "./freeze.core.ts";

export interface ForwarderOptions {
  readonly buffer: DurableBuffer;
  readonly log: EventLog;
  readonly journal: Journal;
  /** Most events in one batch. */
  readonly batchEvents: number;
  /** Most bytes of values in one batch; Kafka's default limit for a batch is 1 MiB with headers. */
  readonly batchBytes: number;
  readonly logger: Logger;
}

/** Between tries while the buffer is being reopened after a failed write. */
const BUFFER_RETRY_MS = 200;

export class Forwarder implements SinkSource {
  readonly #options: ForwarderOptions;
  readonly #stopped = new AbortController();
  #sink: Sink | undefined;
  #sending: { readonly batch: FrozenBatch; readonly upTo: number } | undefined;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#sink) return;
    this.#sink = this.#options.log.sink(this);
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
    const { buffer, journal, batchEvents, batchBytes } = this.#options;
    return await this.#whileBufferRecovers(signal, async () => {
      const { released } = buffer.stats();
      await buffer.waitBeyond(released, signal);
      const events = await buffer.read(released, { events: batchEvents, bytes: batchBytes });
      const last = events.at(-1);
      if (!last) throw new BufferError("unavailable", "the buffer has nothing to read");
      const batch = freeze(journal, events);
      this.#sending = { batch, upTo: last.sequence };
      return batch;
    });
  }

  async acknowledged(batch: FrozenBatch): Promise<void> {
    const sending = this.#sending;
    if (sending?.batch !== batch) throw new Error("a batch was acknowledged that is not in flight");
    await this.#whileBufferRecovers(this.#stopped.signal, () =>
      this.#options.buffer.release(sending.upTo),
    );
    this.#sending = undefined;
  }

  async #whileBufferRecovers<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const passing = error instanceof BufferError && error.code !== "closed";
        if (!passing) throw error;
        // A damaged record stops forwarding where it stands, loudly: sending past it would hide a loss.
        const level = error.code === "damaged" ? "error" : "debug";
        this.#options.logger[level]({ reason: error.message }, "waiting for the buffer");
        await pause(BUFFER_RETRY_MS, undefined, { signal });
      }
    }
  }
}
