/**
 * A scenario from YAML. Every fault is told at once, with its line and column and what to write instead, as for rules; a
 * file with one fault gives no scenario at all.
 */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { loadRules, RulesError, rulesOf } from "../../rules/file.ts";
import type { Rule } from "../../rules/rule.ts";
import { type Report, YamlFile } from "../../rules/yaml-file.ts";
import { build, type Overrides } from "./build.ts";
import { checkStructure } from "./check.ts";
import type { Scenario } from "./scenario.ts";

export class ScenarioError extends Error {
  readonly code = "scenario";
  /** Each with its place, what is wrong and what to do. */
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    const lead = faults.length === 1 ? "" : `${faults.length} faults in the scenario:\n  `;
    super(lead + faults.join("\n  "));
    this.name = "ScenarioError";
    this.faults = faults;
  }
}

/** @throws ScenarioError with every fault of the file */
export function readScenario(file: string, overrides: Overrides = {}): Scenario {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = missing ? "no such file" : (error as Error).message;
    throw new ScenarioError([`${file}: ${why}; name a scenario file that can be read`]);
  }
  return parseScenario(text, file, overrides);
}

/** @param file for messages, and the place from which a rules file is looked for. @throws ScenarioError */
export function parseScenario(text: string, file: string, overrides: Overrides = {}): Scenario {
  const yaml = new YamlFile(text, file);
  const made =
    yaml.content === undefined
      ? undefined
      : scenarioOf(yaml.content, overrides, dirname(file), yaml.report);
  if (!made || yaml.faults.length > 0) throw new ScenarioError(yaml.faults);
  return made;
}

/**
 * The same for YAML and for code.
 * @param folder from which a rules file is looked for
 * @returns undefined where something was reported
 */
export function scenarioOf(
  content: unknown,
  overrides: Overrides,
  folder: string,
  report: Report,
): Scenario | undefined {
  const rules = readRules((content as { readonly rules?: unknown } | null)?.rules, folder, report);
  if (!checkStructure(content, report)) return undefined;
  return build(content, rules, overrides, report);
}

function readRules(raw: unknown, folder: string, report: Report): readonly Rule[] {
  if (raw === undefined) return [];
  if (typeof raw !== "string") return rulesOf({ rules: raw }, report);
  try {
    return loadRules(isAbsolute(raw) ? raw : join(folder, raw));
  } catch (error) {
    if (!(error instanceof RulesError)) throw error;
    for (const fault of error.faults) report(["rules"], `in the rules file: ${fault}`);
    return [];
  }
}
