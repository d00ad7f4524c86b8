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
  writeFileSync(join(dataDir, "run.json"), `${JSON.stringify(run)}\n`);
}

export function removeRunFile(dataDir: string): void {
  rmSync(join(dataDir, "run.json"), { force: true });
}

/** @returns the process that runs on the data directory, if its file is there and the process is alive */
export function readRunFile(dataDir: string): RunFile | undefined {
  try {
    const run = JSON.parse(readFileSync(join(dataDir, "run.json"), "utf8")) as RunFile;
    if (!Number.isInteger(run.pid) || typeof run.http !== "string") return undefined;
    process.kill(run.pid, 0);
    return run;
  } catch {
    // No file, a broken one, or one that a killed process left behind: nobody runs.
    return undefined;
  }
}
