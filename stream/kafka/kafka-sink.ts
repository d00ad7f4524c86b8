/**
 * Drains a source into the log: one frozen batch at a time, the same one again until it is acknowledged, for as long as
 * it takes. What Kafka says meanwhile stands in the status; nothing makes it give up but stop().
 */

import { partitionOf } from "../partitioner.ts";
import type { FrozenBatch, Sent, Sink, SinkOptions, SinkSource, SinkStatus } from "../port.ts";
import { IdempotentProducer, sendInParts } from "./idempotent-producer.ts";
import type { KafkaSettings } from "./options.ts";
import { Pace } from "./pace.ts";
import { closedError, Outage, orAborted } from "./retry.ts";
import { KafkaSession } from "./session.ts";

/** How long stop() lets the batch in flight go on where the caller says nothing, ms. */
const STOP_DEADLINE_MS = 5000;

export class KafkaSink implements Sink {
  readonly #settings: KafkaSettings;
  readonly #source: SinkSource;
  readonly #options: SinkOptions;
  readonly #outage: Outage;
  #state: SinkStatus["state"] = "stopped";
  #recordsSent = 0;
  #retries = 0;
  #lastAcknowledged: number | undefined;
  #running: { soft: AbortController; hard: AbortController; ended: Promise<void> } | undefined;

  constructor(settings: KafkaSettings, source: SinkSource, options: SinkOptions = {}) {
    this.#options = options;
    this.#settings = settings;
    this.#source = source;
    this.#outage = new Outage(settings, "sending");
  }

  async start(): Promise<void> {
    if (this.#running) return;
    const soft = new AbortController();
    const hard = new AbortController();
    this.#state = "idle";
    this.#running = { soft, hard, ended: this.#run(soft.signal, hard.signal) };
  }

  async stop(deadlineMs = STOP_DEADLINE_MS): Promise<void> {
    const running = this.#running;
    if (!running) return;
    running.soft.abort();
    const late = setTimeout(() => running.hard.abort(), deadlineMs);
    await running.ended;
    clearTimeout(late);
    this.#running = undefined;
    this.#state = "stopped";
  }

  status(): SinkStatus {
    const { lastError } = this.#outage;
    return {
      state: this.#state,
      recordsSent: this.#recordsSent,
      retries: this.#retries,
      ...(lastError === undefined ? {} : { lastError }),
      ...(this.#lastAcknowledged === undefined ? {} : { lastAcknowledged: this.#lastAcknowledged }),
    };
  }

  async #run(soft: AbortSignal, hard: AbortSignal): Promise<void> {
    const session = new KafkaSession(this.#settings);
    const { bytesPerSecond } = this.#options;
    const { moment } = this.#settings;
    const pace = bytesPerSecond === undefined ? undefined : new Pace(bytesPerSecond, moment, hard);
    const producer = new IdempotentProducer(this.#settings, session, pace);
    const onFailure = async (error: unknown) => {
      if (hard.aborted) throw closedError("send");
      this.#state = "waiting";
      this.#retries++;
      await this.#outage.pause(error, hard);
      if (hard.aborted) throw closedError("send");
    };
    // An answer that never comes must not outlive the deadline.
    hard.addEventListener("abort", () => session.close());
    while (!soft.aborted) {
      try {
        this.#state = "idle";
        const batch = await orAborted(this.#source.next(soft), soft);
        this.#state = "sending";
        await this.#send(producer, batch, onFailure, hard);
      } catch (error) {
        if (soft.aborted || hard.aborted) break;
        await onFailure(error).catch(() => {});
      }
    }
    session.close();
  }

  async #send(
    producer: IdempotentProducer,
    batch: FrozenBatch,
    onFailure: (error: unknown) => Promise<void>,
    hard: AbortSignal,
  ): Promise<void> {
    const { topic, key, records } = batch;
    const destination = { topic, partition: (count: number) => partitionOf(key, count) };
    const before = this.#retries;
    let sent: Sent | undefined;
    while (!sent) {
      try {
        sent = await sendInParts(producer, destination, records, onFailure);
      } catch (error) {
        await onFailure(error);
      }
    }
    sent = { ...sent, tries: 1 + this.#retries - before };
    // Durable from here on. A source that cannot take note of it is asked until it can: to go on with another batch
    // would be to forget this one.
    for (let noted = false; !noted; ) {
      try {
        // Past the deadline of stop() the source is left to itself: it will hand the batch in again.
        await orAborted(this.#source.acknowledged(batch, sent), hard);
        noted = true;
      } catch (error) {
        await onFailure(error);
      }
    }
    this.#outage.over();
    this.#recordsSent += records.length;
    this.#lastAcknowledged = this.#settings.now();
  }
}
