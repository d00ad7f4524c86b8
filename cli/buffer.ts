/** `tidegate buffer check|export|stats`: what a gateway holds on its disk, for who wants to look. It changes nothing. */
import { Command, InvalidArgumentError } from "commander";
import { CommandError } from "./errors.ts";
import { addFlags, givenFlags } from "./flags.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
  readonly quarantine?: number;
}

const COULD_NOT_LOOK = 2;

export function bufferCommand(): Command {
  const command = new Command("buffer")
    .summary("look at what a gateway holds on its disk")
    .description(
      "Looks at the buffer in a data directory. It never changes it: a copy is opened, which takes little room because what is large is linked.",
    );
  for (const one of [checkCommand(), exportCommand(), statsCommand()]) command.addCommand(one);
  command.addHelpText(
    "after",
    `
Examples:
  tidegate buffer check --data-dir /var/lib/tidegate
  tidegate buffer export --data-dir /var/lib/tidegate | jq .data.metrics
  tidegate buffer stats --data-dir /var/lib/tidegate`,
  );
  return command;
}

function checkCommand(): Command {
  const command = new Command("check")
    .summary("is all that was acknowledged there, and as it was written")
    .description(
      "Reads every record, compares them with the high-water mark, and says what is damaged or missing and what a start would do about it. Exit status 0 whole, 1 damage found, 2 it could not look. A running gateway checks what it reads itself and is asked how it is.",
    )
    .option("--json", "as JSON");
  return finish(command, [
    "tidegate buffer check",
    "tidegate buffer check --json | jq .lost",
  ]).action(async (options: Options) => {
    const { checkBuffer } = await import("./run-buffer-check.ts");
    process.exitCode = await lookOrFail("check", options, (dataDir) =>
      checkBuffer(dataDir, options.json ?? false),
    );
  });
}

function exportCommand(): Command {
  const command = new Command("export")
    .summary("what waits, as lines of JSON")
    .description(
      "Writes the events that wait as lines of JSON, in their order. Of a damaged buffer it writes every event whose checksum holds, and in the place of the others the loss that a start would declare. Exit status 0 done, 1 something is lost, 2 it could not look.",
    )
    .option(
      "--quarantine <NUMBER>",
      "of a damaged original that a start has put aside; `check` lists them",
      whole,
    );
  return finish(command, [
    "tidegate buffer export > readings.ndjson",
    "tidegate buffer export --quarantine 1 | jq -r .id",
  ]).action(async (options: Options) => {
    const { exportBuffer } = await import("./run-buffer-export.ts");
    process.exitCode = await lookOrFail("export", options, (dataDir) =>
      exportBuffer(dataDir, options.quarantine),
    );
  });
}

function statsCommand(): Command {
  const command = new Command("stats")
    .summary("how much waits, of what, since when")
    .description(
      "Prints how much waits, by type, device and epoch, the room that is left, and what the disk has. A running gateway is asked; it does not count by type and device.",
    )
    .option("--json", "as JSON");
  return finish(command, ["tidegate buffer stats", "tidegate buffer stats --json"]).action(
    async (options: Options) => {
      const { bufferStats } = await import("./run-buffer-stats.ts");
      await lookOrFail("stats", options, (dataDir, settings) =>
        bufferStats(dataDir, settings.buffer, options.json ?? false),
      );
    },
  );
}

function finish(command: Command, examples: readonly string[]): Command {
  addFlags(command, ["dataDir", "logLevel"], { dataDir: "the gateway's data directory" });
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_LOOK));
  return command.addHelpText(
    "after",
    `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}`,
  );
}

type Tools = import("./programs.ts").ProgramSettings["tools"];

/** "It could not look" must not be taken for "something is damaged". */
async function lookOrFail<T>(
  what: string,
  options: Options,
  look: (dataDir: string, settings: Tools) => Promise<T>,
): Promise<T> {
  try {
    const { loadProgram } = await import("./programs.ts");
    const settings = loadProgram("tools", options.config, givenFlags({ ...options }));
    return await look(settings.data_dir, settings);
  } catch (error) {
    const { message } = error as Error;
    throw new CommandError(`buffer ${what} could not look: ${message}`, COULD_NOT_LOOK, {
      cause: error,
    });
  }
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("A whole number, 1 or more.");
  return Number(text);
}
