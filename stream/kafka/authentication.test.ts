/** A Kafka that asks who we are: SASL settings reach it, and a refusal is told as one. */
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KafkaBroker } from "../../test/kafka/kafka-broker.ts";
import { KafkaProxy } from "../../test/kafka/kafka-proxy.ts";
import { kafkaCanRun } from "../../test/kafka/shared-kafka.ts";
import { all, held, record, spec } from "../conformance/harness.ts";
import { batches, ScriptedSource } from "../conformance/sinks.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";

const canRun = await kafkaCanRun("the event log on a Kafka with authentication");

describe.skipIf(!canRun)("authentication", { timeout: 60_000 }, () => {
  const broker = new KafkaBroker({
    properties: {
      "listener.security.protocol.map":
        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:SASL_PLAINTEXT",
      "listener.name.proxied.sasl.enabled.mechanisms": "PLAIN",
      "listener.name.proxied.plain.sasl.jaas.config":
        'org.apache.kafka.common.security.plain.PlainLoginModule required user_gateway="secret";',
    },
  });
  let proxy: KafkaProxy;
  beforeAll(async () => {
    await broker.start();
    proxy = new KafkaProxy(broker.proxyPort, broker.proxiedPort);
    await proxy.start();
  }, 120_000);
  afterAll(async () => {
    await proxy?.stop();
    await broker.stop();
  });

  async function open(password: string): Promise<KafkaEventLog> {
    const log = new KafkaEventLog({
      brokers: [`127.0.0.1:${broker.proxyPort}`],
      clientId: "auth",
      logger: pino({ level: "silent" }),
      credentials: () => ({ sasl: { mechanism: "PLAIN", username: "gateway", password } }),
    });
    await log.start();
    return log;
  }

  test("with the right password everything goes", async () => {
    const log = await open("secret");
    await log.createTopics([spec("auth.in.v1")]);
    await log.append("auth.in.v1", [record("a", 1)]);
    proxy.cut();
    await log.append("auth.in.v1", [record("a", 2)]);
    expect((await all(log.read("auth.in.v1"))).map(held)).toEqual([1, 2]);
    await log.stop();
  });

  test("with the wrong one a call says so, and a sink waits for somebody to put it right", async () => {
    const log = await open("wrong");
    await expect(log.ranges("auth.in.v1")).rejects.toMatchObject({ code: "not_authorized" });
    const source = new ScriptedSource(batches("auth.in.v1", "gw-a", "e000000001", 1, 5));
    const sink = log.sink(source);
    await sink.start();
    await expect.poll(() => sink.status().lastError).toMatch(/does not let in user "gateway"/);
    expect(sink.status().state).toBe("waiting");
    await sink.stop(0);
    await log.stop();
  });
});
