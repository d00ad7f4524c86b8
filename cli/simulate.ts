/** `tidegate simulate`: a fleet of devices over real MQTT, of a scenario or of all kinds; `simulate verify` checks it. */
import { Command, InvalidArgumentError, Option } from "commander";
import { decimal, durationIn, numberFromOne, wholeNumber } from "./numbers.ts";
import { verifyCommand } from "./simulate-verify.ts";

export function simulateCommand(): Command {
  const command = new Command("simulate")
    .summary("a fleet of simulated devices over real MQTT")
    .description(
      "Publishes plausible signals from many devices, shows how fast they are acknowledged, and writes what was sent and acknowledged where a file is named; `tidegate simulate verify` holds that against the cloud. Without a scenario: devices of all kinds, QoS 1. With one: its devices and their habits, in real time from now on; its gateways, links and power cuts are for virtual time, here they are real.",
    )
    .argument("[scenario]", "a scenario that comes with tidegate, or a YAML file")
    .option("--host <HOST>", "where the gateway is", "127.0.0.1")
    .option("--mqtt-port <PORT>", "its MQTT port", wholeNumber, 1883)
    .option(
      "--gateway <NAME=HOST:PORT>",
      "where the devices of this gateway of the scenario go instead (may be repeated)",
      gatewayAddress,
    )
    .option(
      "--devices <COUNT>",
      "devices, each with a connection of its own (default: 50, or as many as the scenario has)",
      numberFromOne,
    )
    .option("--seed <NUMBER>", "the same seed gives the same signals (default: 1)", wholeNumber)
    .option(
      "--duration <TIME>",
      "end after so long, like 30s, 5m or 1h30m, or seconds; else on Ctrl-C or as the scenario",
      durationIn(SECOND_MS),
    )
    .option("--ledger <FILE>", "write what was sent and acknowledged, as NDJSON")
    .option("--rules <FILE>", "alert rules to note in the ledger; else the scenario's own")
    .option("--print-rules", "print the scenario's rules, for `tidegate start --rules`, and end")
    .option("--list", "print the scenarios that come with tidegate, and end")
    .option("--json", "the summary as JSON on standard output")
    .optionsGroup("Without a scenario:")
    .option("--rate <PER_SECOND>", "readings of each device a second", decimal, 1)
    .option("--count <READINGS>", "end after so many readings of each device", wholeNumber)
    .addOption(
      new Option(
        "--reconnect <TIME>",
        "how often a device loses its connection on average; 0 never",
      )
        .argParser(durationIn(SECOND_MS))
        .default(600 * SECOND_MS, "10m"),
    )
    .option("--backfill <TIME>", "history sent first, like 2d, or hours", durationIn(HOUR_MS), 0)
    .option("--prefix <TEXT>", "begins the devices' names", "")
    .addCommand(verifyCommand())
    // Some of its flags have the names of ours.
    .enablePositionalOptions()
    .addHelpText(
      "after",
      `
Examples:
  tidegate simulate --devices 50 --rate 1 --seed 7
  tidegate simulate --devices 1000 --rate 10 --duration 5m
  tidegate simulate cold-chain --devices 5000 --seed 7 --ledger sent.ndjson
  tidegate simulate verify sent.ndjson`,
    );
  return command.action(async (scenario: string | undefined, options: SimulateOptions) => {
    const given = FLEET_ONLY.filter((name) => command.getOptionValueSource(name) === "cli");
    if (scenario !== undefined && given.length > 0) {
      const flags = given.map((name) => `--${name}`).join(", ");
      command.error(`error: ${flags}: with a scenario, its own file says that`);
    }
    const { runSimulate } = await import("./run-simulate.ts");
    await runSimulate(scenario, options);
  });
}

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const FLEET_ONLY = ["rate", "count", "reconnect", "backfill", "prefix"] as const;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface SimulateOptions {
  readonly host: string;
  readonly mqttPort: number;
  readonly gateway?: ReadonlyMap<string, Address>;
  readonly devices?: number;
  readonly rate: number;
  readonly seed?: number;
  /** ms, as the other times here. */
  readonly duration?: number;
  readonly count?: number;
  readonly reconnect: number;
  readonly backfill: number;
  readonly prefix: string;
  readonly ledger?: string;
  readonly rules?: string;
  readonly printRules?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

function gatewayAddress(
  text: string,
  before: ReadonlyMap<string, Address> | undefined,
): ReadonlyMap<string, Address> {
  const [, name = "", host = "", port = ""] = /^([^=]+)=(.+):(\d{1,5})$/.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError("Write it like hall=10.0.0.7:1883.");
  return new Map([...(before ?? []), [name, { host, port: Number(port) }]]);
}
