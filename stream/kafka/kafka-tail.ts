/** Follows topics from a position on and hands over what is committed, in order, one call at a time. */
import {
  EventLogError,
  type PartitionRange,
  type StoredRecord,
  type Tail,
  type TailOptions,
  type TailStatus,
} from "../port.ts";
import { faultOf } from "./faults.ts";
import { Heard } from "./heard.ts";
import type { KafkaSettings } from "./options.ts";
import { PartitionReader } from "./partition-reader.ts";
import { Progress } from "./progress.ts";
import { recordsOf } from "./record-batch.ts";
import { closedError, Outage, orAborted } from "./retry.ts";
import { KafkaSession } from "./session.ts";

interface Run {
  readonly abort: AbortController;
  readonly session: KafkaSession;
  readonly progress: Progress;
  readonly heard: Heard;
  readonly ended: Promise<void>;
}

export class KafkaTail implements Tail {
  readonly #settings: KafkaSettings;
  readonly #topics: readonly string[];
  readonly #options: TailOptions;
  #run: Run | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(settings: KafkaSettings, topics: readonly string[], options: TailOptions) {
    this.#settings = settings;
    this.#topics = topics;
    this.#options = options;
  }

  /** Where Kafka answers, `from: "end"` is the end as it was before this resolved. */
  async start(): Promise<void> {
    if (this.#run) return;
    this.#failure = undefined;
    const abort = new AbortController();
    const session = new KafkaSession(this.#settings);
    const progress = new Progress();
    const heard = new Heard(this.#settings);
    const given = new Map(
      [...(this.#options.positions ?? [])].map(([topic, of]) => [topic, new Map(of)] as const),
    );
    const first = Promise.withResolvers<void>();
    const ended = this.#follow({ session, progress, heard }, given, abort.signal, first.resolve);
    this.#run = { abort, session, progress, heard, ended };
    await first.promise;
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    run.abort.abort();
    run.session.close();
    await run.ended;
    this.#run = undefined;
  }

  async caughtUp(signal?: AbortSignal): Promise<void> {
    const run = this.#run;
    if (!run) throw closedError("tail");
    const stopped = run.abort.signal;
    const either = signal ? AbortSignal.any([signal, stopped]) : stopped;
    const outage = new Outage(this.#settings, "a tail's end");
    let targets: readonly PartitionRange[] | undefined;
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      signal?.throwIfAborted();
      if (stopped.aborted) throw closedError("tail");
      if (targets) {
        const behind = targets.some(
          (one) => (run.progress.get(one.topic, one.partition) ?? -1) < one.end,
        );
        if (!behind) return;
        await run.progress.changed(undefined, either);
        continue;
      }
      try {
        targets = await orAborted(this.#ranges(run.session), either);
      } catch (error) {
        if (!either.aborted) await outage.pause(error, either);
      }
    }
  }

  status(): TailStatus {
    return this.#run?.heard.status() ?? { state: "following" };
  }

  #ranges(session: KafkaSession): Promise<readonly PartitionRange[]> {
    return session.use(this.#topics, async (connection) =>
      (await Promise.all(this.#topics.map((topic) => connection.ranges(topic)))).flat(),
    );
  }

  async #follow(
    { session, progress, heard }: Pick<Run, "session" | "progress" | "heard">,
    given: ReadonlyMap<string, ReadonlyMap<number, number>>,
    signal: AbortSignal,
    tried: () => void,
  ): Promise<void> {
    const outage = new Outage(this.#settings, `reading ${this.#topics.join(", ")}`);
    const reader = new PartitionReader(this.#settings, session);
    let partitions: readonly PartitionRange[] | undefined;
    while (!signal.aborted) {
      try {
        if (!partitions) {
          partitions = await this.#ranges(session);
          for (const one of partitions) {
            const begin = this.#options.from === "start" ? one.start : one.end;
            const at = given.get(one.topic)?.get(one.partition) ?? begin;
            progress.set(one.topic, one.partition, at);
          }
          tried();
        }
        const wanted = partitions.map(({ topic, partition }) => ({
          topic,
          partition,
          position: progress.get(topic, partition) ?? 0,
        }));
        const fetches = await reader.poll(wanted, signal);
        heard.answer();
        const current = fetches.filter(
          (one) => one.position === progress.get(one.topic, one.partition),
        );
        const records = current.flatMap((one) => recordsOf(one.batches));
        if (records.length > 0 && !(await this.#hand(records))) break;
        heard.asks();
        for (const one of current) progress.set(one.topic, one.partition, one.next);
        outage.over();
      } catch (error) {
        tried();
        heard.fault(faultOf(error).message);
        if (!signal.aborted) await outage.pause(error, signal);
      }
    }
    tried();
    session.close();
    progress.wake();
  }

  /** False where the reader threw: the tail ends. */
  async #hand(records: readonly StoredRecord[]): Promise<boolean> {
    try {
      await this.#options.onRecords(records);
      return true;
    } catch (error) {
      this.#failure = { error };
      const code = error instanceof EventLogError ? error.code : undefined;
      this.#settings.logger.error(
        { err: error, code, topics: this.#topics },
        "a reader of the event log failed; its tail has ended",
      );
      return false;
    }
  }
}
