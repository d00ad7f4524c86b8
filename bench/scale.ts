/**
 * What a fleet costs behind its gateways: the real programs `cloud` and `dashboard` over topics that 10, 1,000 and 100,000 gateways have
 * left, six numbers in a reading. Processor time for a reading of each program and of the broker, memory, what each topic keeps,
 * and how long the pages' questions take. The figures of docs/scale.md.
 *
 *   npm run bench -- scale [readings] [gateways, only of one size]
 *
 * One broker, one of each program. Readings come a minute apart, so each is one update of each of its windows: nothing coalesces.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import { loadProgram } from "../cli/programs.ts";
import { cloudTopicSpecs, cloudTopologies } from "../cloud/topics.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { FrozenBatch } from "../stream/port.ts";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { Program } from "../test/program.ts";
import { bytesBelow, cpuMicros, memoryMiB, withDirectory } from "./processes.ts";
import { table } from "./report.ts";
import { type Fleet, fillFleet } from "./scale-fill.ts";

const READINGS = Number(process.argv[2] ?? 300_000);
const ONLY = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
/** Batches of one reading, for what a request costs the broker. */
const REQUESTS = 10_000;
const SENDERS = 50;
const FLEETS: readonly Pick<Fleet, "gateways" | "devices">[] = [
  { gateways: 10, devices: 20 },
  { gateways: 1000, devices: 10 },
  { gateways: 100_000, devices: 1 },
];
const METRICS = 6;
const POLL_MS = 250;
const QUESTIONS = ["/gateways", "/devices?limit=50", "/devices?limit=50&search=9999", "/ledger"];
const ASKED = 3;

const jars = await kafkaJars();
if (!jars.available) {
  console.log(`  no Kafka: ${jars.reason}`);
  process.exit(0);
}

interface Kept {
  readonly topic: string;
  readonly records: number;
  readonly bytes: number;
}

async function keptOf(log: KafkaEventLog, folder: string, topics: readonly string[]) {
  const data = join(folder, "data");
  const kept: Kept[] = [];
  for (const topic of topics) {
    const ranges = await log.ranges(topic);
    const records = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    const files = ranges.flatMap(({ partition }) => {
      const own = join(data, `${topic}-${partition}`);
      return readdirSync(own).map((name) => join(own, name));
    });
    const segments = files.filter((file) => file.endsWith(".log"));
    const bytes = segments.reduce((sum, file) => sum + statSync(file).size, 0);
    kept.push({ topic, records, bytes });
  }
  return kept;
}

async function through(log: KafkaEventLog, namespace: string): Promise<void> {
  const settings = loadProgram("cloud", undefined, new Map());
  for (const topology of cloudTopologies(namespace, settings, [])) {
    while ((await log.behind(topology)) > 0) await pause(POLL_MS);
  }
}

async function questions(url: URL): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const question of QUESTIONS) {
    const times: number[] = [];
    let bytes = 0;
    for (let i = 0; i < ASKED; i += 1) {
      const begun = performance.now();
      const answer = await fetch(new URL(`/api/v1${question}`, url));
      bytes = (await answer.arrayBuffer()).byteLength;
      times.push(performance.now() - begun);
    }
    const [, middle = 0] = times.sort((a, b) => a - b);
    answers[question] = `${Math.round(middle)} ms, ${(bytes / 1e6).toFixed(2)} MB`;
  }
  return answers;
}

/** Devices and journals that the dashboard knows of. */
async function known(url: URL): Promise<number> {
  const devices = await fetch(new URL("/api/v1/devices?limit=1", url));
  const ledger = await fetch(new URL("/api/v1/ledger", url));
  const { total } = (await devices.json()) as { total: number };
  const { items } = (await ledger.json()) as { items: unknown[] };
  return total + items.length;
}

/** What a request with one reading costs the broker, and what one that is fetched by nobody. */
async function requests(): Promise<void> {
  const kafka = new KafkaBroker();
  await kafka.start();
  const logger = pino({ level: "silent" });
  const log = new KafkaEventLog({ brokers: [kafka.address], clientId: "bench", logger });
  try {
    await log.start();
    await log.createTopics([{ name: "requests", partitions: 6, cleanup: "delete" }]);
    const brokerPid = Number(readFileSync(join(kafka.folder ?? "", "pid"), "utf8"));
    const send = async (sender: number, count: number) => {
      const key = `gw-${sender}`;
      const batch: FrozenBatch = {
        topic: "requests",
        key,
        records: [{ key, headers: {}, value: Buffer.alloc(380, key) }],
      };
      const done = Promise.withResolvers<void>();
      let left = count;
      const sink = log.sink({
        next: async (signal) => {
          left -= 1;
          if (left >= 0) return { ...batch };
          done.resolve();
          return await new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
        },
        acknowledged: async () => {},
      });
      await sink.start();
      await done.promise;
      await sink.stop();
    };
    const all = (count: number) =>
      Promise.all(Array.from({ length: SENDERS }, (_, sender) => send(sender, count / SENDERS)));
    // Until Java has compiled what it takes.
    await all(REQUESTS);
    const before = cpuMicros(brokerPid);
    await all(REQUESTS);
    const each = (cpuMicros(brokerPid) - before) / REQUESTS;
    console.log(`broker, CPU µs a request with one reading: ${Math.round(each)}`);
  } finally {
    await log.stop();
    await kafka.stop();
  }
}

async function measure(fleet: Fleet): Promise<void> {
  await withDirectory(async (directory) => {
    const kafka = new KafkaBroker();
    await kafka.start();
    const folder = kafka.folder ?? "";
    const brokerPid = Number(readFileSync(join(folder, "pid"), "utf8"));
    const brokerMicros = () => cpuMicros(brokerPid);
    const logger = pino({ level: "silent" });
    const log = new KafkaEventLog({ brokers: [kafka.address], clientId: "bench", logger });
    const namespace = "scale";
    const settings = loadProgram("cloud", undefined, new Map());
    const specs = cloudTopicSpecs(namespace, settings.topics, settings);
    const { gateways, devices, readings } = fleet;
    const all = gateways * devices * readings;
    const series = gateways * devices * METRICS;
    const of = (micros: number) => micros / all;
    const programs: Program[] = [];
    const program = async (name: string, ...more: string[]) => {
      const args = [name, "--brokers", kafka.address, "--namespace", namespace, "--http-port", "0"];
      const own = new Program([...args, "--data-dir", join(directory, name), ...more]);
      programs.push(own);
      return await own.start();
    };
    try {
      await log.start();
      await log.createTopics(specs);
      await fillFleet(log, namespace, fleet);
      const before = brokerMicros();
      const begun = performance.now();
      const cloud = await program("cloud");
      await through(log, namespace);
      const seconds = (performance.now() - begun) / 1000;
      const cloudMicros = cpuMicros(cloud.pid);
      const cloudMiB = memoryMiB(cloud.pid, "VmHWM");
      const serving = brokerMicros() - before;
      const kept = await keptOf(
        log,
        folder,
        specs.map(({ name }) => name),
      );
      await cloud.stop();
      const stateBytes = bytesBelow(join(directory, "cloud"));
      const dashboard = await program("dashboard");
      const url = dashboard.address("Dashboard");
      const filled = performance.now();
      while ((await known(url)) < gateways * (devices + 1)) await pause(POLL_MS);
      const quiet = async () => {
        const used = cpuMicros(dashboard.pid);
        await pause(2000);
        return cpuMicros(dashboard.pid) - used < 400_000;
      };
      while (!(await quiet())) await pause(POLL_MS);
      const filledMicros = cpuMicros(dashboard.pid);
      console.log(
        `\n${gateways.toLocaleString("en")} gateways with ${devices} devices: ${series.toLocaleString("en")} series, ${all.toLocaleString("en")} readings; load ${loadavg()[0]?.toFixed(1)}\n`,
      );
      console.log(
        table([
          {
            "cloud, CPU µs a reading": of(cloudMicros),
            "s in all": seconds,
            "most MiB": cloudMiB,
            "state on disk, B a series": stateBytes / series,
            "broker, CPU µs a reading": of(serving),
            "dashboard, CPU µs a reading": of(filledMicros),
            "s to fill": (performance.now() - filled) / 1000,
            "its most MiB": memoryMiB(dashboard.pid, "VmHWM"),
            "its disk, B a reading": bytesBelow(join(directory, "dashboard")) / all,
          },
        ]),
      );
      const lines = kept
        .filter(({ records }) => records > 0)
        .map(({ topic, records, bytes }) => ({
          topic,
          records,
          "B a record": bytes / records,
          "B a reading": bytes / all,
          "B a series": bytes / series,
        }));
      console.log(`\n${table(lines)}`);
      console.log(`\n${table([await questions(url)])}`);
      console.log(`  afterwards ${Math.round(memoryMiB(dashboard.pid, "VmHWM"))} MiB`);
    } finally {
      for (const own of programs) await own.kill();
      await log.stop();
      await kafka.stop();
    }
  });
}

await requests();
for (const { gateways, devices } of FLEETS) {
  if (ONLY !== undefined && gateways !== ONLY) continue;
  const readings = Math.max(2, Math.round(READINGS / gateways / devices));
  await measure({ gateways, devices, readings });
}
