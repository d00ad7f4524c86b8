/** `tidegate replay FILE.csv`: a recording over real MQTT, with its own times. */
import { Command, Option } from "commander";
import { METRIC_NAMES, type MetricNames } from "../simulator/recording.ts";
import { decimal, wholeNumber } from "./numbers.ts";

export interface ReplayCommandOptions {
  readonly host: string;
  readonly mqttPort: number;
  readonly speed: number;
  readonly device?: string;
  readonly timeColumn?: string;
  readonly names: MetricNames;
  readonly window: number;
  readonly skipBad?: boolean;
  readonly ledger?: string;
}

export function replayCommand(): Command {
  return new Command("replay")
    .summary("a CSV recording over real MQTT, with its own times")
    .description(
      "Publishes each row of a CSV file as a reading of one device: columns become metrics, the time column the device's time (UTC where it has no zone). A file with a bad row is refused before anything is sent.",
    )
    .argument("<file>", "a CSV file with a header line")
    .option("--host <HOST>", "where the gateway is", "127.0.0.1")
    .option("--mqtt-port <PORT>", "its MQTT port", wholeNumber, 1883)
    .option("--speed <FACTOR>", "times faster than recorded; 0 as fast as acknowledged", decimal, 0)
    .option("--device <NAME>", "the device's name; else the file's")
    .option(
      "--time-column <NAME>",
      "the column with the time; else date, time, timestamp or datetime",
    )
    .addOption(
      new Option("--names <FORM>", "metric names as in the header, or in snake_case")
        .choices([...METRIC_NAMES])
        .default("header"),
    )
    .option("--window <COUNT>", "most rows unacknowledged at once", wholeNumber, 100)
    .option("--skip-bad", "pass over rows that cannot be read, and count them")
    .option("--ledger <FILE>", "what was sent and acknowledged, as NDJSON")
    .addHelpText(
      "after",
      `
Examples:
  tidegate replay office-occupancy.csv
  tidegate replay freezer.csv --speed 60 --device freezer-1`,
    )
    .action(async (file: string, options: ReplayCommandOptions) => {
      const { runReplay } = await import("./run-replay.ts");
      await runReplay(file, options);
    });
}
