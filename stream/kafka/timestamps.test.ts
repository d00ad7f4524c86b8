/** What stands as time of sending in records of a gateway whose clock is wrong, on a real Kafka, which deletes by it. */
import { randomBytes } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { sharedKafka } from "../../test/kafka/shared-kafka.ts";
import { all, record } from "../conformance/harness.ts";
import { batches, ScriptedSource } from "../conformance/sinks.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";

const brokers = await sharedKafka("records of a gateway whose clock is wrong");
const YEAR = 365 * 86_400_000;

describe.skipIf(!brokers)("a wrong clock", { timeout: 60_000 }, () => {
  const stops: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  async function timesOf(topic: string, now: number): Promise<number[]> {
    const logger = pino({ level: "silent" });
    const log = new KafkaEventLog({
      brokers: brokers ?? [],
      clientId: topic,
      logger,
      now: () => now,
    });
    stops.push(() => log.stop());
    await log.start();
    await log.createTopics([{ name: topic, partitions: 1, cleanup: "delete" }]);
    const source = new ScriptedSource(batches(topic, "k", "0000000001", 2, 1));
    const sink = log.sink(source);
    await sink.start();
    await source.acknowledgements.until((given) => given.length === 2);
    await sink.stop();
    await log.append(topic, [record("k", 3)]);
    return (await all(log.read(topic))).map((one) => one.timestamp);
  }

  /** A topic as somebody else makes it: with the sender's time. */
  async function withSendersTime(): Promise<string> {
    const topic = `times-${randomBytes(5).toString("hex")}`;
    const kafka = new Kafka({ brokers: [...(brokers ?? [])], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    stops.push(() => admin.disconnect());
    const configEntries = [{ name: "message.timestamp.type", value: "CreateTime" }];
    await admin.createTopics({
      waitForLeaders: true,
      topics: [{ topic, numPartitions: 1, configEntries }],
    });
    return topic;
  }

  test.each([
    ["ahead", 10 * YEAR],
    ["behind", -10 * YEAR],
  ])("years %s leaves the broker's time in a topic of ours", async (_, by) => {
    const topic = `times-${randomBytes(5).toString("hex")}`;
    const now = Date.now();
    const times = await timesOf(topic, now + by);
    expect(times).toHaveLength(3);
    for (const time of times) expect(Math.abs(time - now)).toBeLessThan(60_000);
  });

  test("years ahead, which the broker refuses on another topic, goes without a time", async () => {
    expect(await timesOf(await withSendersTime(), Date.now() + 10 * YEAR)).toEqual([-1, -1, -1]);
  });

  test("that was never set goes without a time: 1970 would be deleted at once", async () => {
    expect(await timesOf(await withSendersTime(), 5000)).toEqual([-1, -1, -1]);
  });
});
