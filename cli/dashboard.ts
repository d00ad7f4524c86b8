/** `tidegate dashboard`: the pages alone, over a read model of their own. */
import { Command } from "commander";
import { addFlags, givenFlags } from "./flags.ts";

export function dashboardCommand(): Command {
  const command = new Command("dashboard")
    .summary("the pages and their API")
    .description(
      "Serves the dashboard over a read model that it fills from the topics in Kafka and keeps in the data directory.",
    );
  addFlags(command, ["dataDir", "httpPort", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; needed",
  });
  command.addHelpText(
    "after",
    `
Examples:
  tidegate dashboard --brokers kafka-1:9092 --http-port 8080`,
  );
  return command.action(async (options: { readonly config?: string }) => {
    const { loadProgram } = await import("./programs.ts");
    const { runDashboard } = await import("./run-dashboard.ts");
    await runDashboard(loadProgram("dashboard", options.config, givenFlags({ ...options })));
  });
}
