/** `tidegate topics create`: the topics of the configuration, for whoever may create them. */
import { Command } from "commander";
import { addFlags, givenFlags } from "./flags.ts";

interface Options {
  readonly config?: string;
  readonly dryRun?: boolean;
}

export function topicsCommand(): Command {
  const create = new Command("create")
    .summary("create the topics that are missing")
    .description(
      "Creates the topics of gateways and cloud that are missing in Kafka, with the partitions, copies and retention of the configuration. What is there is left as it is: `tidegate doctor` says where it differs.",
    )
    .option("--dry-run", "print the commands of Kafka's own tools instead, and ask nothing of it");
  addFlags(create, ["brokers", "namespace", "logLevel"], { brokers: "Kafka; needed" });
  create.addHelpText(
    "after",
    `
Examples:
  tidegate topics create --config cloud.yaml --kafka-user admin --kafka-password-file admin.password
  tidegate topics create --config cloud.yaml --dry-run > topics.sh`,
  );
  create.action(async (options: Options) => {
    const { loadProgram } = await import("./programs.ts");
    const { runTopicsCreate } = await import("./run-topics.ts");
    const settings = loadProgram("cloud", options.config, givenFlags({ ...options }));
    await runTopicsCreate(settings, options.dryRun ?? false);
  });
  return new Command("topics")
    .summary("create the topics of the configuration in Kafka")
    .description("The topics of the configuration, in Kafka.")
    .addCommand(create);
}
