/**
 * A million readings wait because the log is away: the memory of the real program, and how long it takes from its start
 * until it accepts MQTT, after a stop and after kill -9.
 *
 *   npm run bench -- memory [readings]
 *
 * Filled in two ways: as fast as it goes, and one reading in each commit, the worst case for whatever is kept for each
 * commit. A million commits one by one take an hour on a slow disk, so that filling is done in memory (/dev/shm) where
 * there is one; the disk is no part of what is measured there, and the times of start say where the files lay.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { root } from "../test/program.ts";
import { runLoad } from "./load.ts";
import { accepting, freePort, memoryMiB, withDirectory } from "./processes.ts";
import { table, verdict } from "./report.ts";

const READINGS = Number(process.argv[2] ?? 1_000_000);
const SHARED_MEMORY = "/dev/shm";
/** Between the last acknowledgement and the look at the memory: what is given back by itself is. */
const SETTLE_MS = 3000;
const MEMORY_TARGET_MIB = (160 * 1000 ** 2) / 1024 ** 2;
const START_TARGET_MS = 2000;

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
  /** From the start of the process to the first CONNACK. */
  readonly startMs: number;
}

/** The built program as its command starts it, with a log that nobody answers for and room for what waits. */
async function startGateway(directory: string): Promise<Started> {
  const port = await freePort();
  const args = [
    join(root, "bin", "tidegate.mjs"),
    ...["gateway", "--brokers", "127.0.0.1:1", "--data-dir", directory],
    ...["--mqtt-port", String(port), "--http-port", "0"],
  ];
  const env = { ...process.env, TIDEGATE_BUFFER_CAPACITY_BYTES: String(16 * 1024 ** 3) };
  const begun = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  let said = "";
  child.stderr?.on("data", (data) => {
    said = `${said}${data}`.slice(-2000);
  });
  child.once("exit", (code) => {
    if (code) console.error(`the gateway ended with ${code}: ${said}`);
  });
  await accepting(port, child);
  return { child, pid: child.pid ?? 0, port, startMs: performance.now() - begun };
}

async function end({ child }: Started, signal: NodeJS.Signals): Promise<void> {
  const closed = once(child, "exit");
  child.kill(signal);
  await closed;
}

interface Fill {
  readonly name: string;
  readonly connections: number;
  readonly window: number;
  readonly parent: string;
}

interface Measured {
  readonly fill: string;
  readonly readingsPerSecond: number;
  readonly rssMiB: number;
  readonly mostMiB: number;
  readonly restartedMiB: number;
  readonly startMs: number;
  readonly startAfterKillMs: number;
}

async function measure(fill: Fill): Promise<Measured> {
  return await withDirectory(async (directory) => {
    const filling = await startGateway(directory);
    const { connections, window } = fill;
    const load = { port: filling.port, payloadBytes: 120, warmUpMs: 0, measureMs: 0 };
    const filled = await runLoad({ ...load, connections, window, messages: READINGS });
    await pause(SETTLE_MS);
    const rssMiB = memoryMiB(filling.pid);
    const mostMiB = memoryMiB(filling.pid, "VmHWM");
    await end(filling, "SIGTERM");
    const stopped = await startGateway(directory);
    await pause(SETTLE_MS);
    const restartedMiB = memoryMiB(stopped.pid);
    // Killed in the middle of writing.
    const writing = runLoad({
      ...load,
      port: stopped.port,
      connections: 20,
      window: 20,
      messages: Number.MAX_SAFE_INTEGER,
      untilClosed: true,
    });
    const cut = writing.catch(() => {});
    await pause(500);
    await end(stopped, "SIGKILL");
    await cut;
    const killed = await startGateway(directory);
    await end(killed, "SIGTERM");
    return {
      fill: fill.name,
      readingsPerSecond: filled.acksPerSecond,
      rssMiB,
      mostMiB,
      restartedMiB,
      startMs: stopped.startMs,
      startAfterKillMs: killed.startMs,
    };
  }, fill.parent);
}

const none = await withDirectory(async (directory) => {
  const gateway = await startGateway(directory);
  await pause(SETTLE_MS);
  const rssMiB = memoryMiB(gateway.pid);
  await end(gateway, "SIGTERM");
  return { startMs: gateway.startMs, rssMiB };
});
const results = [
  await measure({ name: "at full speed", connections: 50, window: 20, parent: tmpdir() }),
  await measure({
    name: "one reading in each commit",
    connections: 1,
    window: 1,
    parent: existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(),
  }),
];

console.log(`${READINGS.toLocaleString("en")} readings of 120 B wait; the log is away\n`);
console.log(
  table([
    {
      filled: "not at all",
      "filled at, readings/s": "",
      "RSS MiB": none.rssMiB,
      "most MiB": "",
      "RSS after a restart, MiB": "",
      "start ms": none.startMs,
      "start after kill -9, ms": "",
    },
    ...results.map((r) => ({
      filled: r.fill,
      "filled at, readings/s": r.readingsPerSecond,
      "RSS MiB": r.rssMiB,
      "most MiB": r.mostMiB,
      "RSS after a restart, MiB": r.restartedMiB,
      "start ms": r.startMs,
      "start after kill -9, ms": r.startAfterKillMs,
    })),
  ]),
);
console.log();
for (const r of results) {
  // 160 MB, stated in the table's unit.
  console.log(verdict(`RSS, filled ${r.fill}`, r.rssMiB, "at most", MEMORY_TARGET_MIB, "MiB"));
  console.log(verdict(`most, filled ${r.fill}`, r.mostMiB, "at most", MEMORY_TARGET_MIB, "MiB"));
  const slower = Math.max(r.startMs, r.startAfterKillMs);
  console.log(verdict(`start, filled ${r.fill}`, slower, "at most", START_TARGET_MS, "ms"));
}
