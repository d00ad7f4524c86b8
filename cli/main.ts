/** The `tidegate` command. Each subcommand is a file of its own and loads what it needs only when it runs. */
import { Command } from "commander";
import { auditCommand } from "./audit.ts";
import { bufferCommand } from "./buffer.ts";
import { cloudCommand } from "./cloud.ts";
import { configCommand } from "./config.ts";
import { dashboardCommand } from "./dashboard.ts";
import { doctorCommand } from "./doctor.ts";
import { explainError } from "./errors.ts";
import { gatewayCommand } from "./gateway.ts";
import { payloadsCommand } from "./payloads.ts";
import { rebuildCommand } from "./rebuild.ts";
import { replayCommand } from "./replay.ts";
import { simulateCommand } from "./simulate.ts";
import { demoCommand, startCommand } from "./start.ts";
import { tailCommand } from "./tail.ts";
import { topicsCommand } from "./topics.ts";
import { VERSION } from "./version.ts";

const EXAMPLES = `
Examples:
  tidegate start                                   gateway, log, processors and dashboard on this machine
  tidegate demo                                    the same with a small simulated fleet
  tidegate gateway --brokers kafka-1:9092          an edge gateway that forwards to Kafka
  tidegate cloud --brokers kafka-1:9092            the processors
  tidegate tail events                             events as lines of JSON, as they come
  tidegate audit                                   what was accepted, what arrived, what is missing
  tidegate rebuild rollups --dry-run               would rollups made anew from the events be different
  tidegate buffer check                            is what a gateway holds on its disk whole
  tidegate payloads check                          is every large payload in the object store
  tidegate doctor cloud --config cloud.yaml        is that Kafka fit for it: connection, topics, rights

Exit status: 0 done; 1 failed, audit or payloads found something missing, buffer something damaged, or doctor something to put right;
2 audit, payloads, buffer or doctor could not look.`;

const program = new Command("tidegate")
  .description(
    "An IoT telemetry gateway: an acknowledged reading is never lost and counts exactly once.",
  )
  .version(VERSION)
  .addHelpText("after", EXAMPLES)
  .showHelpAfterError("(tidegate --help shows the commands and flags)")
  // `simulate verify` has flags that `simulate` has too.
  .enablePositionalOptions()
  .configureHelp({ sortSubcommands: false, showGlobalOptions: false });

for (const command of [
  startCommand(),
  demoCommand(),
  gatewayCommand(),
  cloudCommand(),
  dashboardCommand(),
  simulateCommand(),
  replayCommand(),
  tailCommand(),
  auditCommand(),
  payloadsCommand(),
  rebuildCommand(),
  bufferCommand(),
  configCommand(),
  doctorCommand(),
  topicsCommand(),
]) {
  program.addCommand(command);
}

try {
  await program.parseAsync();
} catch (error) {
  const { text, exitCode } = explainError(error, process.env.TIDEGATE_DEBUG === "1");
  // Standard error of a pipe is written asynchronously; exit only once it is out.
  process.stderr.write(`tidegate: ${text}\n`, () => process.exit(exitCode));
}
