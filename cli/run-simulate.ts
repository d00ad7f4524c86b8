/** A simulated fleet as a program: progress and the summary on standard error. */
import { stringify } from "yaml";
import { loadRules } from "../rules/file.ts";
import type { Rule } from "../rules/rule.ts";
import { Fleet } from "../simulator/fleet.ts";
import type { FleetProgress, FleetSummary } from "../simulator/fleet-progress.ts";
import { ScenarioFleet } from "../simulator/fleet-scenario.ts";
import { fleetLine, fleetSummaryLine, ProgressPrinter } from "../simulator/progress.ts";
import { listScenarios, loadScenario } from "../simulator/scenario/library.ts";
import type { Scenario } from "../simulator/scenario/scenario.ts";
import { CommandError } from "./errors.ts";
import type { SimulateOptions } from "./simulate.ts";

/** For the first connection, ms: who simulates against nothing has mistyped something, and is looking. */
export const CONNECT_MS = 5000;
const DEFAULT_DEVICES = 50;
const DEFAULT_SEED = 1;

type Progress = (progress: FleetProgress) => void;

export async function runSimulate(name: string | undefined, given: SimulateOptions): Promise<void> {
  if (given.list) {
    for (const one of listScenarios()) console.log(`${one.name.padEnd(16)}${one.description}`);
    return;
  }
  const scenario = name === undefined ? undefined : scenarioOf(name, given);
  if (given.printRules) {
    if (!scenario) throw new CommandError("--print-rules needs a scenario, whose rules they are");
    process.stdout.write(rulesYaml(scenario.rules));
    return;
  }
  const printer = new ProgressPrinter(process.stderr);
  const onProgress: Progress = (progress) => printer.update(fleetLine(progress));
  const fleet = scenario
    ? scenarioFleet(scenario, given, onProgress)
    : plainFleet(given, onProgress);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      // How it ended is told by `finished`.
      fleet.stop().catch(() => undefined);
    });
  }
  await fleet.start();
  const summary = await fleet.finished.finally(() => printer.clear());
  printer.end(fleetSummaryLine(summary));
  if (given.json) console.log(JSON.stringify(summary));
  else if (given.ledger !== undefined) console.log(`ledger: ${given.ledger}`);
  if (!complete(summary, scenario !== undefined)) process.exitCode = 1;
}

/** What a scenario's devices give up is part of the scenario. */
function complete(summary: FleetSummary, isScenario: boolean): boolean {
  const { unacknowledged, unsent, dropped } = summary;
  return unacknowledged + unsent === 0 && (isScenario || dropped === 0);
}

function plainFleet(options: SimulateOptions, onProgress: Progress): Fleet {
  return new Fleet({
    host: options.host,
    port: options.mqttPort,
    devices: options.devices ?? DEFAULT_DEVICES,
    prefix: options.prefix,
    rate: options.rate,
    seed: options.seed ?? DEFAULT_SEED,
    reconnectEveryMs: options.reconnect,
    backfillMs: options.backfill,
    durationMs: options.duration,
    count: options.count,
    ledger: options.ledger,
    rules: options.rules === undefined ? undefined : loadRules(options.rules),
    connectMs: CONNECT_MS,
    onProgress,
  });
}

function scenarioFleet(
  scenario: Scenario,
  options: SimulateOptions,
  onProgress: Progress,
): ScenarioFleet {
  return new ScenarioFleet({
    scenario,
    host: options.host,
    port: options.mqttPort,
    ...(options.gateway ? { gateways: options.gateway } : {}),
    ledger: options.ledger,
    connectMs: CONNECT_MS,
    onProgress,
  });
}

function scenarioOf(name: string, options: SimulateOptions): Scenario {
  const { devices, seed, duration, rules } = options;
  const scenario = loadScenario(name, { devices, seed, durationMs: duration });
  return rules === undefined ? scenario : { ...scenario, rules: loadRules(rules) };
}

/** As a rules file says it. */
function rulesYaml(rules: readonly Rule[]): string {
  const limit = ({ direction, threshold }: Rule["when"]) => `${direction} ${threshold}`;
  return stringify({
    rules: rules.map((rule) => ({
      name: rule.name,
      device: rule.device,
      gateway: rule.gateway,
      when: `${rule.metric} ${limit(rule.when)}`,
      for: `${rule.forMs}ms`,
      ...(rule.clear ? { clear: limit(rule.clear) } : {}),
      severity: rule.severity,
      message: rule.message,
      freshness: `${rule.freshnessMs}ms`,
    })),
  });
}
