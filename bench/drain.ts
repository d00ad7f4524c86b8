/**
 * How fast a backlog leaves the buffer: into the embedded log, and into a real Kafka beside a bare client, which sends
 * batches that lie ready in memory through the same sink, with no buffer behind it. Alternating rounds of one run. Also
 * what the buffer takes on the disk before and after: whether released space returns.
 *
 *   npm run bench -- drain [readings] [rounds]
 *
 * Kafka is KAFKA_BROKERS' first, or one that is started from Maven Central's jars.
 */
import { cpSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { runLoad } from "./load.ts";
import type { PeerGatewayOptions, PeerGatewayReport } from "./peer-gateway.ts";
import type { PeerClientResult } from "./peer-kafka-client.ts";
import { ask, bytesBelow, memoryMiB, startPeer, stopPeer, withDirectory } from "./processes.ts";
import { median, ratios, table, verdict } from "./report.ts";

const READINGS = Number(process.argv[2] ?? 300_000);
const ROUNDS = Number(process.argv[3] ?? 3);
/** How long the buffer may take to give space back after the last release. */
const SETTLE_MS = 5000;

interface Drained {
  readonly perSecond: number;
  readonly rssMiB: number;
  readonly diskBefore: number;
  readonly diskAfter: number;
}

/** A data directory with the backlog, made by the gateway itself. */
async function fill(directory: string): Promise<void> {
  const gateway = await startPeer("tidegate", "peer-gateway.ts", directory);
  await runLoad({
    ...{ port: gateway.port, connections: 50, window: 20, payloadBytes: 120 },
    ...{ warmUpMs: 0, measureMs: 0, messages: READINGS },
  });
  await stopPeer(gateway, "SIGTERM");
}

/** A gateway on a copy of the backlog, with a log: from the first release that is seen to the last. */
async function drain(backlog: string, into: PeerGatewayOptions): Promise<Drained> {
  return await withDirectory(async (directory) => {
    cpSync(backlog, directory, { recursive: true });
    const diskBefore = bytesBelow(directory);
    const gateway = await startPeer("tidegate", "peer-gateway.ts", directory, JSON.stringify(into));
    try {
      let first: PeerGatewayReport | undefined;
      let last = await ask<PeerGatewayReport>(gateway, "report");
      const { accepted } = last;
      while (last.released < accepted) {
        if (last.released > 0) first ??= last;
        await pause(5);
        last = await ask<PeerGatewayReport>(gateway, "report");
      }
      if (!first) throw new Error("drained before anybody could look: take more readings");
      const seconds = (last.at - first.at) / 1000;
      const rssMiB = memoryMiB(gateway.pid, "VmHWM");
      await pause(SETTLE_MS);
      const perSecond = (last.released - first.released) / seconds;
      return { perSecond, rssMiB, diskBefore, diskAfter: bytesBelow(directory) };
    } finally {
      await stopPeer(gateway);
    }
  });
}

/** The same batches from memory, in a process that has nothing else to do. */
async function bareClient(broker: string): Promise<number> {
  const peer = await startPeer("client", "peer-kafka-client.ts", broker, String(READINGS));
  const { perSecond } = await ask<PeerClientResult>(peer, "send");
  await stopPeer(peer);
  return perSecond;
}

const jars = process.env.KAFKA_BROKERS ? undefined : await kafkaJars();
const kafka = jars?.available ? new KafkaBroker() : undefined;
await kafka?.start();
const broker = kafka ? kafka.address : process.env.KAFKA_BROKERS?.split(",")[0];

const embedded: Drained[] = [];
const intoKafka: Drained[] = [];
const bare: number[] = [];
try {
  await withDirectory(async (backlog) => {
    await fill(backlog);
    for (let i = 0; i < ROUNDS; i += 1) {
      await withDirectory(async (log) => embedded.push(await drain(backlog, { embedded: log })));
      if (broker === undefined) continue;
      bare.push(await bareClient(broker));
      intoKafka.push(await drain(backlog, { broker }));
    }
  });
} finally {
  await kafka?.stop();
}

console.log(
  `a backlog of ${READINGS.toLocaleString("en")} readings of 120 B in batches as the gateway sends them; ${ROUNDS} rounds in turn; medians\n`,
);
const row = (into: string, drained: readonly Drained[]) => ({
  into,
  "readings/s": median(drained.map((d) => d.perSecond)),
  "most MiB": median(drained.map((d) => d.rssMiB)),
  "buffer on disk before, MiB": median(drained.map((d) => d.diskBefore)) / 1024 ** 2,
  [`${SETTLE_MS / 1000} s after`]: median(drained.map((d) => d.diskAfter)) / 1024 ** 2,
});
const none = {
  "most MiB": "",
  "buffer on disk before, MiB": "",
  [`${SETTLE_MS / 1000} s after`]: "",
};
console.log(
  table([
    row("embedded log", embedded),
    ...(bare.length === 0
      ? []
      : [
          row("Apache Kafka", intoKafka),
          { into: "Apache Kafka, bare client", "readings/s": median(bare), ...none },
        ]),
  ]),
);
console.log();
const perSecond = (drained: readonly Drained[]) => drained.map((d) => d.perSecond);
console.log(
  verdict("into the embedded log, readings/s", median(perSecond(embedded)), "at least", 100_000),
);
if (bare.length > 0) {
  const shares = ratios(perSecond(intoKafka), bare);
  const share = median(shares);
  console.log(`  rounds, Kafka / bare: ${shares.map((one) => one.toFixed(2)).join(", ")}`);
  console.log(verdict("into Kafka / bare client, medians of the rounds", share, "at least", 0.8));
} else
  console.log(`  no Kafka: ${jars && !jars.available ? jars.reason : "KAFKA_BROKERS is empty"}`);
