/**
 * `tidegate/simulator`: what anybody's tests import. A fleet as code or from a scenario file, run in virtual time through the
 * product's own gateway and processors, with disks, clocks and networks that fail by a seed.
 *
 * ```ts
 * const run = await fleet({ duration: "6h", rules: "./rules.yaml", gateways: [{ name: "store", devices: [{ kind: "freezer" }] }] }).run();
 * expect(run.problems).toEqual([]);
 * ```
 */
import { type FleetResult, LiveFleet } from "./live-fleet.ts";
import type { Overrides } from "./scenario/build.ts";
import { type FleetDefinition, type FleetPlan, fleet as plan } from "./scenario/fleet.ts";
import { faultsOf, faultText } from "./world/faults.ts";
import { timelineText } from "./world/report.ts";

export type { FleetAlert, FleetResult, GatewayFault, LiveFleet, SiteFault } from "./live-fleet.ts";
export { ScenarioError } from "./scenario/file.ts";
export type { FleetDefinition } from "./scenario/fleet.ts";
export { listScenarios } from "./scenario/library.ts";
export type { Scenario } from "./scenario/scenario.ts";

export interface Fleet extends FleetPlan {
  /** From its beginning to its end. The same for the same seed, to the last reading. */
  run(overrides?: Overrides): Promise<FleetResult>;
  /** Switched on and in your hands: you let the time pass. */
  start(overrides?: Overrides): Promise<LiveFleet>;
}

/**
 * @param definition or the name of a shipped scenario, or the path of a scenario file
 * @throws ScenarioError with every fault at once, where the fleet is written
 */
export function fleet(definition: FleetDefinition | string): Fleet {
  const made = plan(definition);
  const start = async (overrides: Overrides = {}) => {
    const live = new LiveFleet(made.scenario(overrides));
    await live.start();
    return live;
  };
  return { ...made, start, run: async (overrides) => await (await start(overrides)).finish() };
}

/** For the message of a test that fails: what was planned to go wrong, what happened, and what is not as it must be. */
export function story({ scenario, problems, timeline }: FleetResult): string {
  return [
    `${scenario.name}, seed ${scenario.seed}`,
    ...problems.map(({ check, message }) => `  ${check}: ${message}`),
    "planned to go wrong:",
    ...faultsOf(scenario).map((fault) => `  ${faultText(fault, scenario)}`),
    "what happened:",
    ...timelineText(timeline),
  ].join("\n");
}
