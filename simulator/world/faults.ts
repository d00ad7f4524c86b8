/**
 * What will go wrong in a run, as a list: made from the scenario and the seed before it begins, so that a failing run can be
 * repeated without one of them, and so be told by those that matter.
 */
import { childSeed } from "../random.ts";
import { stretchesOf } from "../scenario/outages.core.ts";
import type { Outages, Scenario } from "../scenario/scenario.ts";
import { clockText } from "./record.ts";

export const FAULT_KINDS = [
  "link down",
  "half open",
  "gateway power cut",
  "buffer write errors",
  "disk full",
  "clock jump",
  "log away",
  "site power cut",
  "processors killed",
  "log write errors",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Index among the scenario's gateways; undefined for the site. */
  readonly gateway: number | undefined;
  /** ms from the beginning of the run. */
  readonly at: number;
  /** How long it lasts; of power, until it is back. */
  readonly lastsMs: number;
  /** Of a clock's jump. */
  readonly byMs?: number;
}

/** @returns in the order of their beginnings */
export function faultsOf(scenario: Scenario): readonly Fault[] {
  const { seed, durationMs, site } = scenario;
  const faults: Fault[] = [];
  const add = (kind: FaultKind, gateway: number | undefined, outages: Outages) => {
    const own = childSeed(seed, `${kind} ${gateway ?? "site"}`);
    for (const stretch of stretchesOf(outages, own, durationMs)) {
      faults.push({ kind, gateway, ...stretch });
    }
  };
  for (const [at, { link, power, buffer, clock }] of scenario.gateways.entries()) {
    add("link down", at, link.down);
    add("half open", at, link.halfOpen);
    add("gateway power cut", at, power);
    add("buffer write errors", at, buffer.writeErrors);
    add("disk full", at, buffer.diskFull);
    for (const jump of clock.jumps) {
      faults.push({ kind: "clock jump", gateway: at, at: jump.at, lastsMs: 0, byMs: jump.byMs });
    }
  }
  add("log away", undefined, site.logAway);
  add("site power cut", undefined, site.power);
  add("processors killed", undefined, site.processorKills);
  add("log write errors", undefined, site.writeErrors);
  return faults.sort((a, b) => a.at - b.at);
}

export function faultText(fault: Fault, scenario: Scenario): string {
  const { kind, gateway, at, lastsMs, byMs } = fault;
  const who = gateway === undefined ? "site" : (scenario.gateways[gateway]?.name ?? "?");
  const how = byMs === undefined ? `for ${clockText(lastsMs)}` : `by ${byMs} ms`;
  return `${kind}, ${who}, at ${clockText(at)} ${how}`;
}
