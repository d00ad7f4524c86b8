/**
 * How fast a backlog leaves the buffer: into the embedded log, and into a real Kafka (KAFKA_BROKERS, or one that is
 * started from Maven Central's jars). Also the memory with that backlog, and how long the buffer takes to open with it.
 *
 *   npm run bench -- drain [readings]
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { encodeEvent } from "../events/codec.ts";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import { LevelBuffer } from "../gateway/buffer/leveldb.ts";
import type { NewEvent } from "../gateway/buffer/port.ts";
import { Forwarder } from "../gateway/forwarder/forwarder.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog } from "../stream/port.ts";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { table } from "./report.ts";

const READINGS = Number(process.argv[2] ?? 300_000);
const GROUP = 500;
const logger = pino({ level: "silent" });

function reading(i: number): NewEvent {
  const time = Date.now();
  const value = encodeEvent("tidegate.reading", {
    received: time,
    clock: "synced",
    boot: "6f2d1c80-0b4e-4b7e-9a43-1e7f3b1d2c3a",
    uptime: i,
    device: `device-${i % 200}`,
    metrics: { temperature: 20 + (i % 100) / 10, humidity: 40 + (i % 30), battery: 3.1 },
  });
  return { type: "tidegate.reading", time, value };
}

function openBuffer(directory: string): LevelBuffer {
  return new LevelBuffer({
    directory,
    createIfMissing: true,
    makeEpoch: () => makeEpoch(new Uint8Array(10)),
    stamp: () => ({ received: 1, clock: "synced", boot: "bench", uptime: 1 }),
    capacityBytes: Number.MAX_SAFE_INTEGER,
    policy: "refuse",
    freeFloorBytes: 0,
    commitWindowMs: 0,
    logger,
  });
}

async function drain(name: string, log: EventLog): Promise<Record<string, string | number>> {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
  const filling = openBuffer(directory);
  await filling.start();
  for (let i = 0; i < READINGS; i += GROUP) {
    await filling.append(Array.from({ length: GROUP }, (_, j) => reading(i + j)));
  }
  await filling.stop();

  const opening = performance.now();
  const buffer = openBuffer(directory);
  await buffer.start();
  const openMs = performance.now() - opening;
  const rssMiB = process.memoryUsage.rss() / 1024 ** 2;

  const topic = `bench-${process.pid}.events.v1`;
  await log.start();
  await log.createTopics([{ name: topic, partitions: 6, cleanup: "delete" }]);
  const { accepted } = buffer.stats();
  const forwarder = new Forwarder({
    buffer,
    log,
    journal: { gateway: "gw-bench" as GatewayId, topic },
    batchEvents: 1000,
    batchBytes: 512 * 1024,
    logger,
  });
  const begun = performance.now();
  await forwarder.start();
  while (buffer.stats().released < accepted) await new Promise((resolve) => setTimeout(resolve, 5));
  const seconds = (performance.now() - begun) / 1000;
  await forwarder.stop(1000);
  await log.stop();
  await buffer.stop();
  await rm(directory, { recursive: true });
  return {
    into: name,
    "readings/s": accepted / seconds,
    "open with the backlog, ms": openMs,
    "RSS with the backlog, MiB": rssMiB,
  };
}

const rows = [];
const directory = mkdtempSync(join(tmpdir(), "tidegate-bench-log-"));
rows.push(await drain("embedded log", new EmbeddedEventLog({ directory, logger })));
await rm(directory, { recursive: true });
const jars = process.env.KAFKA_BROKERS ? undefined : await kafkaJars();
if (jars && !jars.available) console.error(`no Kafka: ${jars.reason}`);
else {
  const broker = jars ? new KafkaBroker() : undefined;
  await broker?.start();
  const brokers = broker ? [broker.address] : (process.env.KAFKA_BROKERS ?? "").split(",");
  rows.push(await drain("Apache Kafka", new KafkaEventLog({ brokers, clientId: "bench", logger })));
  await broker?.stop();
}
console.log(
  `a backlog of ${READINGS.toLocaleString("en")} readings of 3 metrics, batches of 1000\n`,
);
console.log(table(rows));
