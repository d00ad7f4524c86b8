/** `tidegate simulate verify LEDGER`: a run's ledger against what the cloud made of it. Exit status 1 where they differ. */
import { Command, Option } from "commander";
import { COULD_NOT_LOOK } from "./errors.ts";
import { addFlags, givenFlags } from "./flags.ts";
import { durationIn } from "./numbers.ts";

export interface VerifyOptions {
  readonly config?: string;
  readonly dashboard?: string;
  readonly rules?: string;
  /** ms. */
  readonly wait: number;
  readonly json?: boolean;
}

export function verifyCommand(): Command {
  const command = new Command("verify")
    .summary("a run's ledger against what the cloud made of it")
    .description(
      "Holds what the simulator sent and got acknowledged against the events, rollups and alerts of the log: nothing missing, nothing more often than it was sent, every window as the readings come to, every alert of the ledger's rules at its time, and no other. Only the run's devices and time are judged. Waits until gateways and processors have nothing left to send or to process, also with Kafka; where that does not move any more it says so, and nothing is called lost. Exit status 1 if something is wrong, 2 if it could not look or it is too early to say.",
    )
    .argument("<ledger>", "the file that `simulate --ledger` wrote")
    .option("--dashboard <URL>", "ask the running `tidegate start` there, instead of --data-dir")
    .option("--rules <FILE>", "judge the alerts by these rules, not by those of the ledger")
    .addOption(
      new Option(
        "--wait <TIME>",
        "give up waiting when nothing has changed for so long, like 20s, 5m",
      )
        .argParser(durationIn(1000))
        .default(20_000, "20s"),
    )
    .option("--json", "the verdict as JSON");
  addFlags(command, ["dataDir", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; without it the data directory's log",
  });
  // A flag that there is not is no answer either.
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_LOOK));
  command.addHelpText(
    "after",
    `
Examples:
  tidegate simulate verify sent.ndjson
  tidegate simulate verify sent.ndjson --dashboard http://127.0.0.1:8080
  tidegate simulate verify sent.ndjson --brokers kafka-1:9092 --json | jq .missing`,
  );
  return command.action(async (file: string, options: VerifyOptions) => {
    const { runVerify } = await import("./run-simulate-verify.ts");
    await runVerify(file, options, givenFlags({ ...options, rules: undefined }));
  });
}
