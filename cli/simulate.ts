/** `tidegate simulate`: a fleet of devices over real MQTT. */
import { Command, InvalidArgumentError } from "commander";

export function simulateCommand(): Command {
  return new Command("simulate")
    .summary("a fleet of simulated devices over real MQTT")
    .description(
      "Publishes plausible signals from many devices with QoS 1, shows how fast they are acknowledged, and writes what was sent and acknowledged where a file is named.",
    )
    .option("--host <HOST>", "where the gateway is", "127.0.0.1")
    .option("--mqtt-port <PORT>", "its MQTT port", wholeNumber, 1883)
    .option("--devices <COUNT>", "devices, each with a connection of its own", wholeNumber, 50)
    .option("--rate <PER_SECOND>", "readings of each device a second", decimal, 1)
    .option("--seed <NUMBER>", "the same seed gives the same signals", wholeNumber, 1)
    .option("--duration <SECONDS>", "end after so long; without it on Ctrl-C", decimal)
    .option("--count <READINGS>", "end after so many readings of each device", wholeNumber)
    .option(
      "--reconnect <SECONDS>",
      "how often a device loses its connection on average; 0 never",
      decimal,
      600,
    )
    .option("--backfill <HOURS>", "history sent first", decimal, 0)
    .option("--prefix <TEXT>", "begins the devices' names", "")
    .option("--ledger <FILE>", "write what was sent and acknowledged, as NDJSON")
    .addHelpText(
      "after",
      `
Examples:
  tidegate simulate --devices 50 --rate 1 --seed 7
  tidegate simulate --devices 1000 --rate 10 --duration 60
  tidegate simulate --count 100 --ledger sent.ndjson`,
    )
    .action(async (options: SimulateOptions) => {
      const { runSimulate } = await import("./run-simulate.ts");
      await runSimulate(options);
    });
}

export interface SimulateOptions {
  readonly host: string;
  readonly mqttPort: number;
  readonly devices: number;
  readonly rate: number;
  readonly seed: number;
  readonly duration?: number;
  readonly count?: number;
  readonly reconnect: number;
  readonly backfill: number;
  readonly prefix: string;
  readonly ledger?: string;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("A whole number.");
  return Number(text);
}

export function decimal(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("A number, 0 or more.");
  return Number(text);
}
