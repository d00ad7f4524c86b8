/**
 * PUBACKs a second after fsync, beside bare aedes that syncs nothing, in alternating rounds of one run.
 *
 *   npm run bench -- acks [rounds]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LoadResult, runLoad } from "./load.ts";
import { median, table } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const LOAD = { connections: 50, window: 20, payloadBytes: 120, warmUpMs: 500, measureMs: 3000 };

interface Round extends LoadResult {
  readonly cpuMicrosPerAck: number;
  readonly rssMiB: number;
}

function start(script: string, ...args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (data) => resolve({ child, port: Number(String(data)) }));
    child.once("exit", (code) => reject(new Error(`${script} ended with ${code}`)));
  });
}

/** User and system time of a process so far, in microseconds, from the kernel's own account. */
function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function rssMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

async function round(script: string, ...args: string[]): Promise<Round> {
  const { child, port } = await start(script, ...args);
  const pid = child.pid ?? 0;
  try {
    const before = cpuMicros(pid);
    const result = await runLoad({ port, ...LOAD });
    const micros = cpuMicros(pid) - before;
    const seconds = (LOAD.warmUpMs + LOAD.measureMs) / 1000;
    return {
      ...result,
      cpuMicrosPerAck: micros / (result.acksPerSecond * seconds),
      rssMiB: rssMiB(pid),
    };
  } finally {
    child.kill("SIGKILL");
  }
}

const bare: Round[] = [];
const durable: Round[] = [];
for (let i = 0; i < ROUNDS; i += 1) {
  bare.push(await round("peer-bare-aedes.ts"));
  const directory = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
  durable.push(await round("peer-gateway.ts", directory));
  await rm(directory, { recursive: true });
}

const row = (broker: string, rounds: readonly Round[]) => ({
  broker,
  "PUBACKs/s": median(rounds.map((r) => r.acksPerSecond)),
  "p50 ms": median(rounds.map((r) => r.p50Ms)),
  "p99 ms": median(rounds.map((r) => r.p99Ms)),
  "CPU µs each": median(rounds.map((r) => r.cpuMicrosPerAck)),
  "RSS MiB": median(rounds.map((r) => r.rssMiB)),
});
console.log(
  `${ROUNDS} rounds in turn, ${LOAD.connections} connections, window ${LOAD.window}, ${LOAD.payloadBytes} B, QoS 1; medians\n`,
);
console.log(
  table([
    row("bare aedes, nothing on disk", bare),
    row("tidegate, fsynced before the PUBACK", durable),
  ]),
);
const ratio = median(
  durable.map((r, i) => r.acksPerSecond / (bare[i]?.acksPerSecond ?? Number.NaN)),
);
console.log(`\nratio, round by round: ${ratio.toFixed(2)}`);
