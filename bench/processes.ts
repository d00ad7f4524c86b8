/**
 * Brokers under test as processes of their own, and what the kernel says that they used.
 *
 * Processor time is utime + stime of /proc/PID/stat, which is over all threads: LevelDB's background work and V8's
 * collector count.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { flagsOf } from "../bin/node-flags.mjs";
import { missingCommand } from "../test/debian.ts";

/** Ticks of /proc/PID/stat are hundredths of a second on every Linux that Node runs on. */
const MICROS_A_TICK = 10_000;

const FIRST_PORT = 20_000;
const PORTS = 10_000;

export interface Peer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
}

/** A script of this folder that prints its port once it listens, on a Node as the gateway's. */
export async function startPeer(name: string, script: string, ...args: string[]): Promise<Peer> {
  return await startPeerUnder([], name, script, ...args);
}

/** The same, started by another command that takes it as its arguments. */
export async function startPeerUnder(
  wrapper: readonly string[],
  name: string,
  script: string,
  ...args: string[]
): Promise<Peer> {
  const [command = "", ...rest] = [
    ...wrapper,
    ...[process.execPath, ...flagsOf("gateway"), join(import.meta.dirname, script), ...args],
  ];
  return await startProgram(name, command, ...rest);
}

/** The same on a Node as the cloud's. */
export async function startCloudPeer(
  name: string,
  script: string,
  ...args: string[]
): Promise<Peer> {
  const path = join(import.meta.dirname, script);
  return await startProgram(name, process.execPath, ...flagsOf("cloud"), path, ...args);
}

/** Any program that prints a number once it is ready. */
export async function startProgram(
  name: string,
  command: string,
  ...rest: string[]
): Promise<Peer> {
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout?.once("data", (data) => resolve(Number(String(data))));
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return { name, child, pid: child.pid ?? 0, port };
}

/** Asks a peer that answers messages (peer-gateway.ts) a question. */
export async function ask<T>(peer: Peer, question: string): Promise<T> {
  const answer = once(peer.child, "message");
  peer.child.send(question);
  return (await answer)[0] as T;
}

/** @param signal SIGTERM ends a gateway as a service manager would, SIGKILL as a power cut would */
export async function stopPeer(peer: Peer, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (peer.child.exitCode !== null || peer.child.signalCode !== null) return;
  const closed = once(peer.child, "exit");
  peer.child.kill(signal);
  await closed;
}

/** @returns why mosquitto cannot be measured, or undefined where it can */
export async function mosquittoMissing(): Promise<string | undefined> {
  return await missingCommand("mosquitto", "mosquitto");
}

/** mosquitto that keeps nothing on disk and limits nothing, on a port of its own. */
export async function startMosquitto(directory: string): Promise<Peer> {
  const port = await freePort();
  const file = join(directory, `mosquitto-${port}.conf`);
  const settings = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence false",
    "set_tcp_nodelay true",
    "max_queued_messages 0",
    "log_type none",
    // Started by root it would change to a user that may not read the file.
    ...(process.getuid?.() === 0 ? ["user root"] : []),
  ];
  await writeFile(file, `${settings.join("\n")}\n`);
  const child = spawn("mosquitto", ["-c", file], { stdio: "ignore" });
  const peer = { name: "mosquitto", child, pid: child.pid ?? 0, port };
  await accepting(port, child);
  return peer;
}

/**
 * Free now; taken a moment later only by bad luck. Below the ports that the kernel gives to clients: somebody who asks
 * a port there again and again whether it listens yet is connected to himself in the end, and has taken it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = createServer().listen(port, "127.0.0.1");
    const free = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Resolves at the first CONNACK on the port. */
export async function accepting(port: number, child: ChildProcess): Promise<void> {
  // CONNECT of MQTT 3.1.1, clean session, client id "b".
  const packet = Buffer.from("100d00044d51545404020000000162", "hex");
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the broker ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1", () => socket.write(packet));
    const answered = await new Promise<boolean>((resolve) => {
      socket.once("data", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("close", () => resolve(false));
    });
    socket.destroy();
    if (answered) return;
    await pause(2);
  }
}

export function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MICROS_A_TICK;
}

/** `VmRSS` is what it has now, `VmHWM` the most that it ever had. */
export function memoryMiB(pid: number, field: "VmRSS" | "VmHWM" = "VmRSS"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** Runs with a folder that is gone afterwards. */
export async function withDirectory<T>(
  body: (directory: string) => Promise<T>,
  parent: string = tmpdir(),
): Promise<T> {
  const directory = mkdtempSync(join(parent, "tidegate-bench-"));
  try {
    return await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Of all files in a folder and below. */
export function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // A store deletes files while it is looked at.
    bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
