/**
 * A rebuild as a program: on Kafka by itself; on the embedded log by the process that has it open, asked over HTTP, or by itself
 * where none runs. Progress on standard error, the summary on standard output. Ctrl-C gives it up and leaves nothing.
 */
import { readFileSync } from "node:fs";
import {
  isRebuildable,
  REBUILDABLE,
  type RebuildRequest,
  type RebuildSummary,
  rebuildCloud,
} from "../cloud/rebuild.ts";
import { loadRules } from "../rules/file.ts";
import { ProgressPrinter } from "../simulator/progress.ts";
import type { RebuildProgress } from "../stream/port.ts";
import { createEventLog } from "./connect-log.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { CommandError } from "./errors.ts";
import { createLogger } from "./logger.ts";
import { whyNoLog } from "./open-log.ts";
import type { ProgramSettings } from "./programs.ts";
import type { RebuildCommandOptions } from "./rebuild.ts";
import { rebuildOverHttp } from "./rebuild-over-http.ts";
import { rebuildRoom } from "./rebuild-room.ts";
import { Pace, progressLine, summaryText } from "./rebuild-text.core.ts";
import { readRunFile } from "./run-file.ts";

const GIVEN_UP = 130;

type Settings = ProgramSettings["tools"];

export async function runRebuild(
  what: string,
  settings: Settings,
  options: RebuildCommandOptions,
): Promise<void> {
  const request = requestOf(what, settings, options);
  const abort = new AbortController();
  const giveUp = () =>
    abort.abort(
      new CommandError("given up: partitions that were not switched are as they were", GIVEN_UP),
    );
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, giveUp);
  const printer = new ProgressPrinter(process.stderr);
  const pace = new Pace();
  const onProgress = (progress: RebuildProgress) =>
    printer.update(progressLine(progress, pace.at(progress, performance.now())));
  let summary: RebuildSummary;
  try {
    summary = await rebuilt(settings, request, abort.signal, onProgress);
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    printer.clear();
  }
  process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
}

function requestOf(
  what: string,
  settings: Settings,
  { from, last, dryRun = false, rules }: RebuildCommandOptions,
): RebuildRequest {
  if (!isRebuildable(what)) {
    throw new CommandError(`"${what}" cannot be rebuilt; what can is ${REBUILDABLE.join(" and ")}`);
  }
  if (from !== undefined && last !== undefined) {
    throw new CommandError("--from and --last say the same: give one of them");
  }
  if (what !== "alerts" && rules !== undefined) {
    throw new CommandError(`--rules is for alerts: ${what} go by no rules`);
  }
  const since = last === undefined ? from : Date.now() - last;
  if (since !== undefined && since > Date.now()) {
    throw new CommandError("--from is in the future: nothing was sent from then on");
  }
  const asked = { topology: what, dryRun, ...(since === undefined ? {} : { from: since }) };
  if (what !== "alerts") return asked;
  const file = settings.rules;
  if (file === undefined) {
    throw new CommandError("name the rules that are to hold from now on with --rules FILE");
  }
  // Every fault of the file is told here, with its line and column.
  loadRules(file);
  return { ...asked, rules: { text: readFileSync(file, "utf8"), file } };
}

async function rebuilt(
  settings: Settings,
  request: RebuildRequest,
  signal: AbortSignal,
  onProgress: (progress: RebuildProgress) => void,
): Promise<RebuildSummary> {
  const { data_dir: dataDir, namespace } = settings;
  const embedded = settings.kafka.brokers.length === 0;
  const running = embedded ? readRunFile(dataDir) : undefined;
  if (running && running.program !== "gateway") {
    return await rebuildOverHttp(dataDir, running.http, request, signal, onProgress);
  }
  const nothing = embedded ? whyNoLog(dataDir) : undefined;
  if (nothing !== undefined) throw new CommandError(nothing);
  makeDataDirectory(dataDir);
  const log = createEventLog(settings, "rebuild", createLogger(settings.log_level));
  await log.start();
  try {
    const surroundings = { ...rebuildRoom(settings), signal, onProgress };
    return await rebuildCloud({ log, namespace, settings }, request, surroundings);
  } finally {
    await log.stop();
  }
}
