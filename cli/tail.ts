/** `tidegate tail TOPIC`: records as lines of JSON, while the system runs or when it does not. */
import { Command, InvalidArgumentError } from "commander";
import { addFlags, givenFlags } from "./flags.ts";
import { writePatiently } from "./write-patiently.ts";

interface Options {
  readonly config?: string;
  readonly last: number;
  readonly all?: boolean;
  readonly follow: boolean;
}

export function tailCommand(): Command {
  const command = new Command("tail")
    .summary("print a topic's records as lines of JSON")
    .description(
      "Prints the newest records of a topic as lines of JSON, then new ones as they come. TOPIC is the entity (events, status, readings, rollups, alerts, alert-state, devices, ledger, rejected) or a whole topic name.",
    )
    .argument(
      "<topic>",
      "events, status, readings, rollups, alerts, alert-state, devices, ledger, rejected",
    )
    .option("-n, --last <COUNT>", "records that are there already to begin with", count, 10)
    .option("--all", "begin with everything that is there")
    .option("--no-follow", "end after what is there");
  addFlags(command, ["dataDir", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; without it the data directory's log",
  });
  command.addHelpText(
    "after",
    `
Examples:
  tidegate tail events                        the last ten events, then new ones
  tidegate tail alerts --all --no-follow      the whole history of alerts
  tidegate tail events | jq .data.metrics     with a filter
  tidegate tail events --brokers kafka-1:9092 from Kafka`,
  );
  return command.action(async (topic: string, options: Options) => {
    const { loadProgram } = await import("./programs.ts");
    const { openLog } = await import("./open-log.ts");
    const settings = loadProgram("tools", options.config, givenFlags({ ...options }));
    const abort = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort());
    // `tidegate tail … | head` closes the pipe; that is an end, not an error.
    process.stdout.on("error", () => abort.abort());
    const last = options.all ? Number.POSITIVE_INFINITY : options.last;
    const log = await openLog(settings, "tail");
    try {
      await log.tail(topic, { last, follow: options.follow }, abort.signal, (lines) =>
        writePatiently(process.stdout, lines, abort.signal),
      );
    } finally {
      await log.close();
    }
  });
}

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("A whole number, 0 or more.");
  return Number(text);
}
