/**
 * A fleet as code, for anybody's tests: the words of a scenario file as TypeScript, checked by the same code. What comes of it
 * is a plan; it runs nothing by itself.
 *
 * ```ts
 * const freezers = fleet({
 *   duration: "6h",
 *   rules: "./rules.yaml",
 *   gateways: [{ name: "store", link: { down: { every: "2h", for: "20m" } }, devices: [{ kind: "freezer", count: 10, every: "60s" }] }],
 *   events: [{ at: "3h", for: "30m", device: "freezer-3", metric: "temperature", add: 12 }],
 * });
 * ```
 */

import type { Path, Report } from "../../rules/yaml-file.ts";
import { rangeFault } from "../errors.ts";
import type { Overrides } from "./build.ts";
import type { FleetDefinition } from "./definition.ts";
import { ScenarioError, scenarioOf } from "./file.ts";
import { loadScenario } from "./library.ts";
import type { Scenario } from "./scenario.ts";

export interface FleetPlan {
  readonly name: string;
  readonly description: string | undefined;
  /** The same for the same seed. @throws ScenarioError where an override is out of its range */
  scenario(overrides?: Overrides): Scenario;
}

/**
 * @param definition or the name of a shipped scenario, or the path of a scenario file
 * @throws ScenarioError with every fault at once
 */
export function fleet(definition: FleetDefinition | string): FleetPlan {
  const make = (overrides: Overrides): Scenario => {
    refuseOverrides(overrides);
    return typeof definition === "string"
      ? loadScenario(definition, overrides)
      : fromCode(definition, overrides);
  };
  // So that a fault is told where the fleet is written, not where it is run.
  const { name, description } = make({});
  return { name, description, scenario: (overrides = {}) => make(overrides) };
}

function fromCode(definition: FleetDefinition, overrides: Overrides): Scenario {
  const faults: string[] = [];
  const report: Report = (path, message) => faults.push(`${placeOf(path)}: ${message}`);
  const made = scenarioOf({ name: "fleet", ...definition }, overrides, process.cwd(), report);
  if (!made || faults.length > 0) throw new ScenarioError([...new Set(faults)]);
  return made;
}

function refuseOverrides({ seed = 0, durationMs = 1, devices = 1 }: Overrides): void {
  const faults = [
    Number.isInteger(seed)
      ? rangeFault("seed", seed, 0, 2 ** 32 - 1)
      : `seed is ${seed}; it must be a whole number`,
    rangeFault("duration", durationMs, 1, Number.MAX_SAFE_INTEGER),
    Number.isInteger(devices)
      ? rangeFault("devices", devices, 1, 100_000)
      : `devices is ${devices}; it must be a whole number`,
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new ScenarioError(faults);
}

/** `fleet.gateways[0].devices[1].every`, as one would write it. */
function placeOf(path: Path): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === "number"
        ? `${text}[${step}]`
        : /^\w+$/.test(step)
          ? `${text}.${step}`
          : `${text}[${JSON.stringify(step)}]`,
    "fleet",
  );
}
