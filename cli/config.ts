/** `tidegate config`: the settings that a program would run with, and where each can be set. */
import { Command } from "commander";
import { stringify } from "yaml";
import { addFlags, givenFlags, SHARED_FLAGS, type SharedFlagName } from "./flags.ts";

export function configCommand(): Command {
  const command = new Command("config")
    .summary("print the effective settings")
    .description(
      "Prints the settings that a program would run with, from defaults, the file, environment variables and flags, as YAML that can be used as a file once the secrets are put in. Finds every fault in them.",
    )
    .argument("[program]", "start, gateway, cloud or dashboard", "start")
    .option("--markdown", "the documentation of all settings instead");
  addFlags(command, Object.keys(SHARED_FLAGS) as SharedFlagName[]);
  command.addHelpText(
    "after",
    `
Examples:
  tidegate config                                  what \`tidegate start\` would run with
  tidegate config gateway --config gateway.yaml    checks a file
  TIDEGATE_MQTT_PORT=1884 tidegate config`,
  );
  return command.action(
    async (program: string, options: { readonly config?: string; readonly markdown?: boolean }) => {
      const { isProgram, loadProgram, printable, PROGRAMS, settingsMarkdown } = await import(
        "./programs.ts"
      );
      if (options.markdown) {
        process.stdout.write(settingsMarkdown());
        return;
      }
      if (!isProgram(program)) {
        return command.error(`error: no program '${program}' (${PROGRAMS.join(", ")})`);
      }
      const settings = loadProgram(program, options.config, givenFlags({ ...options }));
      process.stdout.write(stringify(printable(program, settings)));
    },
  );
}
