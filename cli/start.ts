/** `tidegate start` and `tidegate demo`: everything on one machine. */
import { Command } from "commander";
import { addFlags, givenFlags, type SharedFlagName } from "./flags.ts";

const FLAGS = [
  "dataDir",
  "mqttPort",
  "httpPort",
  "gatewayId",
  "brokers",
  "rules",
  "namespace",
  "logLevel",
] as const satisfies readonly SharedFlagName[];

export function startCommand(): Command {
  const command = new Command("start")
    .summary("everything on this machine")
    .description(
      "Runs gateway, event log, processors and dashboard in one process. With brokers the log is Kafka, else it is embedded in the data directory.",
    );
  addFlags(command, FLAGS);
  command.addHelpText(
    "after",
    `
Examples:
  tidegate start
  tidegate start --rules rules.yaml --data-dir /var/lib/tidegate
  tidegate start --mqtt-port 0 --http-port 0       any free ports, printed`,
  );
  return command.action(async (options: { readonly config?: string }) => {
    const { loadProgram } = await import("./programs.ts");
    const { runStart } = await import("./run-start.ts");
    await runStart(loadProgram("start", options.config, givenFlags({ ...options })));
  });
}

/** Apart from the data of `start`, so that trying it out leaves nothing behind where it matters. */
const DEMO_DATA_DIR = "./tidegate-data/demo";

export function demoCommand(): Command {
  const command = new Command("demo")
    .summary("the same with a small simulated fleet")
    .description(
      `Like start, with a simulated fleet of devices over real MQTT and rules that it breaks now and then. Data in ${DEMO_DATA_DIR}.`,
    );
  addFlags(command, FLAGS);
  return command.action(async (options: { readonly config?: string }) => {
    const { loadProgram } = await import("./programs.ts");
    const { runDemo } = await import("./run-demo.ts");
    const flags = givenFlags({ ...options });
    if (!flags.has("data_dir")) {
      flags.set("data_dir", { flag: "--data-dir", text: DEMO_DATA_DIR });
    }
    await runDemo(loadProgram("start", options.config, flags));
  });
}
