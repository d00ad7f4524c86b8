/** `tidegate cloud`: the processors alone. */
import { Command } from "commander";
import { addFlags, givenFlags } from "./flags.ts";

export function cloudCommand(): Command {
  const command = new Command("cloud")
    .summary("the processors: ledger, rollups, devices, alerts")
    .description(
      "Turns the events in Kafka into the ledger, rollups, devices and alerts. Several share the work by partitions.",
    );
  addFlags(command, ["dataDir", "httpPort", "brokers", "rules", "namespace", "logLevel"], {
    brokers: "Kafka; needed",
  });
  command.addHelpText(
    "after",
    `
Examples:
  tidegate cloud --brokers kafka-1:9092 --rules rules.yaml`,
  );
  return command.action(async (options: { readonly config?: string }) => {
    const { loadProgram } = await import("./programs.ts");
    const { runCloud } = await import("./run-cloud.ts");
    await runCloud(loadProgram("cloud", options.config, givenFlags({ ...options })));
  });
}
