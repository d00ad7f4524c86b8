/** Follows topics and hands their records on, in order, one call at a time; woken by appends, never polling. */
import type { StoredRecord, Tail, TailOptions, TailStatus } from "../port.ts";
import { EventLogError } from "../port.ts";
import { pause, pauseMs } from "./backoff.ts";
import type { Head, Topic } from "./catalog.ts";
import { CaughtUp, type Goals, type Lane } from "./caught-up.ts";
import type { Running } from "./running.ts";
import type { Store } from "./store.ts";

/** Records handed on in one call: enough to apply as one batch, few enough to decode at once. */
const RECORDS_PER_CALL = 500;

interface TailLane extends Lane {
  readonly topic: Topic;
  readonly partition: number;
  done: number;
}

const headOf = (lane: TailLane): Head => lane.topic.heads[lane.partition] as Head;

export class EmbeddedTail implements Tail {
  readonly #store: Store;
  readonly #names: readonly string[];
  readonly #options: TailOptions;
  readonly #running: Running<EmbeddedTail>;
  readonly #caughtUp = new CaughtUp();
  #lanes: TailLane[] = [];
  /** Reading fails, though the store is open. */
  #failing: { readonly since: number; readonly lastError: string } | undefined;
  #stopping: AbortController | undefined;
  #over: Promise<void> = Promise.resolve();

  constructor(
    store: Store,
    topics: readonly string[],
    options: TailOptions,
    running: Running<EmbeddedTail>,
  ) {
    this.#store = store;
    this.#names = topics;
    this.#options = options;
    this.#running = running;
  }

  /** @throws EventLogError `closed`, `unknown_topic` */
  async start(): Promise<void> {
    if (this.#stopping) return;
    this.#lanes = this.#names.flatMap((name) => {
      const topic = this.#store.topic(name);
      return topic.heads.map((head, partition) => {
        const begin = this.#options.from === "start" ? 0 : head.end;
        return {
          topic,
          partition,
          done: this.#options.positions?.get(name)?.get(partition) ?? begin,
        };
      });
    });
    this.#failing = undefined;
    this.#stopping = new AbortController();
    this.#running.add(this);
    this.#caughtUp.begin();
    this.#over = this.#follow(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#over;
    this.#stopping = undefined;
    this.#caughtUp.end(new EventLogError("closed", "the tail is stopped"));
    this.#running.delete(this);
  }

  caughtUp(signal?: AbortSignal): Promise<void> {
    return this.#caughtUp.wait(
      (): Goals => this.#lanes.map((lane) => [lane, headOf(lane).end] as const),
      signal,
    );
  }

  status(): TailStatus {
    const { away } = this.#store;
    if (away) return { state: "waiting", since: away.since, lastError: away.reason };
    return this.#failing ? { state: "waiting", ...this.#failing } : { state: "following" };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const topics = [...new Set(this.#lanes.map((lane) => lane.topic.id))];
    let attempt = 0;
    while (!signal.aborted) {
      let moved = false;
      for (const lane of this.#lanes) {
        const { end } = headOf(lane);
        if (lane.done >= end || signal.aborted) continue;
        moved = true;
        let records: readonly StoredRecord[];
        try {
          records = await this.#store.records(
            lane.topic,
            lane.partition,
            lane.done,
            end,
            RECORDS_PER_CALL,
          );
          attempt = 0;
          this.#failing = undefined;
        } catch (error) {
          if ((error as EventLogError).code === "closed") return;
          const since = this.#failing?.since ?? this.#store.settings.now();
          this.#failing = { since, lastError: (error as Error).message };
          this.#store.settings.logger.warn({ err: error, topic: lane.topic.name }, "tail waits");
          const { timers, random } = this.#store.settings;
          await pause(timers, pauseMs(++attempt, random()), signal);
          continue;
        }
        try {
          if (signal.aborted) return;
          if (records.length > 0) await this.#options.onRecords(records);
        } catch (error) {
          this.#store.settings.logger.error({ err: error, topic: lane.topic.name }, "tail stops");
          this.#caughtUp.end(error);
          return;
        }
        lane.done = (records.at(-1)?.offset ?? end - 1) + 1;
        this.#caughtUp.check();
      }
      // Nothing was awaited since the heads were looked at, so no append can be missed.
      if (!moved) await this.#store.bell.wait(topics, signal);
    }
  }
}
