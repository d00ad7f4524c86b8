/**
 * The real `tidegate` program as a child process: started from the build, spoken to over its ports, killed as a power
 * cut would.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

export const root: string = dirname(import.meta.dirname);
const main = join(root, "dist", "cli", "main.js");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function launch(args: readonly string[], options: RunOptions): ChildProcess {
  if (!existsSync(main)) throw new Error("the build is missing: npm run build");
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEGATE_"));
  return spawn(process.execPath, ["--enable-source-maps", main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(inherited), ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  });
}

/** Runs a command to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = launch(args, options);
  const output = collect(child);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: output.stdout, stderr: output.stderr };
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdout?.on("data", (data) => {
    output.stdout += data;
  });
  child.stderr?.on("data", (data) => {
    output.stderr += data;
  });
  return output;
}

/** A program that runs until it is stopped. */
export class Program {
  readonly #args: readonly string[];
  readonly #options: RunOptions;
  #child: ChildProcess | undefined;
  #output = { stdout: "", stderr: "" };

  constructor(args: readonly string[], options: RunOptions = {}) {
    this.#args = args;
    this.#options = options;
  }

  /** Resolves when it has printed its addresses. @throws Error with its output where it ends before */
  async start(): Promise<this> {
    this.launch();
    await this.outputMatches(/\n\n$/);
    return this;
  }

  /** Starts it without waiting for anything. */
  launch(): this {
    const child = launch(this.#args, this.#options);
    this.#child = child;
    this.#output = collect(child);
    return this;
  }

  /** Resolves with the match once standard output has it. */
  async outputMatches(pattern: RegExp): Promise<RegExpExecArray> {
    const child = this.#child;
    if (!child?.stdout) throw new Error("not started");
    for (;;) {
      const found = pattern.exec(this.#output.stdout);
      if (found) return found;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`ended with ${child.exitCode ?? child.signalCode}: ${this.#output.stderr}`);
      }
      await Promise.race([once(child.stdout, "data"), once(child, "close")]);
    }
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The address that it printed after a name: `MQTT  mqtt://…`. */
  address(name: string): URL {
    const found = new RegExp(`^\\s*${name}\\s+(\\S+)$`, "m").exec(this.#output.stdout)?.[1];
    if (!found) throw new Error(`no ${name} in:\n${this.#output.stdout}`);
    return new URL(found);
  }

  get mqttPort(): number {
    return Number(this.address("MQTT").port);
  }

  /** Ends it as Ctrl-C would. @returns its exit code */
  async stop(): Promise<number | null> {
    return await this.#end("SIGINT");
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const closed = once(child, "close");
    child.kill(signal);
    await closed;
    return child.exitCode;
  }
}
