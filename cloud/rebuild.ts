/**
 * What can be made anew of the cloud, and what came of it: the plans of rollups and alerts, for `tidegate rebuild`.
 */
import { parseRules } from "../rules/file.ts";
import {
  type EventLog,
  EventLogError,
  type PartitionRebuild,
  type RebuildOptions,
} from "../stream/port.ts";
import { alertRebuild, type RuleOutcome } from "./alert-rebuild.core.ts";
import type { CloudSettings } from "./config.ts";
import { rollupRebuild } from "./rollup-rebuild.core.ts";
import { alertOptions, cloudTopologies, keepHoursOf } from "./topics.ts";

export const REBUILDABLE = ["rollups", "alerts"] as const;
export type Rebuildable = (typeof REBUILDABLE)[number];

export function isRebuildable(name: string): name is Rebuildable {
  return (REBUILDABLE as readonly string[]).includes(name);
}

export interface RebuildRequest {
  readonly topology: Rebuildable;
  /** Replay what was sent from then on, ms since 1970. */
  readonly from?: number;
  readonly dryRun: boolean;
  /** For alerts: the rules that are to hold, as YAML, and how the file is called. */
  readonly rules?: { readonly text: string; readonly file: string };
}

export interface RebuildSummary {
  readonly topology: Rebuildable;
  readonly dryRun: boolean;
  /** Events replayed. */
  readonly records: number;
  /** When the first of them was sent, ms since 1970; of the partition where that was latest. */
  readonly since?: number;
  /** Whether that was the first event that the log ever had, in every partition. */
  readonly whole: boolean;
  /** Keys of the state that changed, or would. */
  readonly changed: number;
  /** Records put out, by topic. */
  readonly outputs: Readonly<Record<string, number>>;
  readonly partitions: number;
  /** For alerts: what became of each rule. */
  readonly rules?: readonly RuleOutcome[];
  /** The longest that a partition was not processed, ms. */
  readonly longestHoldMs: number;
}

export type RebuildSurroundings = Pick<
  RebuildOptions,
  "directory" | "minFreeBytes" | "signal" | "onProgress"
>;

export interface RebuildOf {
  readonly log: EventLog;
  readonly namespace: string;
  readonly settings: Pick<CloudSettings, "rollups">;
}

/** @throws EventLogError as EventLog.rebuild does, RulesError */
export async function rebuildCloud(
  of: RebuildOf,
  request: RebuildRequest,
  surroundings: RebuildSurroundings,
): Promise<RebuildSummary> {
  const { topology: name, from, dryRun } = request;
  const rules = request.rules ? parseRules(request.rules.text, request.rules.file) : [];
  const options = { ...surroundings, dryRun, ...(from === undefined ? {} : { from }) };
  const topology = cloudTopologies(of.namespace, of.settings, rules).find(
    (one) => one.name === name,
  );
  if (!topology) throw new Error(`there is no topology ${name}`);
  if (name === "rollups") {
    const plan = rollupRebuild(topology, keepHoursOf(of.settings));
    return summaryOf(request, await of.log.rebuild(topology, plan, options));
  }
  if (!request.rules) {
    throw new EventLogError("invalid", "alerts are rebuilt by rules: none were given");
  }
  const plan = alertRebuild(alertOptions(of.namespace, rules));
  const told = await of.log.rebuild(topology, plan, options);
  return { ...summaryOf(request, told), rules: plan.outcomes() };
}

export function summaryOf(
  { topology, dryRun }: RebuildRequest,
  told: readonly PartitionRebuild[],
): RebuildSummary {
  const sum = (of: (one: PartitionRebuild) => number) =>
    told.reduce((all, one) => all + of(one), 0);
  const outputs: Record<string, number> = {};
  for (const one of told) {
    for (const [topic, count] of Object.entries(one.outputs)) {
      outputs[topic] = (outputs[topic] ?? 0) + count;
    }
  }
  const firsts = told.flatMap(({ first }) => first ?? []);
  return {
    topology,
    dryRun,
    records: sum((one) => one.records),
    ...(firsts.length > 0 ? { since: Math.max(...firsts.map((one) => one.timestamp)) } : {}),
    whole: firsts.every(({ offset }) => offset === 0),
    changed: sum((one) => one.changed),
    outputs,
    partitions: told.length,
    longestHoldMs: Math.max(0, ...told.map((one) => one.heldMs)),
  };
}
