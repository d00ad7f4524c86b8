/** A replay as a program: progress on standard error, the summary at the end. */
import { ProgressPrinter, replayLine, replaySummaryLine } from "../simulator/progress.ts";
import { replayCsv } from "../simulator/replay.ts";
import type { ReplayCommandOptions } from "./replay.ts";
import { CONNECT_MS } from "./run-simulate.ts";

export async function runReplay(file: string, options: ReplayCommandOptions): Promise<void> {
  const printer = new ProgressPrinter(process.stderr);
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort());
  const summary = await replayCsv({
    file,
    host: options.host,
    port: options.mqttPort,
    speed: options.speed,
    metricNames: options.names,
    window: options.window,
    ...(options.device === undefined ? {} : { device: options.device }),
    ...(options.timeColumn === undefined ? {} : { timeColumn: options.timeColumn }),
    ...(options.skipBad ? { skipBad: true } : {}),
    ...(options.ledger === undefined ? {} : { ledger: options.ledger }),
    connectMs: CONNECT_MS,
    signal: abort.signal,
    onProgress: (progress) => printer.update(replayLine(progress)),
  }).finally(() => printer.clear());
  printer.end(replaySummaryLine(summary));
  if (summary.acknowledged < summary.sent || summary.aborted) process.exitCode = 1;
}
