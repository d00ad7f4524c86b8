/**
 * Carries a source's batches into the log: one at a time, the same one again until it is on disk and the source took
 * the acknowledgement.
 *
 * A gateway that was restarted between the commit and the acknowledgement hands its last batch in again. The log
 * keeps, for each topic and key, the last journal event (source, epoch, sequence) that a sink appended, in the same
 * commit as the events, and leaves out what stands there already: the embedded journal has no duplicates.
 */
import assert from "node:assert/strict";
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { type Epoch, parseEventId } from "../../events/ids.ts";
import { partitionOf } from "../partitioner.ts";
import type { FrozenBatch, LogRecord, Sent, Sink, SinkSource, SinkStatus } from "../port.ts";
import { EventLogError } from "../port.ts";
import { seal, unseal } from "../seal.ts";
import { pause, pauseMs } from "./backoff.ts";
import { journalKey } from "./keys.ts";
import type { Running } from "./running.ts";
import type { Store } from "./store.ts";

/** How long stop() lets a batch in flight take, ms: a slow card's fsync, not a stuck one's. */
const STOP_DEADLINE_MS = 5000;

type JournalEnd = readonly [source: string, epoch: Epoch, sequence: number];

function journalPlace(record: LogRecord): JournalEnd | undefined {
  const { ce_id: id, ce_source: source } = record.headers;
  const parsed = id === undefined ? undefined : parseEventId(id);
  return parsed && source !== undefined ? [source, parsed.epoch, parsed.sequence] : undefined;
}

function standsThere(record: LogRecord, end: JournalEnd | undefined): boolean {
  const place = end && journalPlace(record);
  return place !== undefined && place[0] === end?.[0] && place[1] === end[1] && place[2] <= end[2];
}

/** Runs of one sink; start() after stop() makes a new one. */
interface Run {
  readonly stopping: AbortController;
  /** Past the deadline of stop(): the source is not called any more. */
  abandoned: boolean;
  over: Promise<void>;
}

export class EmbeddedSink implements Sink {
  readonly #store: Store;
  readonly #source: SinkSource;
  readonly #running: Running<EmbeddedSink>;
  #run: Run | undefined;
  #previous: Promise<void> = Promise.resolve();
  #state: SinkStatus["state"] = "stopped";
  #recordsSent = 0;
  #retries = 0;
  #lastError: string | undefined;
  #lastAcknowledged: number | undefined;

  constructor(store: Store, source: SinkSource, running: Running<EmbeddedSink>) {
    this.#store = store;
    this.#source = source;
    this.#running = running;
  }

  start(): Promise<void> {
    if (this.#run) return Promise.resolve();
    const run: Run = { stopping: new AbortController(), abandoned: false, over: Promise.resolve() };
    run.over = this.#previous.then(() => this.#drain(run));
    this.#run = run;
    this.#running.add(this);
    this.#previous = run.over;
    this.#state = "idle";
    return Promise.resolve();
  }

  async stop(deadlineMs: number = STOP_DEADLINE_MS): Promise<void> {
    const run = this.#run;
    if (!run) return;
    run.stopping.abort(new EventLogError("closed", "the sink is stopped"));
    const deadline = new AbortController();
    await Promise.race([run.over, pause(this.#store.settings.timers, deadlineMs, deadline.signal)]);
    deadline.abort();
    run.abandoned = true;
    if (this.#run === run) this.#run = undefined;
    this.#state = "stopped";
    this.#running.delete(this);
  }

  status(): SinkStatus {
    return {
      state: this.#state,
      recordsSent: this.#recordsSent,
      retries: this.#retries,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...(this.#lastAcknowledged === undefined ? {} : { lastAcknowledged: this.#lastAcknowledged }),
    };
  }

  async #drain(run: Run): Promise<void> {
    const { signal } = run.stopping;
    const { timers, random } = this.#store.settings;
    while (!signal.aborted) {
      this.#state = "idle";
      let batch: FrozenBatch | undefined;
      let sent = false;
      let ms = 0;
      for (let attempt = 1; ; attempt++) {
        try {
          batch ??= await this.#source.next(signal);
          this.#state = "sending";
          const begun = timers.now();
          if (!sent) {
            await this.#send(batch);
            ms = timers.now() - begun;
          }
          sent = true;
          if (run.abandoned) return;
          await this.#acknowledge(batch, { ms, tries: attempt });
          break;
        } catch (error) {
          if (signal.aborted) return;
          this.#state = "waiting";
          this.#lastError = (error as Error).message;
          this.#retries++;
          await pause(timers, pauseMs(attempt, random()), signal);
          if (signal.aborted) return;
        }
      }
    }
  }

  /** The moment of acknowledgement: the batch and the journal's new end are on disk, in one commit. */
  async #acknowledge(batch: FrozenBatch, sent: Sent): Promise<void> {
    await this.#source.acknowledged(batch, sent);
    this.#lastError = undefined;
    this.#lastAcknowledged = this.#store.settings.now();
  }

  async #send(batch: FrozenBatch): Promise<void> {
    assert(batch.records.length > 0, "a batch has at least one record");
    const topic = this.#store.topic(batch.topic);
    const key = journalKey(topic.id, batch.key);
    const end = await this.#store.read(async (level) => {
      const value = await level.get(key);
      const payload = value && unseal(key, value);
      return payload && (decodeCbor(payload) as JournalEnd);
    });
    const records = batch.records.filter((record) => !standsThere(record, end));
    if (records.length > 0) {
      const partition = partitionOf(batch.key, topic.heads.length);
      const last = journalPlace(records.at(-1) as LogRecord);
      const puts = last ? [[key, seal(key, encodeCbor(last))] as const] : [];
      await this.#store.commit({ appends: [{ topic, partition, records }], puts });
    }
    this.#recordsSent += batch.records.length;
  }
}
