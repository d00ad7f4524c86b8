/**
 * Bytes on the wire for a reading of six numbers, from a gateway to a real Kafka: everything that TCP carries both ways, counted
 * by a proxy between the two. By the size of a batch beside kafkajs, which sends the same readings as JSON; under load with the
 * batches as the gateway itself chooses them; and a trickle of one reading a second.
 *
 *   npm run bench -- wire [readings] [seconds of the trickle]
 *
 * The trickle runs ten times as fast, with all of its intervals a tenth: the same batches, a tenth of the time.
 */
import { readdirSync, statSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { pino } from "pino";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import { KafkaBroker } from "../test/kafka/kafka-broker.ts";
import { kafkaJars } from "../test/kafka/kafka-jars.ts";
import { KafkaProxy } from "../test/kafka/kafka-proxy.ts";
import type { PeerGatewayOptions, PeerGatewayReport } from "./peer-gateway.ts";
import { ask, type Peer, startPeer, stopPeer, withDirectory } from "./processes.ts";
import { RecordedDevices } from "./recorded-devices.ts";
import { table, verdict } from "./report.ts";
import { totalOf, type Wire, WireCount } from "./wire-count.ts";

const READINGS = Number(process.argv[2] ?? 60_000);
const TRICKLE_SECONDS = Number(process.argv[3] ?? 600);
const TARGET = 30;
const DEVICES = 50;
const TOPIC = "bench.events.v1";
const JSON_TOPIC = "bench.json";
/** Of events in a batch; the last is what the gateway takes by itself. */
const SIZES = [1, 10, 50, 100, 500, 1000, 2000, undefined];
const RATES = [100, 1000, 10_000];
/** Each way: a broker beside the gateway, and one behind a mobile network. */
const DELAYS_MS = [0, 50];
const LIVE_SECONDS = 10;
const FASTER = 10;
const LINGERS_S = [0, 10, 60];
const NEVER_MS = 3_600_000;

const jars = await kafkaJars();
if (!jars.available) {
  console.log(`  no Kafka: ${jars.reason}`);
  process.exit(0);
}
const kafka = new KafkaBroker();
await kafka.start();
const proxy = new KafkaProxy(kafka.proxyPort, kafka.proxiedPort);
await proxy.start();
const count = new WireCount(proxy, [TOPIC, JSON_TOPIC]);
const broker = `127.0.0.1:${kafka.proxyPort}`;

const logger = pino({ level: "silent" });
const log = new KafkaEventLog({ brokers: [kafka.address], clientId: "bench", logger });
await log.start();
// One partition, as a journal has: what is spread over more goes in smaller batches.
await log.createTopics([{ name: JSON_TOPIC, partitions: 1, cleanup: "delete" }]);
await log.stop();

interface Counted extends Wire {
  readonly readings: number;
  /** What the topics of readings have grown by on the broker's disk. */
  readonly kept: number;
}

/** Bytes since the last call of what is kept of readings; a journal keeps its batches as they came. */
let keptBefore = 0;
function keptSince(): number {
  const data = join(kafka.folder ?? "", "data");
  const partitions = readdirSync(data).filter((name) =>
    [TOPIC, JSON_TOPIC].some((topic) => name.startsWith(`${topic}-`)),
  );
  const segments = partitions.flatMap((name) =>
    readdirSync(join(data, name))
      .filter((file) => file.endsWith(".log"))
      .map((file) => statSync(join(data, name, file)).size),
  );
  const now = segments.reduce((sum, bytes) => sum + bytes, 0);
  const since = now - keptBefore;
  keptBefore = now;
  return since;
}

/** A gateway with its devices; what it took from when the work began until the log has all. */
async function withGateway(
  options: PeerGatewayOptions,
  devices: number,
  work: (fleet: RecordedDevices, gateway: Peer) => Promise<number>,
): Promise<Counted> {
  return await withDirectory(async (directory) => {
    const json = JSON.stringify({ broker, ...options });
    const gateway = await startPeer("tidegate", "peer-gateway.ts", directory, json);
    const fleet = new RecordedDevices(devices);
    try {
      await fleet.start(gateway.port);
      restart();
      const readings = await work(fleet, gateway);
      await drained(gateway);
      return { ...count.take(), readings, kept: keptSince() };
    } finally {
      fleet.stop();
      await stopPeer(gateway);
    }
  });
}

function restart(): void {
  count.take();
  keptSince();
}

async function drained(gateway: Peer): Promise<void> {
  for (;;) {
    const { accepted, released } = await ask<PeerGatewayReport>(gateway, "report");
    if (accepted > 0 && released === accepted) return;
    await pause(20);
  }
}

/** Everything waits before the log can be reached. */
async function backlog(batchEvents: number | undefined, readings: number): Promise<Counted> {
  const own = batchEvents === undefined ? {} : { batchEvents };
  const still = { heartbeatIntervalMs: NEVER_MS, statusIntervalMs: NEVER_MS };
  proxy.refuse(true);
  return await withGateway({ ...own, ...still }, DEVICES, async (fleet) => {
    await fleet.send(readings);
    proxy.refuse(false);
    return readings;
  });
}

/** The same readings, as somebody sends them who has kafkajs and no gateway. */
async function asJson(batch: number, readings: number, gzip: boolean): Promise<Counted> {
  const client = new Kafka({ brokers: [broker], clientId: "json", logLevel: logLevel.NOTHING });
  const producer = client.producer();
  const fleet = new RecordedDevices(DEVICES);
  restart();
  try {
    await producer.connect();
    for (let sent = 0; sent < readings; sent += batch) {
      const messages = Array.from({ length: Math.min(batch, readings - sent) }, () => {
        const { device, json: payload } = fleet.next();
        const time = new Date().toISOString();
        return { key: device, value: JSON.stringify({ device, time, ...JSON.parse(payload) }) };
      });
      const compression = gzip ? CompressionTypes.GZIP : CompressionTypes.None;
      await producer.send({ topic: JSON_TOPIC, messages, compression });
    }
    return { ...count.take(), readings, kept: keptSince() };
  } finally {
    await producer.disconnect();
  }
}

/** Readings as they come, with heartbeats and states between them. */
async function live(perSecond: number, delayMs: number): Promise<Counted> {
  proxy.slow(delayMs);
  try {
    return await withGateway({}, DEVICES, async (fleet) => {
      // Until connections stand and batches have grown.
      await fleet.send(perSecond * 2, perSecond);
      restart();
      await fleet.send(perSecond * LIVE_SECONDS, perSecond);
      return perSecond * LIVE_SECONDS;
    });
  } finally {
    proxy.slow(0);
  }
}

/** One reading a second from one device, every interval a tenth of what it stands for. */
async function trickle(lingerSeconds: number): Promise<Counted> {
  const options = {
    lingerMs: (lingerSeconds * 1000) / FASTER,
    batchIntervalMs: 100 / FASTER,
    ...{ heartbeatIntervalMs: 10_000 / FASTER, statusIntervalMs: 5000 / FASTER },
  };
  return await withGateway(options, 1, async (fleet) => {
    await fleet.send(5 * FASTER, FASTER);
    restart();
    await fleet.send(TRICKLE_SECONDS, FASTER);
    return TRICKLE_SECONDS;
  });
}

const each = (counted: Counted) => totalOf(counted) / counted.readings;
/** What one reading costs, and of what it is made. */
function costs(counted: Counted) {
  const { readings, requests, there, back, status, rest, headers } = counted;
  const of = (bytes: number) => bytes / readings;
  return {
    "readings a batch": readings / requests,
    "bytes a reading": each(counted),
    "of these: batches": of(there),
    answers: of(back),
    "state of the gateway": of(status),
    else: of(rest),
    "computed: TCP/IP headers beside": of(headers),
    "kept on the broker's disk": of(counted.kept),
  };
}

const said = () => console.error(`  load ${loadavg()[0]?.toFixed(1)}`);
const sized = new Map<string, Counted>();
const underLoad = new Map<string, Counted>();
const trickles = new Map<string, Counted>();
try {
  for (const size of SIZES) {
    const readings = size === undefined ? READINGS : Math.min(READINGS, Math.max(300, size * 20));
    sized.set(size === undefined ? "as it chooses" : String(size), await backlog(size, readings));
    said();
    if (size === undefined) continue;
    sized.set(`${size}, JSON by kafkajs`, await asJson(size, readings, false));
    sized.set(`${size}, JSON by kafkajs, gzip`, await asJson(size, readings, true));
  }
  for (const delay of DELAYS_MS) {
    for (const rate of RATES) {
      const where = delay === 0 ? "near" : `${2 * delay} ms there and back`;
      underLoad.set(`${rate.toLocaleString("en")} readings/s, ${where}`, await live(rate, delay));
      said();
    }
  }
  for (const linger of LINGERS_S) {
    trickles.set(`forwarder.linger_ms ${linger * 1000}`, await trickle(linger));
    said();
  }
} finally {
  await proxy.stop();
  await kafka.stop();
}

const print = (title: string, all: ReadonlyMap<string, Counted>) => {
  const rows = [...all].map(([name, counted]) => ({ [title]: name, ...costs(counted) }));
  console.log(`\n${table(rows)}`);
};
print("a backlog, events in a batch", sized);
print("live, by rate and link", underLoad);
print("one reading a second", trickles);
console.log();
const own = sized.get("as it chooses") as Counted;
console.log(verdict("a backlog, bytes on the wire for a reading", each(own), "at most", TARGET));
for (const [name, counted] of underLoad) {
  if (counted.readings / LIVE_SECONDS < Math.max(...RATES)) continue;
  console.log(verdict(`${name}, bytes a reading`, each(counted), "at most", TARGET));
}
