/** What a rebuild tells people: a line while it runs, some at its end. Pure. */
import type { RuleOutcome } from "../cloud/alert-rebuild.core.ts";
import type { RebuildSummary } from "../cloud/rebuild.ts";
import type { RebuildProgress } from "../stream/port.ts";

const grouped = new Intl.NumberFormat("en");
/** The rate is that of about so long, ms. */
const WINDOW_MS = 5000;
const DAY_MS = 86_400_000;

/** Records a second, of the last seconds. */
export class Pace {
  #samples: (readonly [at: number, records: number])[] = [];

  at({ records }: RebuildProgress, now: number): number {
    const old = this.#samples.filter(([at]) => now - at <= WINDOW_MS);
    this.#samples = [...old.slice(-500), [now, records]];
    const [first = 0, before = 0] = this.#samples[0] ?? [];
    return now - first < 200 ? 0 : ((records - before) * 1000) / (now - first);
  }
}

export function progressLine(progress: RebuildProgress, rate: number): string {
  const { phase, records, total, partitions, switched } = progress;
  if (phase === "switch") return `switching: ${switched} of ${partitions} partitions`;
  const share = total === 0 ? 100 : Math.floor((records / total) * 100);
  const left = rate > 0 ? `, ${durationText((total - records) / rate)} left` : "";
  return `replaying: ${grouped.format(records)} of ${grouped.format(total)} events (${share} %), ${grouped.format(Math.round(rate))}/s${left}`;
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const timeText = (ms: number) => `${new Date(ms).toISOString().slice(0, 16)}Z`;

export function summaryText(summary: RebuildSummary): string {
  const { topology, dryRun, records, since, whole, changed, partitions, longestHoldMs } = summary;
  if (since === undefined) return "There are no events to replay: nothing was changed.\n";
  const history = whole ? "all that there ever were" : `sent since ${timeText(since)}`;
  const lines = [`Replayed ${grouped.format(records)} events, ${history}.`];
  if (!whole && topology === "rollups") {
    lines.push(
      `Of gateways with older events the windows from ${timeText(since + DAY_MS)} on are made anew; those before it stay as they are.`,
    );
  }
  const outputs = Object.entries(summary.outputs).map(
    ([topic, count]) => `${grouped.format(count)} to ${topic}`,
  );
  const would = dryRun ? "would " : "";
  if (changed === 0 && outputs.length === 0) {
    lines.push(`Nothing ${would === "" ? "was" : "would be"} different.`);
  } else {
    const sent = outputs.length > 0 ? `; records put out: ${outputs.join(", ")}` : "";
    lines.push(
      `${grouped.format(changed)} entries of the state ${would}change${dryRun ? "" : "d"}${sent}.`,
    );
  }
  if (summary.rules) lines.push("", ...rulesText(summary.rules, dryRun), "");
  if (!dryRun) {
    lines.push(
      `${partitions} ${partitions === 1 ? "partition was" : "partitions were"} switched; none was held longer than ${grouped.format(longestHoldMs)} ms.`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** Alerts of one rule that are named, at most. */
const MOST_NAMED = 20;

function rulesText(rules: readonly RuleOutcome[], dryRun: boolean): string[] {
  return rules.flatMap((rule) => {
    const lines = [`${rule.rule}: ${outcomeText(rule)}`];
    const { withdrawn } = rule;
    if (withdrawn.length === 0) return lines;
    const more = withdrawn.length > MOST_NAMED ? ` and ${withdrawn.length - MOST_NAMED} more` : "";
    const verb = dryRun ? "would end" : "ended";
    return [...lines, `  ${verb}: ${withdrawn.slice(0, MOST_NAMED).join(", ")}${more}`];
  });
}

function outcomeText({ fate, episodes, first, last, firing }: RuleOutcome): string {
  if (fate === "kept") return "judges as before, nothing of it changes";
  if (fate === "gone") return "is gone";
  if (first === undefined || last === undefined) return `${fate}; it would never have fired`;
  const when =
    episodes === 1
      ? `once, at ${timeText(first)}`
      : `${grouped.format(episodes)} times, first at ${timeText(first)}, last at ${timeText(last)}`;
  const now = firing === 0 ? "nothing of it fires now" : `${grouped.format(firing)} fire now`;
  return `${fate}; it would have fired ${when}; ${now}`;
}
