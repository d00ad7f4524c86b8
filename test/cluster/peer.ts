/**
 * A process of the run that may be killed at any moment and started again: one of them lives at a time, and what is done to it is
 * done one thing after another, so that two faults that want the same one do not meet in the middle.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

/** How long it may take to say something that it has to say, ms: machines that run tests may be busy. */
const SAYS_DEADLINE_MS = 600_000;

export interface PeerOptions {
  readonly name: string;
  /** In this folder. */
  readonly script: string;
  readonly directory: string;
  /** What its life gets as its argument, as JSON. */
  argument(life: number): unknown;
  /** It has ended, and nobody has ended it. */
  onEnded(how: string): void;
}

interface Life {
  readonly child: ChildProcess;
  readonly said: Set<string>;
  readonly exited: Promise<unknown>;
  ended: boolean;
}

export class Peer {
  readonly name: string;
  readonly #options: PeerOptions;
  #life: Life | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  lives = 0;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Does something to it once what is being done to it is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** Resolves when it says that it is ready. */
  async start(): Promise<void> {
    this.#begin();
    await this.says("ready");
  }

  /** A life that is over after the time, whatever it has come to by then. */
  async startAndKill(afterMs: number): Promise<void> {
    this.#begin();
    await pause(afterMs);
    await this.end("SIGKILL");
  }

  #begin(): void {
    const { script, argument, directory, onEnded } = this.#options;
    mkdirSync(directory, { recursive: true });
    this.lives += 1;
    const errors = openSync(join(directory, "stderr"), "a");
    const path = join(import.meta.dirname, script);
    const child = spawn(process.execPath, [path, JSON.stringify(argument(this.lives))], {
      stdio: ["ignore", "pipe", errors, "ipc"],
    });
    const exited = once(child, "exit");
    const life: Life = { child, said: new Set(), exited, ended: false };
    this.#life = life;
    if (child.stdout) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        life.said.add(line);
        child.emit("said", line);
      });
    }
    child.once("exit", (code, signal) => {
      child.emit("said", "");
      if (life.ended) return;
      life.ended = true;
      onEnded(`${this.name} ended by itself (${signal ?? code}): see ${join(directory, "stderr")}`);
    });
  }

  /** Resolves when this life has said it. @throws Error where it ends, or takes too long */
  async says(word: string): Promise<void> {
    const life = this.#life;
    if (!life) throw new Error(`${this.name} is not there`);
    const late = AbortSignal.timeout(SAYS_DEADLINE_MS);
    while (!life.said.has(word)) {
      if (life.ended) throw new Error(`${this.name} ended without being ${word}`);
      await once(life.child, "said", { signal: late }).catch(() => {
        throw new Error(`${this.name} is not ${word} within ${SAYS_DEADLINE_MS} ms`);
      });
    }
  }

  send(message: string): void {
    this.#life?.child.send(message);
  }

  async ask<T>(question: string): Promise<T> {
    const child = this.#life?.child;
    if (!child) throw new Error(`${this.name} is not there`);
    const answer = once(child, "message", { signal: AbortSignal.timeout(SAYS_DEADLINE_MS) });
    child.send(question);
    return (await answer)[0] as T;
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#life?.child.kill(signal);
  }

  /** SIGKILL is a power cut's way, SIGTERM a service manager's. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const life = this.#life;
    if (!life) return;
    life.ended = true;
    life.child.kill(signal);
    await life.exited;
    this.#life = undefined;
  }
}
