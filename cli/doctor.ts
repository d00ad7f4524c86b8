/** `tidegate doctor`: is the Kafka that the settings name fit for a program. It only looks. Exit status 1 if it is not. */
import { Command } from "commander";
import { COULD_NOT_LOOK, CommandError } from "./errors.ts";
import { addFlags, givenFlags } from "./flags.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .summary("is the Kafka fit for it: connection, clock, topics, rights")
    .description(
      "Looks at the Kafka that a program's settings name: whether every broker answers and lets us in, the clocks, the requests that are needed, topics that differ from the configuration, and rights that are missing; for a gateway also at its object store, with a small object that is put, fetched and removed. Says how to put right what it finds, and changes nothing else. Exit status 1 if something has to be put right, 2 if it could not look.",
    )
    .argument("[program]", "start, gateway, cloud or dashboard", "start")
    .option("--json", "as JSON");
  addFlags(command, ["dataDir", "gatewayId", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; needed",
  });
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_LOOK));
  command.addHelpText(
    "after",
    `
Examples:
  tidegate doctor gateway --config gateway.yaml     on the gateway, as its user
  tidegate doctor cloud --config cloud.yaml --json | jq '.findings[] | select(.state == "fail")'`,
  );
  return command.action(async (program: string, options: Options) => {
    const { isProgram, PROGRAMS } = await import("./programs.ts");
    if (!isProgram(program)) {
      return command.error(`error: no program '${program}' (${PROGRAMS.join(", ")})`);
    }
    const { runDoctor } = await import("./run-doctor.ts");
    const { doctorText, verdictOf } = await import("./doctor.core.ts");
    const findings = await runDoctor(program, options.config, givenFlags({ ...options })).catch(
      (error: Error) => {
        throw new CommandError(`doctor could not look: ${error.message}`, COULD_NOT_LOOK, {
          cause: error,
        });
      },
    );
    const verdict = verdictOf(findings);
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ program, verdict, findings })}\n`
        : doctorText(program, findings),
    );
    if (verdict === "fail") process.exitCode = 1;
  });
}
