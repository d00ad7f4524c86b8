/**
 * The rules file: YAML in, typed rules out. Every fault is told at once, with its line and column and what to write
 * instead; a file with one fault gives no rules at all, because half of somebody's alerts is worse than a clear no.
 */
import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import Type, { type Static } from "typebox";
import { SEVERITIES, type Severity } from "../events/schema.ts";
import { DURATION_HINT, parseDuration } from "./duration.ts";
import { DIRECTIONS, type Direction, type Limit, PLACEHOLDERS, type Rule } from "./rule.ts";
import { type Path, pathOf, type Report, YamlFile } from "./yaml-file.ts";

/** Each reading is held against the rules of its metric: some hundreds cost microseconds, more is a mistake. */
export const MAX_RULES = 1000;
/** Twenty stars in one glob make matching slow; no real name needs them. */
const MAX_STARS = 8;

const DEFAULT_FRESHNESS_MS = 3_600_000;
const NUMBER = "[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?";
const WHEN = new RegExp(
  `^(.+?)\\s+(above|below)\\s+(${NUMBER})(?:\\s+for\\s+(\\S+(?: (?:ms|s|min|m|h|d))?))?$`,
  "s",
);
const CLEAR = new RegExp(`^(above|below)\\s+(${NUMBER})$`);

export const WHEN_HINT = 'write it like "temperature above -15" or "temperature above -15 for 5m"';

const glob = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: `${what} it applies to, * stands for any characters; all without it`,
    }),
  );
const duration = (description: string) =>
  Type.Optional(Type.String({ description: `${description}; ${DURATION_HINT}` }));

const ruleSchema = Type.Object(
  {
    name: Type.String({
      pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
      description: "unique; letters, digits, _ . -, at most 64",
    }),
    when: Type.String({ description: "metric above|below number, optionally for duration" }),
    for: duration("how long it must hold before it fires (default 0s)"),
    clear: Type.Optional(
      Type.String({ description: "above|below number: where a firing alert ends" }),
    ),
    device: glob("devices"),
    gateway: glob("gateways"),
    severity: Type.Optional(Type.Unsafe<Severity>(Type.Enum([...SEVERITIES]))),
    message: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
    freshness: duration("older readings are historical and page nobody (default 1h)"),
  },
  { additionalProperties: false },
);
/** The one schema of the rules file. */
export const rulesFileSchema = Type.Object(
  { rules: Type.Array(ruleSchema, { maxItems: MAX_RULES }) },
  { additionalProperties: false },
);
type RawRule = Static<typeof ruleSchema>;

export class RulesError extends Error {
  readonly code = "rules";
  /** Each `file:line:column: what is wrong and what to do`. */
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    const lead = faults.length === 1 ? "" : `${faults.length} faults in the rules:\n  `;
    super(lead + faults.join("\n  "));
    this.name = "RulesError";
    this.faults = faults;
  }
}

/** @throws RulesError with every fault of the file */
export function loadRules(file: string): readonly Rule[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = missing ? "no such file" : (error as Error).message;
    throw new RulesError([`${file}: ${why}; name a rules file that can be read`]);
  }
  return parseRules(text, file);
}

/** @param file only for messages. @throws RulesError with every fault of the text */
export function parseRules(text: string, file: string): readonly Rule[] {
  const yaml = new YamlFile(text, file);
  // An empty file is one without rules: what is left when the last one was commented out.
  const empty = yaml.content === null || yaml.content === undefined;
  const rules = empty ? [] : rulesOf(yaml.content, yaml.report);
  if (yaml.faults.length > 0) throw new RulesError(yaml.faults);
  return rules;
}

/**
 * For files that hold rules among other things.
 * @param content `{ rules: [...] }` and nothing else, as YAML gives it
 * @param report is told every fault, with its path from there
 */
export function rulesOf(content: unknown, report: Report): readonly Rule[] {
  if (!validate(content)) {
    for (const error of validate.errors ?? []) explain(error, report);
  }
  const raw = (content as { rules?: unknown }).rules;
  const rules = (Array.isArray(raw) ? raw : []).flatMap((one, index) =>
    ruleOf(one, ["rules", index], report),
  );
  refuseSameNames(Array.isArray(raw) ? raw : [], report);
  return Object.freeze(rules);
}

const validate = new Ajv({ allErrors: true, strict: false }).compile(rulesFileSchema);

function explain(error: ErrorObject, report: Report): void {
  const path = pathOf(error.instancePath);
  const key = path.at(-1);
  switch (error.keyword) {
    case "additionalProperties": {
      const unknown = String(error.params.additionalProperty);
      const known = path.length === 0 ? ["rules"] : Object.keys(ruleSchema.properties);
      report([...path, unknown], `unknown key "${unknown}"; known are ${known.join(", ")}`, true);
      return;
    }
    case "required": {
      const missing = String(error.params.missingProperty);
      const what =
        missing === "rules"
          ? 'the file needs "rules:" with a list below it'
          : missing === "when"
            ? `a rule needs "when"; ${WHEN_HINT}`
            : `a rule needs "${missing}"`;
      report(path, what);
      return;
    }
    case "enum":
      report(path, `${key} must be one of ${SEVERITIES.join(", ")}`);
      return;
    case "pattern":
      report(
        path,
        `${key} must be 1 to 64 letters, digits, "_", "." or "-", beginning with a letter or digit`,
      );
      return;
    case "type":
      report(path, typeFault(path, String(error.params.type)));
      return;
    default:
      report(path, `${key ?? "the file"} ${error.message}`);
  }
}

function typeFault(path: Path, wanted: string): string {
  const key = path.at(-1);
  if (path.length === 0) return 'the file is a map: write "rules:" with a list below it';
  if (key === "rules") return '"rules" is a list: begin each rule with "- name: …"';
  if (typeof key === "number") return "a rule is a map with at least name and when";
  if (key === "for" || key === "freshness") return `${key} must be ${DURATION_HINT}`;
  return `${key} must be a ${wanted === "string" ? "text" : wanted}`;
}

/** The rule, or none where something is wrong with it; what is wrong was reported. */
function ruleOf(value: unknown, path: Path, report: Report): Rule[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const raw = value as { readonly [K in keyof RawRule]?: unknown };
  let good = true;
  const fault = (key: string, message: string) => {
    good = false;
    report([...path, key], message);
  };
  const text = (key: keyof RawRule) => (typeof raw[key] === "string" ? raw[key] : undefined);

  const when = text("when") === undefined ? undefined : parseWhen(text("when") as string);
  if (text("when") !== undefined && !when) fault("when", `when cannot be read; ${WHEN_HINT}`);
  const inside = when?.for === undefined ? undefined : parseDuration(when.for);
  if (when?.for !== undefined && inside === undefined) {
    fault("when", `"for ${when.for}" is not ${DURATION_HINT}`);
  }
  const durationOf = (key: "for" | "freshness"): number | undefined => {
    const given = text(key);
    const ms = given === undefined ? undefined : parseDuration(given);
    if (given !== undefined && ms === undefined) fault(key, `${key} must be ${DURATION_HINT}`);
    return ms;
  };
  const outside = durationOf("for");
  if (when?.for !== undefined && raw.for !== undefined) {
    fault("for", '"for" stands in "when" already; write it once');
  }
  const freshnessMs = durationOf("freshness") ?? DEFAULT_FRESHNESS_MS;
  const clear = text("clear") === undefined ? undefined : parseClear(text("clear") as string);
  if (text("clear") !== undefined && !clear) {
    fault("clear", 'clear must be like "below -18" or "above 3"');
  }
  if (when && clear) {
    const wrong = clearFault(when.limit, clear);
    if (wrong) fault("clear", wrong);
  }
  for (const key of ["device", "gateway"] as const) {
    if ((text(key)?.split("*").length ?? 0) - 1 > MAX_STARS) {
      fault(key, `${key} has more than ${MAX_STARS} stars; use fewer`);
    }
  }
  for (const [whole, name] of text("message")?.matchAll(/\{(\w+)\}/g) ?? []) {
    if (!(PLACEHOLDERS as readonly string[]).includes(name ?? "")) {
      const known = PLACEHOLDERS.map((one) => `{${one}}`).join(", ");
      fault("message", `message has the unknown placeholder ${whole}; known are ${known}`);
    }
  }
  if (!good || !when || text("name") === undefined) return [];
  const { threshold, direction } = when.limit;
  return [
    Object.freeze({
      name: text("name") as string,
      metric: when.metric,
      when: when.limit,
      ...(clear ? { clear } : {}),
      forMs: inside ?? outside ?? 0,
      freshnessMs,
      device: text("device") ?? "*",
      gateway: text("gateway") ?? "*",
      severity: (text("severity") ?? "warning") as Severity,
      message: text("message") ?? `{device}: {metric} is {value}, ${direction} ${threshold}`,
    }),
  ];
}

function refuseSameNames(raw: readonly unknown[], report: Report): void {
  const first = new Map<unknown, number>();
  for (const [index, one] of raw.entries()) {
    const name = (one as { name?: unknown } | null)?.name;
    if (typeof name !== "string") continue;
    const before = first.get(name);
    if (before === undefined) first.set(name, index);
    else
      report(
        ["rules", index, "name"],
        `rule ${before + 1} is called "${name}" already; names are unique`,
      );
  }
}

interface When {
  readonly metric: string;
  readonly limit: Limit;
  readonly for: string | undefined;
}

function parseWhen(text: string): When | undefined {
  const [, metric, direction, number, duration] = WHEN.exec(text.trim()) ?? [];
  const limit = limitOf(direction, number);
  return metric === undefined || !limit ? undefined : { metric, limit, for: duration };
}

function parseClear(text: string): Limit | undefined {
  const [, direction, number] = CLEAR.exec(text.trim()) ?? [];
  return limitOf(direction, number);
}

function limitOf(direction: string | undefined, number: string | undefined): Limit | undefined {
  const threshold = Number(number);
  const known = DIRECTIONS.find((one) => one === direction) as Direction | undefined;
  return known && Number.isFinite(threshold) ? { direction: known, threshold } : undefined;
}

/** An alert that its own clear value ends at once, or never reaches, flaps or stays for ever. */
function clearFault(when: Limit, clear: Limit): string | undefined {
  const opposite = when.direction === "above" ? "below" : "above";
  if (clear.direction !== opposite) {
    return `"when" looks ${when.direction} ${when.threshold}, so clear must look ${opposite}: e.g. "${opposite} ${when.threshold}"`;
  }
  const overlaps =
    when.direction === "above"
      ? clear.threshold > when.threshold
      : clear.threshold < when.threshold;
  return overlaps
    ? `clear ${clear.direction} ${clear.threshold} would end alerts whose condition still holds; use ${opposite} ${when.threshold} or further`
    : undefined;
}
