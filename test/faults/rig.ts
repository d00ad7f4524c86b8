/** One gateway under test: the real program on a data directory, devices that publish to it, and the oracle at the end. */
import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Program } from "../program.ts";
import { type JournalEvent, readJournal, readRollupCounts } from "./journal.ts";
import type { Ground } from "./machine.ts";
import { type Allowed, judge, judgeCounts, type Verdict } from "./oracle.ts";
import { Publisher, type SentReading } from "./publisher.ts";

/** `gateway`: the log is away, readings are kept. `start`: the embedded log is there. */
export const MODES = ["gateway", "start"] as const;
export type Mode = (typeof MODES)[number];

export interface RigOptions {
  readonly ground: Ground;
  readonly dataDir: string;
  readonly mode: Mode;
  readonly devices?: number;
  readonly window?: number;
  readonly rate?: number;
  /** Further settings, as environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Heartbeats would be losses that no device knows of. */
const SETTINGS = { TIDEGATE_HEARTBEAT_INTERVAL_MS: "86400000" };

/** What the gateway writes into its journal at a start: an epoch, a heartbeat, what it knows of the time. */
export const OWN_EVENTS_A_START = 4;

const DRAIN_MS = 60_000;
/** Without an acknowledgement for so long, under thousands a second, ms. */
const STILL_MS = 400;
const STILL_WITHIN_MS = 20_000;

export class Rig {
  readonly publisher: Publisher;
  readonly dataDir: string;
  readonly #options: RigOptions;
  #program: Program | undefined;
  starts = 0;

  constructor(options: RigOptions) {
    const { devices = 8, window = 40, rate = 3000 } = options;
    this.#options = options;
    this.dataDir = options.dataDir;
    this.publisher = new Publisher({ devices, window, rate });
    options.ground.defer(() => {
      this.publisher.stop();
      if (this.#program) endNow(this.#program);
    });
  }

  get program(): Program {
    if (!this.#program) throw new Error("the rig is not started");
    return this.#program;
  }

  /** Starts the program and aims the devices at it. */
  async start(): Promise<void> {
    this.#program = launchProgram(this.#options.mode, this.dataDir, this.#options.env);
    this.starts += 1;
    await ready(this.#program);
    this.publisher.aim(this.#program.mqttPort);
  }

  /** As a power cut ends it. */
  async kill(): Promise<void> {
    await this.program.kill();
    this.#keepWords();
  }

  /** As Ctrl-C ends it. */
  async stop(): Promise<void> {
    await this.program.stop();
    this.#keepWords();
  }

  #keepWords(): void {
    writeFileSync(this.#options.ground.path("stderr"), this.program.stderr);
  }

  async publishing(readings: number, withinMs?: number): Promise<void> {
    this.publisher.resume();
    try {
      await this.publisher.more(readings, withinMs);
    } catch (error) {
      throw this.#withOutput(error as Error);
    }
  }

  /** Everything acknowledged; no new readings. */
  async settle(withinMs?: number): Promise<void> {
    try {
      await this.publisher.settle(withinMs);
    } catch (error) {
      throw this.#withOutput(error as Error);
    }
  }

  /**
   * Until no reading was acknowledged for a while; those that were on their way may still come. Whether one was acknowledged
   * falsely is the oracle's to say. @param again done before each look
   */
  async standsStill(again: () => void = () => {}): Promise<void> {
    const deadline = performance.now() + STILL_WITHIN_MS;
    for (;;) {
      again();
      const before = this.publisher.acknowledged;
      await pause(STILL_MS);
      if (this.publisher.acknowledged === before) return;
      if (performance.now() > deadline) {
        const error = new Error(`readings are acknowledged for ${STILL_WITHIN_MS} ms`);
        throw this.#withOutput(error);
      }
    }
  }

  /** Is the process there, and does it answer? @throws Error with its last words */
  async answers(): Promise<Record<string, unknown>> {
    const { program } = this;
    if (!isRunning(program)) throw this.#withOutput(new Error("the program has ended"));
    const response = await fetch(program.address("Health"), { signal: AbortSignal.timeout(5000) });
    return (await response.json()) as Record<string, unknown>;
  }

  /** What the log of the running program holds, once the buffer is through. Only where it has a log. */
  async drained(): Promise<JournalEvent[]> {
    const base = this.program.address("Health");
    await bufferDrained(base);
    return await readJournal(base);
  }

  /** Ends the program as a power cut does, drains what it kept into the embedded log, and judges. */
  async judge(allowed: Allowed = {}): Promise<Verdict> {
    await this.kill();
    const sent = this.publisher.snapshot();
    this.publisher.stop();
    return await judgeDirectory(this.#options.ground, this.dataDir, sent, {
      overdeclared: (this.starts + 1) * OWN_EVENTS_A_START,
      ...allowed,
    });
  }

  #withOutput(error: Error): Error {
    error.message += `\n${tail(this.program.stderr)}`;
    return error;
  }
}

function tail(output: string): string {
  return output.trim().split("\n").slice(-15).join("\n");
}

function launchProgram(
  mode: Mode,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  const ports = ["--mqtt-port", "0", "--http-port", "0"];
  return new Program([mode, "--data-dir", dataDir, ...ports], {
    env: { ...SETTINGS, ...env },
  }).launch();
}

/** Waits until it has told its addresses. @throws Error where it takes too long or ends */
async function ready(program: Program): Promise<void> {
  const late = new AbortController();
  await Promise.race([
    program.outputMatches(/\n\n$/),
    pause(30_000, undefined, { signal: late.signal }).then(() => {
      throw new Error(`not started within 30 s:\n${tail(program.stderr)}`);
    }),
  ]).finally(() => late.abort());
}

function isRunning({ pid }: Program): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A stopped process takes no other signal but this one. */
function endNow(program: Program): void {
  try {
    if (program.pid > 0) process.kill(program.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Starts everything on the directory, waits until the buffer is through and holds the log against what was sent. */
export async function judgeDirectory(
  ground: Ground,
  dataDir: string,
  sent: readonly SentReading[],
  allowed: Allowed,
): Promise<Verdict> {
  const program = launchProgram("start", dataDir);
  ground.defer(() => endNow(program));
  try {
    await ready(program);
    const base = program.address("Health");
    await bufferDrained(base);
    const journal = await readJournal(base);
    const verdict = judge(sent, journal, allowed);
    const faults = [...verdict.faults];
    await until("rollups count each reading once", async () => {
      const wrong = judgeCounts(journal, await readRollupCounts(base));
      return wrong.length === 0 ? undefined : wrong;
    }).catch((error: Error) => faults.push(error.message));
    await until("the audit is through", async () => {
      const report = (await (await fetch(new URL("/api/v1/audit", base))).json()) as {
        readonly totals: { readonly onTheWay: number; readonly missing: number };
      };
      const { onTheWay, missing } = report.totals;
      return onTheWay === 0 && missing === 0 ? undefined : report.totals;
    }).catch((error: Error) => faults.push(error.message));
    return { ...verdict, faults };
  } catch (error) {
    (error as Error).message += `\n${tail(program.stderr)}`;
    throw error;
  } finally {
    await program.kill();
  }
}

async function bufferDrained(health: URL): Promise<void> {
  await until("the buffer is drained", async () => {
    const state = (await (await fetch(health)).json()) as { buffered_events?: number };
    return state.buffered_events === 0 ? undefined : state;
  });
}

/** Asks again and again. @param ask what is still wrong; undefined where nothing is */
async function until(what: string, ask: () => Promise<unknown>, ms = DRAIN_MS): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    const wrong = await ask();
    if (wrong === undefined) return;
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${ms} ms: ${JSON.stringify(wrong)}`);
    }
    await pause(50);
  }
}
