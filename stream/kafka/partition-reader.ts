/**
 * Reads given partitions from given positions, without a consumer group (kafkajs knows no other way; see
 * kafkajs-internals.ts for what is leaned on instead).
 *
 * Each leader has one fetch under way at most, which the broker holds until there is something new; `poll` gives what
 * came first. So a new record is here a network's way after it was committed, and an idle leader holds up nobody.
 * Nothing uncommitted or aborted is ever given, and positions move on over it.
 */
import { faultOf, StaleLeaderFault } from "./faults.ts";
import { createErrorFromCode } from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./options.ts";
import { type RecordBatch, readRecordSet } from "./record-batch.ts";
import { type FetchEntry, type Fetched, fetchRequest } from "./requests.ts";
import { orAborted } from "./retry.ts";
import type { KafkaSession } from "./session.ts";

/**
 * A log that ends before our position was made anew, or is that of a broker that has lost the others and lacks what was written
 * since. Each time another broker is asked who leads: those that have not lost the others know it better.
 */
const BEYOND_END = 3;

export interface PartitionFetch {
  readonly topic: string;
  readonly partition: number;
  /** The position that was asked for: where it is not the caller's any more, the answer is of no use. */
  readonly position: number;
  readonly batches: readonly RecordBatch[];
  /** Where to go on. */
  readonly next: number;
  /** Next free offset of the log, open transactions counted in. */
  readonly end: number;
}

type Answer = { readonly fetches: readonly PartitionFetch[] } | { readonly error: unknown };

export class PartitionReader {
  readonly #settings: KafkaSettings;
  readonly #session: KafkaSession;
  readonly #underWay = new Map<string, Promise<Answer>>();
  /** By partition: how often in a row its log was said to end before our position. */
  readonly #beyondEnd = new Map<string, number>();

  constructor(settings: KafkaSettings, session: KafkaSession) {
    this.#settings = settings;
    this.#session = session;
  }

  /**
   * What came first of the wanted; after `waitMs` with nothing new, an answer with ends and without records.
   * @throws what Kafka said (faults.ts); positions are the caller's and stay
   */
  async poll(
    wanted: readonly FetchEntry[],
    signal: AbortSignal,
    waitMs = this.#settings.limits.fetchWaitMs,
  ): Promise<readonly PartitionFetch[]> {
    const topics = [...new Set(wanted.map((one) => one.topic))];
    await this.#session.use(topics, async (connection) => {
      const leaders = Map.groupBy(wanted, (one) => connection.leaderId(one.topic, one.partition));
      for (const [leader, entries] of leaders) {
        if (this.#underWay.has(leader)) continue;
        this.#underWay.set(leader, this.#fetch(topics, leader, entries, waitMs));
      }
    });
    const first = Promise.race(
      [...this.#underWay].map(async ([leader, answer]) => {
        return [leader, await answer] as const;
      }),
    );
    const [leader, answer] = await orAborted(first, signal);
    this.#underWay.delete(leader);
    if ("error" in answer) throw answer.error;
    return answer.fetches;
  }

  async #fetch(
    topics: readonly string[],
    leader: string,
    entries: readonly FetchEntry[],
    waitMs: number,
  ): Promise<Answer> {
    const { fetchBytes, fetchPartitionBytes } = this.#settings.limits;
    const limits = { waitMs, bytes: fetchBytes, partitionBytes: fetchPartitionBytes };
    try {
      const fetches = await this.#session.use(topics, async (connection) => {
        const fetched = await connection.send(leader, fetchRequest(entries, limits));
        const answers: PartitionFetch[] = [];
        for (const one of fetched) {
          const { topic, partition } = one;
          const asked = entries.find((e) => e.topic === topic && e.partition === partition);
          if (!asked) continue;
          if (one.errorCode !== 0) {
            answers.push(await this.#reposition(one, asked.position));
            continue;
          }
          this.#beyondEnd.delete(`${topic}/${partition}`);
          const set = readRecordSet(one.recordSet, topic, partition, asked.position, one.aborted);
          answers.push({ topic, partition, position: asked.position, end: one.end, ...set });
        }
        return answers;
      });
      return { fetches };
    } catch (error) {
      return { error };
    }
  }

  /** A position outside of the log, because retention has moved on or the topic was made anew: go on at its start. */
  async #reposition(fetched: Fetched, position: number): Promise<PartitionFetch> {
    const error = createErrorFromCode(fetched.errorCode);
    if (faultOf(error).reaction !== "reposition") throw error;
    const { topic, partition } = fetched;
    const range = await this.#session.use([topic], async (connection) =>
      (await connection.ranges(topic)).find((one) => one.partition === partition),
    );
    if (!range) throw error;
    const name = `${topic}/${partition}`;
    const times = (this.#beyondEnd.get(name) ?? 0) + 1;
    if (position > range.end && times < Math.max(BEYOND_END, this.#settings.brokers.length + 1)) {
      this.#beyondEnd.set(name, times);
      throw new StaleLeaderFault(topic, partition);
    }
    this.#beyondEnd.delete(name);
    this.#settings.logger.warn(
      { topic, partition, position, start: range.start, end: range.end },
      "Kafka no longer has what stood at this position; reading goes on at the first record kept",
    );
    return { topic, partition, position, batches: [], next: range.start, end: range.end };
  }
}
