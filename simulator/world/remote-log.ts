/**
 * The event log as a gateway in virtual time has it: behind a network. It keeps the port's promises as a client of a broker
 * does: one batch at a time, the very same again until the broker has acknowledged it.
 */
import type {
  EventLog,
  FrozenBatch,
  LogRecord,
  PartitionRange,
  PartitionRebuild,
  Processor,
  Sink,
  SinkSource,
  SinkStatus,
  StoredRecord,
  Tail,
} from "../../stream/port.ts";
import { EventLogError } from "../../stream/port.ts";
import type { Timer, Timers } from "../../time/timers.ts";
import type { Link } from "./network.ts";

/** What the site does with a request; `done` is called once it is on the site's disk, or never. */
export interface SiteDoor {
  /** @param producer the sender's process: a restarted one is another */
  produce(producer: string, number: number, batch: FrozenBatch, done: () => void): void;
  append(topic: string, records: readonly LogRecord[], done: () => void): void;
}

export interface RemoteLogOptions {
  readonly producer: string;
  readonly door: SiteDoor;
  readonly link: Link;
  readonly timers: Timers;
}

/** Without an answer the same is asked again, ms: Kafka's clients wait 30 s. */
const ANSWER_MS = 10_000;
/** And a status is given up: the next one says the same better. */
const STATUS_MS = 15_000;

export class RemoteLog implements EventLog {
  readonly kind = "embedded";
  readonly #options: RemoteLogOptions;

  constructor(options: RemoteLogOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async createTopics(): Promise<void> {}

  async append(topic: string, records: readonly LogRecord[]): Promise<void> {
    const { door, link, timers } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = () => reject(new EventLogError("unreachable", "no answer from the event log"));
    const timer = timers.setTimeout(late, STATUS_MS);
    link.request(() => door.append(topic, records, () => link.answer(resolve)));
    await promise.finally(() => timers.clear(timer));
  }

  sink(source: SinkSource): Sink {
    return new RemoteSink(this.#options, source);
  }

  ranges(): Promise<readonly PartitionRange[]> {
    throw new Error("a gateway does not read");
  }
  process(): Processor {
    throw new Error("a gateway does not process");
  }
  behind(): Promise<number> {
    throw new Error("a gateway does not process");
  }
  rebuild(): Promise<readonly PartitionRebuild[]> {
    throw new Error("a gateway does not process");
  }
  tail(): Tail {
    throw new Error("a gateway does not read");
  }
  read(): AsyncIterable<StoredRecord> {
    throw new Error("a gateway does not read");
  }
  latest(): Promise<ReadonlyMap<string, StoredRecord>> {
    throw new Error("a gateway does not read");
  }
}

class RemoteSink implements Sink {
  readonly #options: RemoteLogOptions;
  readonly #source: SinkSource;
  readonly #stopping = new AbortController();
  #number = 0;
  #state: SinkStatus["state"] = "stopped";
  #recordsSent = 0;
  #retries = 0;

  constructor(options: RemoteLogOptions, source: SinkSource) {
    this.#options = options;
    this.#source = source;
  }

  async start(): Promise<void> {
    this.#state = "idle";
    void this.#drain().catch(() => {
      this.#state = "stopped";
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new EventLogError("closed", "the sink is stopped"));
  }

  status(): SinkStatus {
    return { state: this.#state, recordsSent: this.#recordsSent, retries: this.#retries };
  }

  async #drain(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#state = "idle";
      const batch = await this.#source.next(signal);
      this.#number += 1;
      const { timers } = this.#options;
      const [begun, retries] = [timers.now(), this.#retries];
      await this.#send(batch);
      const tries = 1 + this.#retries - retries;
      await this.#source.acknowledged(batch, { ms: timers.now() - begun, tries });
      this.#recordsSent += batch.records.length;
    }
  }

  /** The same batch under the same number, until it is acknowledged. */
  async #send(batch: FrozenBatch): Promise<void> {
    const { producer, door, link, timers } = this.#options;
    const { signal } = this.#stopping;
    const number = this.#number;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let late: Timer | undefined;
    const request = () => {
      link.request(() => door.produce(producer, number, batch, () => link.answer(resolve)));
      late = timers.setTimeout(() => {
        this.#retries += 1;
        this.#state = "waiting";
        request();
      }, ANSWER_MS);
    };
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#state = "sending";
    request();
    await promise.finally(() => {
      timers.clear(late);
      signal.removeEventListener("abort", onAbort);
    });
  }
}
