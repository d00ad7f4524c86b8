/**
 * Does ingest keep its rate while the log is away? PUBACKs a second of the real gateway program with Kafka running, with
 * it killed, and after it came back, round by round; and how fast the backlog drains then.
 *
 *   npm run bench -- log-away [rounds]
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { Program } from "../test/program.ts";
import { runLoad } from "./load.ts";
import { median, table } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 3);
// Far below saturation of two cores, where Kafka, gateway and load would fight for the same processor and the log
// being away would look like a gain.
const LOAD = { connections: 20, window: 2, payloadBytes: 120, warmUpMs: 1000, measureMs: 4000 };

const jars = await kafkaJars();
if (!jars.available) {
  console.error(`no Kafka: ${jars.reason}`);
  process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
const kafka = new KafkaBroker();
await kafka.start();
const gateway = await new Program([
  ...["gateway", "--brokers", kafka.address, "--data-dir", directory],
  ...["--mqtt-port", "0", "--http-port", "0"],
]).start();

interface Ready {
  readonly buffered_events: number;
}
const backlog = async () =>
  ((await (await fetch(gateway.address("Health"))).json()) as Ready).buffered_events;
const acks = async () => (await runLoad({ port: gateway.mqttPort, ...LOAD })).acksPerSecond;

async function drained(): Promise<number> {
  const from = await backlog();
  const begun = performance.now();
  while ((await backlog()) > 10) await new Promise((resolve) => setTimeout(resolve, 20));
  return from / ((performance.now() - begun) / 1000);
}

const present: number[] = [];
const away: number[] = [];
const drains: number[] = [];
for (let i = 0; i < ROUNDS; i += 1) {
  await drained();
  present.push(await acks());
  await kafka.kill();
  away.push(await acks());
  await kafka.start();
  drains.push(await drained());
}
await gateway.stop();
await kafka.stop();
await rm(directory, { recursive: true });

console.log(
  `${ROUNDS} rounds in turn, ${LOAD.connections} connections, window ${LOAD.window}; medians\n`,
);
console.log(
  table([
    { Kafka: "running", "PUBACKs/s": median(present) },
    { Kafka: "killed", "PUBACKs/s": median(away) },
  ]),
);
const ratios = away.map((rate, i) => rate / (present[i] ?? Number.NaN));
console.log(
  `\nratio away to present, round by round: ${ratios.map((r) => r.toFixed(2)).join(", ")}`,
);
console.log(
  `backlog drained at ${Math.round(median(drains)).toLocaleString("en")} readings/s, from Kafka's start on`,
);
