/**
 * A network between us and Kafka that swallows answers: Kafka has written the batch or ended the transaction, we never
 * hear. The hazard is named in idempotent-producer.ts: what comes next must not be taken for what was sent before.
 */
import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { KafkaBroker } from "../../test/kafka/kafka-broker.ts";
import { KafkaProxy } from "../../test/kafka/kafka-proxy.ts";
import { kafkaCanRun } from "../../test/kafka/shared-kafka.ts";
import {
  all,
  Collector,
  counting,
  expectCountedOnce,
  held,
  record,
  spec,
} from "../conformance/harness.ts";
import { batches, numbersIn, ScriptedSource } from "../conformance/sinks.ts";
import type { Processor, StoredRecord } from "../port.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaLimits } from "./options.ts";

const canRun = await kafkaCanRun("the event log on a Kafka whose answers get lost");

describe.skipIf(!canRun)("answers that get lost", { timeout: 60_000 }, () => {
  const broker = new KafkaBroker();
  let proxy: KafkaProxy;
  const open = new Set<KafkaEventLog>();

  beforeAll(async () => {
    await broker.start();
    proxy = new KafkaProxy(broker.proxyPort, broker.proxiedPort);
    await proxy.start();
  }, 120_000);
  afterEach(async () => {
    for (const log of open) await log.stop();
    open.clear();
  });
  afterAll(async () => {
    await proxy?.stop();
    await broker.stop();
  });

  async function logThrough(
    address: string,
    limits: Partial<KafkaLimits> = {},
  ): Promise<KafkaEventLog> {
    const log = new KafkaEventLog({
      brokers: [address],
      clientId: "lost-answers",
      logger: pino({ level: "silent" }),
      limits: { commitRecords: 10, longestPauseMs: 200, ...limits },
    });
    open.add(log);
    await log.start();
    return log;
  }
  const proxied = (limits?: Partial<KafkaLimits>) =>
    logThrough(`127.0.0.1:${broker.proxyPort}`, limits);
  const direct = () => logThrough(broker.address);
  const name = () => `t${randomBytes(5).toString("hex")}`;

  test("a tail tells a Kafka that hangs from one that is quiet, long before a request runs out", async () => {
    const topic = `${name()}.events.v1`;
    const log = await proxied({ requestTimeoutMs: 8000 });
    await log.createTopics([spec(topic)]);
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([topic], { from: "start", onRecords: seen.add });
    await tail.start();
    await log.append(topic, [record("a", 1)]);
    await seen.reaches(1);
    expect(tail.status()).toEqual({ state: "following" });
    const before = Date.now();
    proxy.hang(true);
    try {
      await vi.waitFor(() => expect(tail.status().state).toBe("waiting"), { timeout: 6000 });
      // Of no fault yet: it is the silence that says so, and since when.
      expect(tail.status().lastError).toBeUndefined();
      expect(Math.abs((tail.status().since ?? 0) - before)).toBeLessThan(1500);
    } finally {
      proxy.hang(false);
    }
    await vi.waitFor(() => expect(tail.status()).toEqual({ state: "following" }), {
      timeout: 15_000,
    });
    await (await direct()).append(topic, [record("a", 2)]);
    await seen.reaches(2);
  });

  test("a sink's batches stand once each and in order, however many answers are lost", async () => {
    const topic = `${name()}.events.v1`;
    const log = await proxied();
    await log.createTopics([spec(topic, 2)]);
    const source = new ScriptedSource([]);
    const sink = log.sink(source);
    await sink.start();
    const dropped = proxy.dropped;
    for (let round = 1; round <= 6; round++) {
      // One lost answer, then several in a row for the same batch, while more wait behind it.
      proxy.dropAnswers("produce", round % 2 ? 1 : 4);
      source.push(...batches(topic, "gw-a", "e000000001", round * 5, 10).slice((round - 1) * 5));
      await source.acknowledgements.reaches(round * 5);
    }
    await sink.stop();
    expect(proxy.dropped - dropped).toBe(3 * 1 + 3 * 4);
    expect(source.faults).toEqual([]);
    expect(sink.status().retries).toBeGreaterThanOrEqual(15);
    const read = await numbersIn(await direct(), topic);
    expect(read).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  test("appends stand once each, and the next is no resend of the one before", async () => {
    const topic = `${name()}.events.v1`;
    const log = await proxied();
    await log.createTopics([spec(topic)]);
    for (let i = 0; i < 20; i++) {
      if (i % 3 === 1) proxy.dropAnswers("produce", 1);
      await log.append(topic, [record("a", i)]);
    }
    const read = (await all((await direct()).read(topic))).map(held);
    expect(read).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("an append that is given up does not swallow the one after it", async () => {
    const topic = `${name()}.events.v1`;
    const log = await proxied({ callDeadlineMs: 100, longestPauseMs: 20 });
    await log.createTopics([spec(topic)]);
    await log.append(topic, [record("a", 0)]);
    proxy.dropAnswers("produce", 1000);
    await expect(log.append(topic, [record("a", 1)])).rejects.toMatchObject({
      code: "unreachable",
    });
    proxy.dropAnswers("produce", 0);
    await log.append(topic, [record("a", 2)]);
    await log.append(topic, [record("a", 3)]);
    // The one given up was written, unheard; what was acknowledged is all there.
    expect((await all((await direct()).read(topic))).map(held)).toEqual([0, 1, 2, 3]);
  });

  /** Feeds a processor behind the proxy in rounds, each with a fault of its own, and holds what it put out against that. */
  async function processRounds(
    limits: Partial<KafkaLimits>,
    rounds: number,
    fault: (round: number) => void,
  ): Promise<Processor> {
    const space = name();
    const input = `${space}.in.v1`;
    const n = {
      name: `${space}-count`,
      inputs: [input],
      output: `${space}.out.v1`,
      changelog: `${space}.count-changelog.v1`,
    };
    const outside = await direct();
    await outside.createTopics([
      spec(input, 2),
      spec(n.output, 2),
      spec(n.changelog, 2, "compact"),
    ]);
    const log = await proxied(limits);
    const processor = log.process(counting(n));
    await processor.start();
    await processor.caughtUp();
    for (let round = 0; round < rounds; round++) {
      fault(round);
      await outside.append(
        input,
        Array.from({ length: 25 }, (_, i) => record(`key-${i % 7}`, round * 25 + i)),
      );
      await processor.caughtUp();
    }
    await expectCountedOnce(outside, n.inputs, n.output);
    expect(await all(outside.read(n.output))).toHaveLength(rounds * 25);
    return processor;
  }

  test("a processor gets over lost answers and cut connections within its commits", async () => {
    const apis = ["produce", "endTxn", "fetch"] as const;
    const processor = await processRounds({}, 12, (round) => {
      const api = apis[round % 4];
      if (api) proxy.dropAnswers(api, 2);
      else proxy.cut();
    });
    expect(processor.status()).toMatchObject({ state: "running", recordsProcessed: 300 });
  });

  test("a processor that has to give up a commit finds out whether it was one", async () => {
    // So short that a commit is given up after a few tries: written and aborted, or committed and unheard.
    const limits = { transactionTimeoutMs: 200, firstPauseMs: 20, longestPauseMs: 50 };
    const dropped = proxy.dropped;
    await processRounds(limits, 8, (round) => {
      proxy.dropAnswers(round % 2 ? "endTxn" : "produce", 9);
    });
    // The last of a round is not always needed.
    expect(proxy.dropped - dropped).toBeGreaterThanOrEqual(64);
  });

  test("a proxy that refuses for a while is a Kafka that is away", async () => {
    const topic = `${name()}.events.v1`;
    const log = await proxied();
    await log.createTopics([spec(topic)]);
    proxy.refuse(true);
    const source = new ScriptedSource(batches(topic, "gw-a", "e000000001", 4, 10));
    const sink = log.sink(source);
    await sink.start();
    await expect.poll(() => sink.status().state).toBe("waiting");
    proxy.refuse(false);
    await source.acknowledgements.reaches(4);
    expect(sink.status().lastError).toBeUndefined();
    expect(await numbersIn(log, topic)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });
});
