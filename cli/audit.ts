/** `tidegate audit`: for each gateway what it accepted, what arrived, what is missing. Exit status 1 if anything is. */
import { Command } from "commander";
import type { AuditReport } from "../cloud/audit.core.ts";
import type { LedgerTotals } from "../cloud/read-model/port.ts";
import { COULD_NOT_LOOK, CommandError } from "./errors.ts";
import { addFlags, givenFlags } from "./flags.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export function auditCommand(): Command {
  const command = new Command("audit")
    .summary("what was accepted, what arrived, what is missing")
    .description(
      "Prints for each gateway and epoch what it accepted, what arrived in the log, what is on the way, missing, duplicate or declared lost. Exit status 1 if anything is missing, 2 if it could not look.",
    )
    .option("--json", "as JSON");
  addFlags(command, ["dataDir", "brokers", "namespace", "logLevel"], {
    brokers: "Kafka; without it the data directory's log",
  });
  // A flag that there is not is no answer either.
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_LOOK));
  command.addHelpText(
    "after",
    `
Examples:
  tidegate audit
  tidegate audit --brokers kafka-1:9092 --json | jq .rows
  tidegate audit || echo "something is missing"`,
  );
  return command.action(async (options: Options) => {
    const { loadProgram } = await import("./programs.ts");
    const { openLog } = await import("./open-log.ts");
    const report = await lookOrFail(async () => {
      const settings = loadProgram("tools", options.config, givenFlags({ ...options }));
      const log = await openLog(settings, "audit");
      try {
        return await log.audit();
      } finally {
        await log.close();
      }
    });
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : printed(report));
    if (report.verdict === "missing") process.exitCode = 1;
  });
}

/** "It could not look" must not be taken for "something is missing". */
async function lookOrFail<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const { message } = error as Error;
    throw new CommandError(`audit could not look: ${message}`, COULD_NOT_LOOK, { cause: error });
  }
}

const COUNTS = [
  ["accepted", "accepted"],
  ["arrived", "arrived"],
  ["on the way", "onTheWay"],
  ["missing", "missing"],
  ["duplicate", "duplicates"],
  ["declared lost", "declaredLost"],
] as const satisfies readonly (readonly [string, keyof LedgerTotals])[];

const grouped = new Intl.NumberFormat("en");

const VERDICTS = {
  complete: "Nothing is missing",
  missing: "Something is missing",
  empty: "Nothing has arrived yet: no gateway has written to this log",
} as const satisfies Record<AuditReport["verdict"], string>;

/** A declared loss is accounted for, and still a loss: who reads only the last line must not take it for none. */
function verdictText({ verdict, totals }: AuditReport): string {
  const { declaredLost } = totals;
  if (declaredLost === 0) return `${VERDICTS[verdict]}.`;
  const are = declaredLost === 1 ? "is" : "are";
  return `${VERDICTS[verdict]}; ${grouped.format(declaredLost)} ${are} declared lost.`;
}

/** A line for each gateway and epoch, the missing ranges to the sequence, and the verdict. */
export function printed(report: AuditReport): string {
  const epochs = report.rows.flatMap((row) =>
    row.epochs.map((epoch) => ({ gateway: row.gateway, ...epoch })),
  );
  const cells = [
    ["gateway", "epoch", ...COUNTS.map(([title]) => title)],
    ...epochs.map((row) => [
      row.gateway,
      row.epoch,
      ...COUNTS.map(([, field]) => String(row[field])),
    ]),
  ];
  const widths =
    cells[0]?.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0))) ?? [];
  const lines =
    epochs.length === 0
      ? []
      : cells.map((row) =>
          row
            .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
            .join("  ")
            .trimEnd(),
        );
  for (const { gateway, epoch, missingRanges } of epochs) {
    if (missingRanges.length === 0) continue;
    const ranges = missingRanges.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
    lines.push(`${gateway} ${epoch} lacks ${ranges.join(", ")}`);
  }
  return `${[...lines, verdictText(report)].join("\n")}\n`;
}
