/** A simulated fleet as a program: progress on standard error, the summary on standard output. */
import { Fleet } from "../simulator/fleet.ts";
import { fleetLine, fleetSummaryLine, ProgressPrinter } from "../simulator/progress.ts";
import type { SimulateOptions } from "./simulate.ts";

const HOUR_MS = 3_600_000;
/** For the first connection, ms: who simulates against nothing has mistyped something, and is looking. */
export const CONNECT_MS = 5000;

export async function runSimulate(options: SimulateOptions): Promise<void> {
  const printer = new ProgressPrinter(process.stderr);
  const fleet = new Fleet({
    host: options.host,
    port: options.mqttPort,
    devices: options.devices,
    prefix: options.prefix,
    rate: options.rate,
    seed: options.seed,
    reconnectEveryMs: options.reconnect * 1000,
    backfillMs: options.backfill * HOUR_MS,
    ...(options.duration === undefined ? {} : { durationMs: options.duration * 1000 }),
    ...(options.count === undefined ? {} : { count: options.count }),
    ...(options.ledger === undefined ? {} : { ledger: options.ledger }),
    connectMs: CONNECT_MS,
    onProgress: (progress) => printer.update(fleetLine(progress)),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      void fleet.stop();
    });
  }
  await fleet.start();
  const summary = await fleet.finished.finally(() => printer.clear());
  printer.end(fleetSummaryLine(summary));
  if (options.ledger !== undefined) console.log(`ledger: ${options.ledger}`);
  if (summary.unacknowledged > 0 || summary.unsent > 0 || summary.dropped > 0) process.exitCode = 1;
}
