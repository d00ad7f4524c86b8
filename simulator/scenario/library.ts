/** The scenarios that ship with the product, and how one is found: by its name, or by the path of a file. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Overrides } from "./build.ts";
import { readScenario, ScenarioError } from "./file.ts";
import type { Scenario } from "./scenario.ts";

export interface ShippedScenario {
  readonly name: string;
  readonly file: string;
  readonly description: string;
}

/** Beside the sources; what is built reads them from there too. */
function folder(): string {
  const beside = join(import.meta.dirname, "../scenarios");
  return existsSync(beside) ? beside : join(import.meta.dirname, "../../../simulator/scenarios");
}

function names(): readonly string[] {
  return readdirSync(folder())
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.replace(/\.yaml$/, ""))
    .sort();
}

export function listScenarios(): readonly ShippedScenario[] {
  return names().map((name) => {
    const file = join(folder(), `${name}.yaml`);
    return { name, file, description: readScenario(file).description ?? "" };
  });
}

/**
 * @param nameOrPath `cold-chain`, or the path of a YAML file
 * @throws ScenarioError with every fault of the file, or with the names that there are
 */
export function loadScenario(nameOrPath: string, overrides: Overrides = {}): Scenario {
  if (names().includes(nameOrPath)) {
    return readScenario(join(folder(), `${nameOrPath}.yaml`), overrides);
  }
  if (/[/\\.]/.test(nameOrPath) || existsSync(nameOrPath)) {
    return readScenario(nameOrPath, overrides);
  }
  throw new ScenarioError([
    `there is no scenario "${nameOrPath}"; there are ${names().join(", ")}, or name a YAML file, like ./${nameOrPath}.yaml`,
  ]);
}
