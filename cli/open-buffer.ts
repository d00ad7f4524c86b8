/**
 * The buffer for commands that only look: the gateway that has it open, asked over HTTP, or a private copy of the store
 * when none runs.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { GatewayStatus, Stamp } from "../events/schema.ts";
import { type ExaminedBuffer, examineBuffer } from "../gateway/buffer/examine.ts";
import { BufferError } from "../gateway/buffer/port.ts";
import { CommandError } from "./errors.ts";
import { readRunFile } from "./run-file.ts";

/** What a running gateway says. */
export interface RunningBuffer {
  readonly http: string;
  readonly pid: number;
  /** Undefined where it could not open its buffer yet. */
  readonly status: GatewayStatus | undefined;
  /** Why readings are not taken now. */
  readonly unready: string | undefined;
}

export type OpenedBuffer =
  | { readonly kind: "running"; readonly running: RunningBuffer }
  | { readonly kind: "files"; readonly examined: ExaminedBuffer };

export function storeOf(dataDir: string): string {
  return join(dataDir, "buffer");
}

/** Losses that are found while looking are declared as of now; nobody but the reader of the output gets to see them. */
export function stampOfLook(): Stamp {
  const uptime = Math.round(process.uptime() * 1000);
  return { received: Date.now(), clock: "unsynced", boot: `look-${process.pid}`, uptime };
}

/** @throws CommandError where there is nothing to look at, or who has it open does not answer; BufferError */
export async function openBuffer(dataDir: string): Promise<OpenedBuffer> {
  let examined: ExaminedBuffer | undefined;
  try {
    examined = await examineBuffer(storeOf(dataDir), stampOfLook);
  } catch (error) {
    if (!(error instanceof BufferError) || error.code !== "in_use") throw error;
    return { kind: "running", running: await ask(dataDir) };
  }
  if (!examined) throw new CommandError(nothingIn(dataDir));
  return { kind: "files", examined };
}

async function ask(dataDir: string): Promise<RunningBuffer> {
  const run = readRunFile(dataDir);
  if (!run) {
    throw new CommandError(
      `a gateway has the buffer in ${dataDir} open, and nothing says where it answers; it may be starting or stopping: try again, or stop it first`,
    );
  }
  const get = async (path: string) => {
    try {
      return await fetch(`${run.http}${path}`, { signal: AbortSignal.timeout(5000) });
    } catch (error) {
      throw new CommandError(
        `a gateway has the buffer in ${dataDir} open and does not answer on ${run.http} (${(error as Error).message})`,
        1,
        { cause: error },
      );
    }
  };
  const status = await get("/api/v1/gateway");
  const ready = await get("/health/ready");
  const { reason } = (await ready.json()) as { readonly reason?: string };
  return {
    ...run,
    status: status.ok ? ((await status.json()) as GatewayStatus) : undefined,
    unready: ready.ok ? undefined : (reason ?? "it is not ready"),
  };
}

function nothingIn(dataDir: string): string {
  const demo = join("demo", "buffer");
  const hint = existsSync(join(dataDir, demo))
    ? `; the demo's is in ${dataDir.replace(/\/+$/, "")}/demo`
    : "";
  return `there is no buffer in ${dataDir}${hint}: name the gateway's directory with --data-dir`;
}
