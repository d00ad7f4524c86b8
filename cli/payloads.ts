/** `tidegate payloads check`: are the large payloads that the journals tell of in the object store, as they were taken in. */
import { Command } from "commander";
import { COULD_NOT_LOOK, CommandError } from "./errors.ts";
import { addFlags, givenFlags } from "./flags.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export function payloadsCommand(): Command {
  const command = new Command("payloads").summary(
    "large payloads: are they in the object store as they were taken in",
  );
  command.addCommand(checkCommand());
  return command;
}

function checkCommand(): Command {
  const command = new Command("check")
    .description(
      "Reads every journal from its beginning, and fetches every object that it tells of: by size and SHA-256. Exit status 1 if one is missing or changed, 2 if it could not look.",
    )
    .option("--json", "as JSON");
  addFlags(command, ["dataDir", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; without it the data directory's log",
  });
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_LOOK));
  command.addHelpText(
    "after",
    `
Examples:
  tidegate payloads check --config gateway.yaml     payloads.s3 or payloads.directory say where they are
  tidegate payloads check --json | jq .missing`,
  );
  return command.action(async (options: Options) => {
    const { loadProgram } = await import("./programs.ts");
    const { checkPayloads } = await import("./run-payloads.ts");
    const { payloadsText } = await import("./payloads.core.ts");
    const settings = loadProgram("tools", options.config, givenFlags({ ...options }));
    const report = await checkPayloads(settings).catch((error: Error) => {
      const text = `payloads check could not look: ${error.message}`;
      throw new CommandError(text, COULD_NOT_LOOK, { cause: error });
    });
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : payloadsText(report));
    if (report.missing.length + report.changed.length > 0) process.exitCode = 1;
  });
}
