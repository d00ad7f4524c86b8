/**
 * What will go wrong in a run, as a list: made from the scenario and the seed before it begins, so that a failing run can be
 * repeated without one of them, and so be told by those that matter.
 */
import { childSeed } from "../random.ts";
import { NEVER, stretchesOf } from "../scenario/outages.core.ts";
import type { BufferSpec, Outages, Scenario } from "../scenario/scenario.ts";
import { DECAYS, type Decay } from "./decay.ts";
import { clockText } from "./record.ts";

export const FAULT_KINDS = [
  "link down",
  "half open",
  "gateway power cut",
  "gateway killed",
  "gateway restarted",
  "buffer write errors",
  "disk full",
  ...DECAYS,
  "clock jump",
  "log away",
  "site power cut",
  "processors killed",
  "processors moved",
  "log write errors",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Index among the scenario's gateways; undefined for the site. */
  readonly gateway: number | undefined;
  /** ms from the beginning of the run. */
  readonly at: number;
  /** How long it lasts; of power or a program, until it is back; of an old copy, how old it is. */
  readonly lastsMs: number;
  /** Of a clock's jump. */
  readonly byMs?: number;
}

/** As a scenario has them. */
const DECAY_NAMES: Readonly<Record<Decay, keyof NonNullable<BufferSpec["decay"]>>> = {
  "record damaged": "recordDamaged",
  "tail lost": "tailLost",
  "store lost": "storeLost",
  "mark lost": "markLost",
  "old copy put back": "oldCopy",
  "disk lost": "diskLost",
};

export function isDecay(kind: FaultKind): kind is Decay {
  return (DECAYS as readonly string[]).includes(kind);
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
  for (const [at, gateway] of scenario.gateways.entries()) {
    const { link, power, kills = NEVER, restarts = NEVER, buffer, clock } = gateway;
    add("link down", at, link.down);
    add("half open", at, link.halfOpen);
    add("gateway power cut", at, power);
    add("gateway killed", at, kills);
    add("gateway restarted", at, restarts);
    add("buffer write errors", at, buffer.writeErrors);
    add("disk full", at, buffer.diskFull);
    for (const kind of DECAYS) add(kind, at, buffer.decay?.[DECAY_NAMES[kind]] ?? NEVER);
    for (const jump of clock.jumps) {
      faults.push({ kind: "clock jump", gateway: at, at: jump.at, lastsMs: 0, byMs: jump.byMs });
    }
  }
  add("log away", undefined, site.logAway);
  add("site power cut", undefined, site.power);
  add("processors killed", undefined, site.processorKills);
  add("processors moved", undefined, site.processorMoves ?? NEVER);
  add("log write errors", undefined, site.writeErrors);
  return faults.sort((a, b) => a.at - b.at);
}

export function faultText(fault: Fault, scenario: Scenario): string {
  const { kind, gateway, at, lastsMs, byMs } = fault;
  const who = gateway === undefined ? "site" : (scenario.gateways[gateway]?.name ?? "?");
  const how = byMs === undefined ? `for ${clockText(lastsMs)}` : `by ${byMs} ms`;
  return `${kind}, ${who}, at ${clockText(at)} ${how}`;
}
