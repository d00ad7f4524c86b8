/**
 * `run.json` in the data directory: where the process that has it open answers. The embedded log and the buffer can be
 * open in one process only, so the others ask that one over HTTP.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Part } from "./lifetime.ts";

export interface RunFile {
  readonly pid: number;
  /** Base address, `http://127.0.0.1:8080`. */
  readonly http: string;
  /** `gateway`: it has a buffer and no event log. Absent: everything. */
  readonly program?: "gateway";
}

/** As it is in the file. */
interface KeptRunFile extends RunFile {
  /** Tells the process from a later one with its number; absent where the system does not say. */
  readonly begun?: string;
}

/** Says where the process answers while it runs. Where the disk takes no file, only commands beside it cannot find it. */
export function runFilePart(dataDir: string, run: () => RunFile, logger: Logger): Part {
  return {
    start: async () => {
      try {
        writeRunFile(dataDir, run());
      } catch (error) {
        logger.warn(
          { reason: (error as Error).message },
          "run.json cannot be written: tail, audit and buffer will not find this process",
        );
      }
    },
    stop: async () => removeRunFile(dataDir),
  };
}

export function writeRunFile(dataDir: string, run: RunFile): void {
  const begun = begunOf(run.pid);
  const kept: KeptRunFile = { ...run, ...(begun === undefined ? {} : { begun }) };
  writeFileSync(join(dataDir, "run.json"), `${JSON.stringify(kept)}\n`);
}

export function removeRunFile(dataDir: string): void {
  rmSync(join(dataDir, "run.json"), { force: true });
}

/** @returns the process that runs on the data directory, if its file is there and the process is alive */
export function readRunFile(dataDir: string): RunFile | undefined {
  try {
    const text = readFileSync(join(dataDir, "run.json"), "utf8");
    const { begun, ...run } = JSON.parse(text) as KeptRunFile;
    if (!Number.isInteger(run.pid) || typeof run.http !== "string") return undefined;
    process.kill(run.pid, 0);
    // After a restart of the machine, or of a container, the number is soon somebody else's.
    if (begun !== undefined && begun !== begunOf(run.pid)) return undefined;
    return run;
  } catch {
    // No file, a broken one, or one that a killed process left behind: nobody runs.
    return undefined;
  }
}

/** Which boot of the machine a process began in, and when in it. Source: proc_pid_stat(5), field 22. */
function begunOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets, which may hold anything.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? undefined : `${boot} ${ticks}`;
  } catch {
    return undefined;
  }
}
