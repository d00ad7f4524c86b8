/** `tidegate rebuild`: rollups, or alerts by other rules, made anew from the events, beside what runs, then switched to. */
import { Command, InvalidArgumentError } from "commander";
import { addFlags, givenFlags } from "./flags.ts";
import { durationIn } from "./numbers.ts";

export interface RebuildCommandOptions {
  readonly config?: string;
  /** ms since 1970 */
  readonly from?: number;
  /** ms */
  readonly last?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  /** As a flag; of a configuration they are no mistake for rollups. */
  readonly rules?: string;
}

export function rebuildCommand(): Command {
  const command = new Command("rebuild")
    .summary("make rollups anew from the events, or alerts by other rules")
    .description(
      "Replays the events into new state beside the live one, then switches over, partition by partition, without a stop. WHAT is rollups, or alerts with the rules that are to hold. What the kept events cannot tell stays as it is.",
    )
    .argument("<what>", "rollups or alerts")
    .option("--from <TIME>", "replay what was sent from then on (default: all that is kept)", time)
    .option("--last <DURATION>", "the same, back from now: 12h, 30d", durationIn(86_400_000))
    .option("--dry-run", "only say what would change")
    .option("--json", "the summary as JSON");
  addFlags(command, ["dataDir", "brokers", "rules", "namespace", "logLevel"], {
    brokers: "Kafka; without it the data directory's log",
    rules: "for alerts: the rules that are to hold from now on",
    dataDir: "where the copies beside the live state are for the time being",
  });
  command.addHelpText(
    "after",
    `
Examples:
  tidegate rebuild rollups --dry-run                          would anything be different?
  tidegate rebuild rollups --last 30d --config cloud.yaml
  tidegate rebuild alerts --rules new-rules.yaml --dry-run    what the new rules would have said
  tidegate rebuild alerts --rules new-rules.yaml --from 2026-10-01T00:00Z

Exit status: 0 done; 1 it could not be done, and what was not switched is as it was; 130 given up with Ctrl-C.`,
  );
  return command.action(async (what: string, options: RebuildCommandOptions) => {
    const { loadProgram } = await import("./programs.ts");
    const { runRebuild } = await import("./run-rebuild.ts");
    const settings = loadProgram("tools", options.config, givenFlags({ ...options }));
    await runRebuild(what, settings, options);
  });
}

function time(text: string): number {
  const form = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
  const ms = form.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError("Write it like 2026-10-01 or 2026-10-01T06:00Z.");
  }
  return ms;
}
