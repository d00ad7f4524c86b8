/**
 * Publishers for the benches, in a process of their own (bench/load-process.ts) whose processor time is told, so that
 * anybody can see that they were not what was measured.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { cpuMicros } from "./processes.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Unacknowledged messages on one connection: each acknowledgement lets the next message go. */
  readonly window: number;
  /** What a sensor would send, several numbers; or one number and padding. Both of about `payloadBytes`. */
  readonly payload?: "sensor" | "padding";
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Messages a second over all connections, sent when they are due whatever was acknowledged; `window` is not used. */
  readonly rate?: number;
  /** With a rate: messages that one connection sends in one piece. */
  readonly burst?: number;
  /** Ends once so many were acknowledged, from the first one on; the two times are not used. */
  readonly messages?: number;
  /** The broker is going to be killed: that ends the load without a word, and without a result. */
  readonly untilClosed?: true;
  /** A process whose processor time over the measured time is wanted. */
  readonly watch?: number;
}

export interface LoadResult {
  readonly acks: number;
  readonly seconds: number;
  readonly acksPerSecond: number;
  /** From writing a message to having read its acknowledgement. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** With a rate: the same from when the message was due, so that a generator that comes late counts too. */
  readonly dueP99Ms: number;
  /** Processors that the generator itself used: 1 is one core all the time. */
  readonly generatorCores: number;
  /** Processors that the watched process used. */
  readonly watchedCores: number;
  /** Of the watched process, for each acknowledgement. */
  readonly cpuMicrosPerAck: number;
}

/** What the process sends to its parent. */
export type LoadMessage =
  | { readonly kind: "measuring" }
  | { readonly kind: "measured" }
  | {
      readonly kind: "result";
      readonly result: Omit<LoadResult, "watchedCores" | "cpuMicrosPerAck">;
    };

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const script = join(import.meta.dirname, "load-process.ts");
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const cpu = () => (options.watch === undefined ? Number.NaN : cpuMicros(options.watch));
  let before = Number.NaN;
  let micros = Number.NaN;
  return await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the load generator ended with ${code}`)));
    child.on("message", (message: LoadMessage) => {
      if (message.kind === "measuring") before = cpu();
      else if (message.kind === "measured") micros = cpu() - before;
      else {
        const { result } = message;
        const watchedCores = micros / 1e6 / result.seconds;
        resolve({ ...result, watchedCores, cpuMicrosPerAck: micros / result.acks });
      }
    });
  });
}
