/**
 * Faults of single system calls, by strace on the running program. Only calls on the named files are touched: the
 * same calls serve sockets and wake threads. LevelDB's writes and the high-water mark's happen in threads, so all are
 * followed; strace counts `when` in each thread by itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Ground } from "./machine.ts";

/** The program makes thousands of such calls a second. */
const STRUCK_WITHIN_MS = 20_000;

export interface Injection {
  readonly calls: readonly string[];
  /** As strace has it: `error=EIO`, `delay_enter=200ms`, with `when=`. */
  readonly what: string;
  /** None: on any file. */
  readonly files: readonly string[];
}

export class Strace {
  readonly #log: string;
  #child: ChildProcess | undefined;

  constructor(ground: Ground) {
    this.#log = ground.path("strace");
    ground.defer(() => this.#child?.kill("SIGKILL"));
  }

  /** Resolves when it holds the process. */
  async attach(pid: number, injection: Injection): Promise<void> {
    const calls = injection.calls.join(",");
    const child = spawn(
      "strace",
      [
        ...["-f", "-p", `${pid}`, "-o", this.#log],
        ...injection.files.flatMap((file) => ["-P", file]),
        ...["-e", `trace=${calls}`, "-e", `inject=${calls}:${injection.what}`],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#child = child;
    let said = "";
    child.stderr?.on("data", (data) => {
      said += data;
    });
    while (!said.includes("attached")) {
      if (child.exitCode !== null) throw new Error(`strace ended: ${said}`);
      await Promise.race([once(child.stderr as NodeJS.EventEmitter, "data"), once(child, "close")]);
    }
  }

  /** Resolves when a call has failed or was held up; while a call is held up its line has only begun. */
  async struck(): Promise<void> {
    const deadline = performance.now() + STRUCK_WITHIN_MS;
    while (this.#count() === 0) {
      if (performance.now() > deadline) throw new Error("no call to strike was made");
      await pause(20);
    }
  }

  /** Lets the process go. @returns how many calls failed or were held up */
  async detach(): Promise<number> {
    const child = this.#child;
    this.#child = undefined;
    if (child && child.exitCode === null) {
      const closed = once(child, "close");
      child.kill("SIGINT");
      await closed;
    }
    return this.#count();
  }

  #count(): number {
    return readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => /\((INJECTED|DELAYED)[:)]/.test(line)).length;
  }
}

/** Files below the directory that the process has open. */
export function openFiles(pid: number, directory: string): string[] {
  const names: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const name = readlinkSync(join(`/proc/${pid}/fd`, fd));
      if (name.startsWith(`${directory}/`) && !name.endsWith(" (deleted)")) names.push(name);
    } catch {
      // It was closed meanwhile.
    }
  }
  return [...new Set(names)];
}
