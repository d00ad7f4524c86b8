/** An alert rule as the engine takes it: parsed, checked, with every default filled in. */
import type { Severity } from "../events/schema.ts";

export const DIRECTIONS = ["above", "below"] as const;
export type Direction = (typeof DIRECTIONS)[number];

export interface Limit {
  readonly direction: Direction;
  readonly threshold: number;
}

export interface Rule {
  /** Unique among the rules; part of the identity of its alerts. */
  readonly name: string;
  readonly metric: string;
  readonly when: Limit;
  /** Where a firing alert ends; without it, where `when` no longer holds. */
  readonly clear?: Limit;
  /** How long `when` must hold, ms; 0 fires with the first reading. */
  readonly forMs: number;
  /** Readings older than this when the log gets them are historical, ms. */
  readonly freshnessMs: number;
  /** Globs: `*` stands for any characters, `?` for one. */
  readonly device: string;
  readonly gateway: string;
  readonly severity: Severity;
  /** With `{device}`, `{gateway}`, `{metric}`, `{rule}`, `{value}`, `{threshold}`. */
  readonly message: string;
}

/** What decides when an alert comes and goes; its other words are for people. */
const TELLING = ["severity", "message"] as const satisfies readonly (keyof Rule)[];

/** The same for the same rule, however it came to be. */
export function ruleText(rule: Rule, without: readonly string[] = []): string {
  const entries = Object.entries(rule).filter(([name]) => !without.includes(name));
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(sortedLimit));
}

function sortedLimit([name, value]: [string, unknown]): unknown {
  const plain = typeof value !== "object" || value === null;
  return [name, plain ? value : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))];
}

/** Whether two rules make the same alerts, whatever they call them. */
export function judgesAlike(a: Rule, b: Rule): boolean {
  return ruleText(a, TELLING) === ruleText(b, TELLING);
}

/** Strictly above or below: a value at the threshold is neither. */
export function exceeds(limit: Limit, value: number): boolean {
  return limit.direction === "above" ? value > limit.threshold : value < limit.threshold;
}

/** The rule's condition in words, as in the rules file. */
export function conditionText(rule: Rule): string {
  return `${rule.metric} ${rule.when.direction} ${rule.when.threshold}`;
}

export const PLACEHOLDERS = ["device", "gateway", "metric", "rule", "value", "threshold"] as const;

export function messageText(
  rule: Rule,
  series: { readonly gateway: string; readonly device: string; readonly metric: string },
  value: number,
): string {
  const known: Readonly<Record<string, string | number>> = {
    ...series,
    rule: rule.name,
    value,
    threshold: rule.when.threshold,
  };
  return rule.message.replaceAll(/\{(\w+)\}/g, (whole, name: string) => `${known[name] ?? whole}`);
}

/** For a resolved alert: the rule's own message says that the condition holds, which it no longer does. */
export function resolvedText(
  rule: Rule,
  series: { readonly device: string; readonly metric: string },
  { value, fired }: { readonly value: number; readonly fired?: boolean },
): string {
  const { when, clear } = rule;
  // What was only pending ends where the condition does not hold; `clear` is for what has fired.
  const why =
    clear && fired
      ? `cleared ${clear.direction} ${clear.threshold}`
      : `no longer ${when.direction} ${when.threshold}`;
  return `${series.device}: ${series.metric} is ${value}, ${why}`;
}

/** For an alert whose rule was changed, and by which it does not hold. */
export function changedText(series: {
  readonly rule: string;
  readonly device: string;
  readonly metric: string;
}): string {
  return `${series.device}: by the changed rule ${series.rule} there is no alert for ${series.metric}`;
}

/** For an alert whose rule was taken away, or is no longer about its series; its condition may still hold. */
export function withdrawnText(series: {
  readonly rule: string;
  readonly device: string;
  readonly metric: string;
}): string {
  return `${series.device}: the rule ${series.rule} no longer looks at ${series.metric}`;
}

/** A glob as an expression over the whole text. */
export function globPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    // Neighbouring stars mean the same as one, and would make a hostile pattern slow.
    .replaceAll(/\*+/g, ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}
