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
import type { FleetDefinition } from "./scenario/definition.ts";
import { type FleetPlan, fleet as plan } from "./scenario/fleet.ts";
import { type SweepOptions, type SweepResult, sweep } from "./sweep.ts";
import { alertLines } from "./sweep-text.ts";
import { faultsOf, faultText } from "./world/faults.ts";
import { timelineText } from "./world/report.ts";

export type {
  Duration,
  FleetAlert,
  FleetReading,
  FleetResult,
  GatewayFault,
  LiveFleet,
  SiteFault,
  Until,
} from "./live-fleet.ts";
export type { LinkQuality } from "./live-scenario.ts";
export type { Overrides } from "./scenario/build.ts";
export type * from "./scenario/definition.ts";
export { ScenarioError } from "./scenario/file.ts";
export { listScenarios } from "./scenario/library.ts";
export type { MetricFunction, MetricMoment } from "./scenario/metric-schema.ts";
export type { Scenario } from "./scenario/scenario.ts";
export { SweepError, type SweepOptions, type SweepResult } from "./sweep.ts";

export interface Fleet extends FleetPlan {
  /** From its beginning to its end. The same for the same seed, to the last reading. */
  run(overrides?: Overrides): Promise<FleetResult>;
  /** Switched on and in your hands: you let the time pass. */
  start(overrides?: Overrides): Promise<LiveFleet>;
  /** With many seeds; one that fails is made small and told. @throws SweepError at the first seed that fails */
  sweep(options: SweepOptions): Promise<SweepResult>;
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
  return {
    ...made,
    start,
    run: async (overrides) => await (await start(overrides)).finish(),
    sweep: (options) => sweep(made.scenario, options),
  };
}

/**
 * For the message of a test that fails: what is not as it must be, what came of the rules, what was planned to go wrong, and
 * what happened.
 */
export function story({ scenario, problems, warnings, alerts, timeline }: FleetResult): string {
  const faults = faultsOf(scenario).map((fault) => `  ${faultText(fault, scenario)}`);
  // A status that finds no way is one line for each of thousands, and hurts nobody.
  const happened = timeline.filter(({ what }) => !what.startsWith("warn: status not sent"));
  return [
    `${scenario.name}, seed ${scenario.seed}`,
    ...problems.map(({ check, message }) => `  ${check}: ${message}`),
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...alertLines(alerts),
    ...(faults.length > 0 ? ["planned to go wrong:", ...faults] : []),
    "what happened:",
    ...timelineText(happened),
    "",
  ].join("\n");
}
