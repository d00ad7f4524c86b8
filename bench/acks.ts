/**
 * Durable PUBACKs a second, and the processor time of each, beside mosquitto and bare aedes that put nothing on the disk.
 * Alternating rounds of one run: what else the machine does hits all three.
 *
 *   npm run bench -- acks [rounds]
 *
 * Three kinds of load, each over 50 connections at QoS 1. At the top: a window of 20 messages on each connection, as fast
 * as acknowledgements come. In pieces: 25,000 messages/s, 20 of one connection in one piece, which leaves the machine
 * mostly idle. One by one: 10,000 messages/s, each message alone on its connection, as sensors send: there the system
 * calls of both brokers decide.
 */

import { type LoadResult, runLoad } from "./load.ts";
import {
  memoryMiB,
  mosquittoMissing,
  type Peer,
  startMosquitto,
  startPeer,
  stopPeer,
  withDirectory,
} from "./processes.ts";
import { median, ratios, table, verdict } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const COMMON = { connections: 50, window: 20, payloadBytes: 120, warmUpMs: 700, measureMs: 2500 };
const LOADS = {
  "top, sensor": COMMON,
  "top, padding": { ...COMMON, payload: "padding" },
  "25,000/s in pieces of 20": { ...COMMON, rate: 25_000, burst: 20 },
  "10,000/s one by one": { ...COMMON, rate: 10_000, burst: 1 },
} as const;
type LoadName = keyof typeof LOADS;
const NAMES = Object.keys(LOADS) as LoadName[];

interface Measured extends LoadResult {
  readonly rssMiB: number;
}
type Results = Record<LoadName, Measured[]>;

const empty = (): Results =>
  Object.fromEntries(NAMES.map((name) => [name, [] as Measured[]])) as Results;

async function measure(peer: Peer, into: Results): Promise<void> {
  try {
    for (const name of NAMES) {
      const result = await runLoad({ ...LOADS[name], port: peer.port, watch: peer.pid });
      into[name].push({ ...result, rssMiB: memoryMiB(peer.pid) });
    }
  } finally {
    await stopPeer(peer);
  }
}

const ceiling = await startPeer("nothing", "peer-null.ts");
const most = await runLoad({ ...COMMON, port: ceiling.port, watch: ceiling.pid });
await stopPeer(ceiling);
const missing = await mosquittoMissing();
if (missing) console.log(`without mosquitto: ${missing}\n`);

const brokers = [
  {
    label: "tidegate, fsynced before the PUBACK",
    results: empty(),
    start: (directory: string) => startPeer("tidegate", "peer-gateway.ts", directory),
  },
  { label: "mosquitto, nothing on disk", results: empty(), start: startMosquitto },
  {
    label: "bare aedes, nothing on disk",
    results: empty(),
    start: () => startPeer("aedes", "peer-bare-aedes.ts"),
  },
].filter(({ start }) => !missing || start !== startMosquitto);
for (let i = 0; i < ROUNDS; i += 1) {
  for (const { start, results } of brokers) {
    await withDirectory(async (directory) => measure(await start(directory), results));
  }
}

console.log(
  `${ROUNDS} rounds in turn, ${COMMON.connections} connections, window ${COMMON.window}, ${COMMON.payloadBytes} B of JSON (sensor: seven numbers; padding: one number and a text), QoS 1; medians`,
);
console.log(
  `The generator reaches ${Math.round(most.acksPerSecond).toLocaleString("en")} PUBACKs/s with a broker that only answers.\n`,
);
const rows = NAMES.flatMap((load) =>
  brokers.map(({ label, results }) => {
    const of = (field: keyof Measured) => median(results[load].map((r) => r[field]));
    return {
      load,
      broker: label,
      "PUBACKs/s": of("acksPerSecond"),
      "p50 ms": of("p50Ms"),
      "p99 ms": of("p99Ms"),
      "CPU µs each": of("cpuMicrosPerAck"),
      "broker's cores": of("watchedCores"),
      "generator's cores": of("generatorCores"),
      "RSS MiB": of("rssMiB"),
    };
  }),
);
console.log(table(rows));
const [ours, mosquitto] = [brokers[0], brokers.find(({ start }) => start === startMosquitto)];
if (ours && mosquitto) {
  console.log("\ntidegate / mosquitto, medians of the rounds' ratios");
  for (const load of NAMES) {
    const of = (field: keyof Measured) =>
      ratios(
        ours.results[load].map((r) => r[field]),
        mosquitto.results[load].map((r) => r[field]),
      );
    const rates = of("acksPerSecond");
    const cpu = of("cpuMicrosPerAck");
    if (load.startsWith("top")) {
      console.log(verdict(`${load}: PUBACKs/s`, median(rates), "at least", 1));
    }
    console.log(verdict(`${load}: CPU`, median(cpu), "at most", 1.2));
  }
}
