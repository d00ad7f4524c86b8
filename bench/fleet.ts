/**
 * Many real connections from one simulator process on one core, against one gateway on the other.
 *
 *   npm run bench -- fleet [rounds]
 *
 * Two fleets: 10,000 devices with a reading each 10 s, and 1,000 devices with 10 readings a second. Each runs as a scenario
 * (the devices of the tests in virtual time, with a ledger) and as the plain fleet of `tidegate simulate`. The gateway
 * fsyncs every reading and forwards to an embedded log. Both are pinned where `taskset` is there.
 *
 * Rates and processor time are those between the moment when every device was connected and shortly before the end, as the
 * gateway and the kernel count them. Latencies are the simulator's own, from the first connection on: they hold the start,
 * when 500 connections are made each second.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { FleetSummary } from "../simulator/fleet-progress.ts";
import { missingCommand } from "../test/debian.ts";
import { root } from "../test/program.ts";
import type { PeerGatewayReport } from "./peer-gateway.ts";
import {
  ask,
  cpuMicros,
  memoryMiB,
  type Peer,
  startPeerUnder,
  stopPeer,
  withDirectory,
} from "./processes.ts";
import { median, table, verdict } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 1);
const main = join(root, "dist", "cli", "main.js");
/** The gateway has work left of the moment when the last device came. */
const SETTLE_MS = 2000;
const MEASURE_MS = 30_000;
/** Of what was asked for; a device that lost its turn for a moment is not a fleet that falls behind. */
const ENOUGH = 0.99;

interface Load {
  readonly name: string;
  readonly devices: number;
  readonly everyMs: number;
}

const LOADS: readonly Load[] = [
  { name: "10,000 devices, each 10 s", devices: 10_000, everyMs: 10_000 },
  { name: "1,000 devices, 10 a second", devices: 1000, everyMs: 100 },
];
const WAYS = ["scenario, with ledger", "plain fleet"] as const;
type Way = (typeof WAYS)[number];

interface Measured {
  readonly connectSeconds: number;
  readonly readingsPerSecond: number;
  readonly simulatorCores: number;
  readonly gatewayCores: number;
  readonly simulatorMiB: number;
  readonly gatewayMiB: number;
  readonly summary: FleetSummary;
}

const pinned = (await missingCommand("taskset", "util-linux")) === undefined;
const onCore = (core: number) => (pinned ? ["taskset", "-c", String(core)] : []);

async function scenarioFile(directory: string, { devices, everyMs }: Load): Promise<string> {
  const file = join(directory, "fleet.yaml");
  const group = `{ kind: room, count: ${devices}, every: ${everyMs}ms }`;
  const lines = ["name: fleet", "duration: 1d", "gateways:", "  - name: site"];
  await writeFile(file, `${[...lines, `    devices: [${group}]`].join("\n")}\n`);
  return file;
}

async function flags(directory: string, load: Load, way: Way): Promise<string[]> {
  if (way === "plain fleet") {
    const rate = String(1000 / load.everyMs);
    return ["--devices", String(load.devices), "--rate", rate, "--reconnect", "0"];
  }
  const file = await scenarioFile(directory, load);
  return [file, "--ledger", join(directory, "ledger.ndjson")];
}

class Simulator {
  readonly child: ChildProcess;
  readonly pid: number;
  #said = "";
  #out = "";

  constructor(args: readonly string[]) {
    const [command = "", ...rest] = [...onCore(1), process.execPath, main, "simulate", ...args];
    this.child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
    this.pid = this.child.pid ?? 0;
    this.child.stderr?.on("data", (data) => {
      this.#said += data;
    });
    this.child.stdout?.on("data", (data) => {
      this.#out += data;
    });
  }

  async summary(): Promise<FleetSummary> {
    if (this.child.exitCode === null) await once(this.child, "close");
    if (this.#out === "") throw new Error(`the simulator ended: ${this.#said}`);
    return JSON.parse(this.#out) as FleetSummary;
  }
}

/** By the gateway's own count: the simulator prints a line only now and then. */
async function connected(gateway: Peer, devices: number): Promise<void> {
  for (;;) {
    const { clients } = await ask<PeerGatewayReport>(gateway, "report");
    if (clients >= devices) return;
    await pause(50);
  }
}

async function measure(load: Load, way: Way): Promise<Measured> {
  return await withDirectory(async (directory) => {
    const options = JSON.stringify({ embedded: join(directory, "log") });
    const data = join(directory, "data");
    const gateway = await startPeerUnder(onCore(0), "tidegate", "peer-gateway.ts", data, options);
    try {
      const begun = performance.now();
      const where = ["--mqtt-port", String(gateway.port), "--json"];
      const simulator = new Simulator([...(await flags(directory, load, way)), ...where]);
      const early = simulator.summary().then((summary) => {
        throw new Error(`ended before all devices were connected: ${JSON.stringify(summary)}`);
      });
      await Promise.race([connected(gateway, load.devices), early]);
      early.catch(() => undefined);
      const connectSeconds = (performance.now() - begun) / 1000;
      await pause(SETTLE_MS);
      const from = await look(gateway, simulator);
      await pause(MEASURE_MS);
      const to = await look(gateway, simulator);
      const seconds = (to.at - from.at) / 1000;
      const memory = {
        simulatorMiB: memoryMiB(simulator.pid),
        gatewayMiB: memoryMiB(gateway.pid),
      };
      simulator.child.kill("SIGINT");
      return {
        connectSeconds,
        readingsPerSecond: (to.readings - from.readings) / seconds,
        simulatorCores: (to.simulatorMicros - from.simulatorMicros) / 1e6 / seconds,
        gatewayCores: (to.gatewayMicros - from.gatewayMicros) / 1e6 / seconds,
        ...memory,
        summary: await simulator.summary(),
      };
    } finally {
      await stopPeer(gateway);
    }
  });
}

async function look(gateway: Peer, simulator: Simulator) {
  const { readings, at } = await ask<PeerGatewayReport>(gateway, "report");
  const gatewayMicros = cpuMicros(gateway.pid);
  return { readings, at, gatewayMicros, simulatorMicros: cpuMicros(simulator.pid) };
}

if (!existsSync(main)) {
  console.error("the build is missing: npm run build");
  process.exit(1);
}
console.log(
  `${ROUNDS} rounds, rooms of three metrics, QoS 1; ${pinned ? "gateway and simulator each on a core of its own" : "not pinned: taskset is missing"}; medians\n`,
);
const results = new Map<string, Measured[]>();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const load of LOADS) {
    for (const way of WAYS) {
      const key = `${load.name}: ${way}`;
      results.set(key, [...(results.get(key) ?? []), await measure(load, way)]);
    }
  }
}

const rows = [...results].map(([fleet, all]) => {
  const of = (value: (one: Measured) => number | undefined) =>
    median(all.map((one) => value(one) ?? Number.NaN));
  return {
    fleet,
    "all connected after s": of((one) => one.connectSeconds),
    "readings/s": of((one) => one.readingsPerSecond),
    "p50 ms": of((one) => one.summary.latencyP50Ms),
    "p99 ms": of((one) => one.summary.latencyP99Ms),
    "simulator late itself, p99 ms": of((one) => one.summary.latenessP99Ms),
    "simulator's cores": of((one) => one.simulatorCores),
    "gateway's cores": of((one) => one.gatewayCores),
    "simulator MiB": of((one) => one.simulatorMiB),
    "gateway MiB": of((one) => one.gatewayMiB),
    "not acknowledged": of((one) => one.summary.unacknowledged + one.summary.unsent),
    reconnects: of((one) => one.summary.reconnects),
  };
});
console.log(table(rows));
console.log();
for (const load of LOADS) {
  const asked = (load.devices * 1000) / load.everyMs;
  for (const way of WAYS) {
    const key = `${load.name}: ${way}`;
    const all = results.get(key) ?? [];
    const rate = median(all.map((one) => one.readingsPerSecond));
    console.log(verdict(`${key}, readings/s`, rate, "at least", ENOUGH * asked));
    const lost = Math.max(...all.map(({ summary }) => summary.unacknowledged + summary.unsent));
    console.log(verdict(`${key}, not acknowledged at the end`, lost, "at most", 0));
  }
}
