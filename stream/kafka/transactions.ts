/**
 * Transactions of one partition of one topology, under a transactional id of its own: whoever calls `fence` last owns
 * the partition, and a commit of anybody before fails.
 *
 * Every request of a commit may be sent again without harm (Kafka knows it by producer id, epoch and sequence), so lost
 * answers and moved leaders are tried again here. When that does not help, commit throws with the outcome unknown, and
 * the owner fences again, which settles it, and reads what is committed.
 */
import assert from "node:assert/strict";
import type { CommitPart } from "./commit-records.ts";
import { faultOf } from "./faults.ts";
import { nextSequence } from "./idempotent-producer.ts";
import type { Broker } from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./options.ts";
import { sealBatch, sendingTime } from "./record-batch.ts";
import type { PackedRecords } from "./record-packer.ts";
import { produceRequest } from "./requests.ts";
import { pause, pauseMs } from "./retry.ts";
import type { Connection, KafkaSession } from "./session.ts";

/**
 * First and longest pause while the broker still writes the marks of the transaction before (CONCURRENT_TRANSACTIONS),
 * ms. It takes it a few milliseconds; kafkajs waits 300, which was most of a processor's latency.
 */
const MARKS_PAUSE_MS = 3;
const LONGEST_MARKS_PAUSE_MS = 50;

export interface CommitOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** A word for whoever asks for the offset; none without it. */
  readonly metadata?: string;
}

export interface Commit {
  readonly parts: readonly CommitPart[];
  readonly groupId: string;
  readonly offsets: readonly CommitOffset[];
}

interface Identity {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
}

export class PartitionTransactions {
  readonly #settings: KafkaSettings;
  readonly #session: KafkaSession;
  readonly #transactionalId: string;
  readonly #topics: readonly string[];
  readonly #sequences = new Map<string, number>();
  readonly #offsets = new Map<string, number>();
  #identity: Identity | undefined;
  /** A transaction is open between two calls. */
  #sent = false;

  /** @param topics all that will be written to */
  constructor(
    settings: KafkaSettings,
    session: KafkaSession,
    transactionalId: string,
    topics: readonly string[],
  ) {
    this.#settings = settings;
    this.#session = session;
    this.#topics = topics;
    this.#transactionalId = transactionalId;
  }

  /** From when this resolves on, nobody else's commit goes through, and what was open before is committed or aborted. */
  async fence(
    signal: AbortSignal,
    transactionTimeoutMs = this.#settings.limits.transactionTimeoutMs,
  ): Promise<void> {
    this.#sequences.clear();
    this.#identity = undefined;
    this.#sent = false;
    const transactionalId = this.#transactionalId;
    await this.#trying(signal, async (connection) => {
      const coordinator = await connection.coordinator("transaction", transactionalId);
      const { producerId, producerEpoch } = await coordinator.initProducerId({
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
      });
      this.#identity = { transactionalId, producerId, producerEpoch };
    });
  }

  /** All of it or nothing. @throws with the outcome unknown: fence again before anything else */
  async commit(commit: Commit, signal: AbortSignal): Promise<void> {
    const identity = this.#identity;
    assert(identity, "fence() comes before commit()");
    const coordinating = (work: (coordinator: Broker) => Promise<unknown>) =>
      this.#trying(signal, async (connection) => {
        await work(await connection.coordinator("transaction", identity.transactionalId));
      });
    try {
      await coordinating((coordinator) =>
        coordinator.addPartitionsToTxn({ ...identity, topics: partitionsOf(commit.parts) }),
      );
      await Promise.all([
        this.#produce(identity, commit.parts, signal),
        commit.offsets.length > 0 && this.#commitOffsets(identity, commit, coordinating, signal),
      ]);
      await coordinating((coordinator) =>
        coordinator.endTxn({ ...identity, transactionResult: true }),
      );
      this.#sent = false;
    } catch (error) {
      this.#identity = undefined;
      throw error;
    }
  }

  /** A part of what finish() commits: for what is more than memory should hold. @throws as commit() does */
  async send(parts: readonly CommitPart[], signal: AbortSignal): Promise<void> {
    const identity = this.#identity;
    assert(identity, "fence() comes before send()");
    this.#sent = true;
    await this.#trying(signal, async (connection) => {
      const coordinator = await connection.coordinator("transaction", identity.transactionalId);
      await coordinator.addPartitionsToTxn({ ...identity, topics: partitionsOf(parts) });
    });
    await this.#produce(identity, parts, signal);
  }

  /** Gives up what was sent and not committed. @returns false where commits need another fence() first */
  async abandon(signal: AbortSignal): Promise<boolean> {
    const identity = this.#identity;
    if (!identity || !this.#sent) return identity !== undefined;
    this.#sent = false;
    await this.#trying(signal, async (connection) => {
      const coordinator = await connection.coordinator("transaction", identity.transactionalId);
      await coordinator.endTxn({ ...identity, transactionResult: false });
    });
    return true;
  }

  /** Where the last record that was written to this partition stands; undefined where that is not known. */
  lastOffsetOf(topic: string, partition: number): number | undefined {
    return this.#offsets.get(`${topic}/${partition}`);
  }

  async #commitOffsets(
    identity: Identity,
    commit: Commit,
    coordinating: (work: (coordinator: Broker) => Promise<unknown>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { groupId } = commit;
    await coordinating((coordinator) => coordinator.addOffsetsToTxn({ ...identity, groupId }));
    const byTopic = [...Map.groupBy(commit.offsets, (one) => one.topic)];
    await this.#trying(signal, async (connection) => {
      const group = await connection.coordinator("group", groupId);
      await group.txnOffsetCommit({
        ...identity,
        groupId,
        topics: byTopic.map(([topic, of]) => ({
          topic,
          partitions: of.map(({ partition, offset, metadata = null }) => ({
            partition,
            offset: String(offset),
            metadata,
          })),
        })),
      });
    });
  }

  async #produce(
    identity: Identity,
    parts: readonly CommitPart[],
    signal: AbortSignal,
  ): Promise<void> {
    // A request takes one batch for each partition: what is more goes in rounds.
    for (let i = 0; ; i++) {
      const round = parts.flatMap(({ topic, partition, batches }) => {
        const packed = batches[i];
        return packed ? [{ topic, partition, packed }] : [];
      });
      if (round.length === 0) return;
      await this.#produceRound(identity, round, signal);
    }
  }

  async #produceRound(
    identity: Identity,
    round: readonly { topic: string; partition: number; packed: PackedRecords }[],
    signal: AbortSignal,
  ): Promise<void> {
    const { limits, now } = this.#settings;
    let left = round;
    await this.#trying(signal, async (connection) => {
      const leaders = Map.groupBy(left, (one) => connection.leaderId(one.topic, one.partition));
      await Promise.all(
        [...leaders].map(async ([leader, of]) => {
          const entries = of.map(({ topic, partition, packed }) => {
            const seal = {
              producerId: BigInt(identity.producerId),
              producerEpoch: identity.producerEpoch,
              sequence: this.#sequences.get(`${topic}/${partition}`) ?? 0,
              timestamp: sendingTime(now()),
              transactional: true,
            };
            return { topic, partition, batch: sealBatch(packed, seal) };
          });
          const { transactionalId } = identity;
          const request = produceRequest(entries, transactionalId, limits.requestTimeoutMs);
          const produced = await connection.send(leader, request);
          for (const one of produced) {
            const key = `${one.topic}/${one.partition}`;
            const sent = of.find(({ topic, partition }) => `${topic}/${partition}` === key);
            // A resend that the broker knows may be answered without an offset.
            if (one.baseOffset < 0) this.#offsets.delete(key);
            else this.#offsets.set(key, one.baseOffset + (sent?.packed.count ?? 1) - 1);
          }
          left = left.filter((one) => !of.includes(one));
          for (const { topic, partition, packed } of of) {
            const key = `${topic}/${partition}`;
            this.#sequences.set(key, nextSequence(this.#sequences.get(key) ?? 0, packed.count));
          }
        }),
      );
    });
  }

  /** Tries again what passes by itself, until half of the transaction's time is over: the rest is for the others. */
  async #trying(
    signal: AbortSignal,
    work: (connection: Connection) => Promise<void>,
  ): Promise<void> {
    const begun = performance.now();
    const { transactionTimeoutMs } = this.#settings.limits;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#session.use(this.#topics, work);
      } catch (error) {
        const { reaction, message } = faultOf(error);
        const concurrent = message.startsWith("CONCURRENT_TRANSACTIONS");
        const wait = concurrent
          ? Math.min(LONGEST_MARKS_PAUSE_MS, MARKS_PAUSE_MS * 1.5 ** (attempt - 1))
          : pauseMs(this.#settings, attempt);
        const late = performance.now() - begun + wait > transactionTimeoutMs / 2;
        const passing = ["retry", "refresh", "reconnect"].includes(reaction);
        if (!passing || late || signal.aborted) throw error;
        await pause(wait, signal);
      }
    }
  }
}

function partitionsOf(parts: readonly CommitPart[]): { topic: string; partitions: number[] }[] {
  return [...Map.groupBy(parts, (part) => part.topic)].map(([topic, of]) => ({
    topic,
    partitions: of.map((part) => part.partition),
  }));
}
