/**
 * Sends batches so that each stands in the log once and in order, however often it has to be sent.
 *
 * The broker tells a resend by producer id, partition and sequence. kafkajs counts the sequence back when a send fails
 * and gives it to whatever is sent next, so that a batch after a lost answer is taken for a resend of the one before and
 * acknowledged without being written. Here the sequence belongs to the batch: nothing else is sent until it is
 * acknowledged, and whoever gives it up gives up the producer id with it.
 */
import assert from "node:assert/strict";
import { EventLogError, type Sent } from "../port.ts";
import { faultOf } from "./faults.ts";
import type { KafkaSettings } from "./options.ts";
import type { Pace } from "./pace.ts";
import { NO_TIME, sealBatch, sendingTime } from "./record-batch.ts";
import { type BatchRecord, packSmall } from "./record-packer.ts";
import { produceRequest } from "./requests.ts";
import type { KafkaSession } from "./session.ts";

/** Kafka's sequences are 31 bits and begin again at 0. */
export function nextSequence(sequence: number, count: number): number {
  return (sequence + count) % 0x8000_0000;
}

export interface Destination {
  readonly topic: string;
  /** Of the topic's real partition count. */
  partition(count: number): number;
}

/** Called after each failed try; throws, or resolves to try the same batch again. */
export type OnFailure = (error: unknown) => Promise<void>;

export class IdempotentProducer {
  readonly #settings: KafkaSettings;
  readonly #session: KafkaSession;
  #identity: { readonly producerId: bigint; readonly producerEpoch: number } | undefined;
  readonly #sequences = new Map<string, number>();
  readonly #pace: Pace | undefined;
  #busy = false;

  /** @param pace what is sent, again too, is kept to it */
  constructor(settings: KafkaSettings, session: KafkaSession, pace?: Pace) {
    this.#settings = settings;
    this.#session = session;
    this.#pace = pace;
  }

  /**
   * Resolves when all in-sync replicas have the batch. One at a time.
   * @returns what it took, waits for the pace left out
   * @throws what `onFailure` throws
   */
  async send(
    destination: Destination,
    records: readonly BatchRecord[],
    onFailure: OnFailure,
  ): Promise<Sent> {
    assert(!this.#busy, "one batch in flight at a time");
    if (records.length === 0) return { ms: 0, tries: 1 };
    this.#busy = true;
    const { limits, now, moment } = this.#settings;
    const { topic } = destination;
    // Fixed at the first try: partitions added meanwhile must not send the same batch to another one.
    let partition: number | undefined;
    // A broker that takes no time as far from its own as ours gets none.
    let timed = true;
    try {
      const packed = await packSmall(records, limits.compressFromBytes);
      for (let tries = 1; ; tries++) {
        await this.#pace?.take(packed.bytes.length);
        const begun = moment();
        try {
          await this.#session.use([topic], async (connection) => {
            partition ??= destination.partition(connection.partitionCount(topic));
            const leader = connection.leaderId(topic, partition);
            const broker = await connection.broker(leader);
            this.#identity ??= await identify(broker);
            const key = `${topic}/${partition}`;
            const sequence = this.#sequences.get(key) ?? 0;
            const timestamp = timed ? sendingTime(now()) : NO_TIME;
            const seal = { ...this.#identity, sequence, timestamp, transactional: false };
            const batch = sealBatch(packed, seal);
            const entry = { topic, partition, batch };
            await connection.send(leader, produceRequest([entry], null, limits.requestTimeoutMs));
            this.#sequences.set(key, nextSequence(sequence, records.length));
          });
          return { ms: moment() - begun, tries };
        } catch (error) {
          const fault = faultOf(error);
          if (fault.reaction === "done" && partition !== undefined) {
            const key = `${topic}/${partition}`;
            const sequence = this.#sequences.get(key) ?? 0;
            this.#sequences.set(key, nextSequence(sequence, records.length));
            return { ms: moment() - begun, tries };
          }
          if (["renew", "fenced"].includes(fault.reaction)) this.#forget();
          if (fault.reaction === "untimed" && timed) {
            timed = false;
            continue;
          }
          await onFailure(error);
        }
      }
    } catch (error) {
      // Given up with its outcome unknown: the next batch must not go under the same sequence.
      this.#forget();
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  #forget(): void {
    this.#identity = undefined;
    this.#sequences.clear();
  }
}

async function identify(broker: {
  initProducerId(request: object): Promise<{ producerId: string; producerEpoch: number }>;
}): Promise<{ producerId: bigint; producerEpoch: number }> {
  const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 0 });
  return { producerId: BigInt(producerId), producerEpoch };
}

/** A batch that is refused as too large goes in halves, in order; one record alone cannot. @returns what all of it took */
export async function sendInParts(
  producer: IdempotentProducer,
  destination: Destination,
  records: readonly BatchRecord[],
  onFailure: OnFailure,
): Promise<Sent> {
  try {
    return await producer.send(destination, records, async (error) => {
      if (faultOf(error).reaction === "split") throw error;
      await onFailure(error);
    });
  } catch (error) {
    if (faultOf(error).reaction !== "split") throw error;
    if (records.length < 2) {
      throw new EventLogError(
        "invalid",
        `Kafka: a record for ${destination.topic} is larger than the broker takes (message.max.bytes)`,
        { cause: error },
      );
    }
    const half = Math.ceil(records.length / 2);
    const one = await sendInParts(producer, destination, records.slice(0, half), onFailure);
    const other = await sendInParts(producer, destination, records.slice(half), onFailure);
    return { ms: one.ms + other.ms, tries: Math.max(one.tries, other.tries) };
  }
}
