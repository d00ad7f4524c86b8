/**
 * What the buffers told, and what their disks lost, against the log: each sequence that was told stands in the log or is
 * declared lost, what is declared damaged was damaged, no sequence is used twice, and a disk that is not as it was left is
 * found, and followed by a new epoch.
 */
import type { EpochStart, Loss } from "../../events/schema.ts";
import { type JournalEvent, type JournalRecord, journalEvents } from "../oracle-journal.ts";
import { countIn, mergedRanges, type Range, rangesWithout } from "../oracle-ranges.ts";
import type { Harm } from "./decay.ts";
import type { GatewayNode } from "./gateway-node.ts";
import type { World } from "./world.ts";

/** What a process sent may come to the log so long after it has ended, ms: copies of messages, and a log that is away. */
const LATE_MS = 60_000;

type Ranges = readonly Range[];

export function toldProblems(world: World, records: readonly JournalRecord[]): readonly string[] {
  const own = Map.groupBy(journalEvents(records), ({ gateway }) => gateway);
  return world.gateways.flatMap((gateway) => {
    // What a cloned card has under its id is not one journal.
    if (world.gateways.some((one) => one !== gateway && one.name === gateway.name)) return [];
    const journal = own.get(gateway.name) ?? [];
    const harms = world.harms.get(gateway) ?? [];
    return [
      ...lostProblems(gateway, journal, harms),
      ...epochProblems(gateway, journal, harms),
      ...needlessLosses(world, gateway, journal),
    ].map((problem) => `${gateway.name}: ${problem}`);
  });
}

/** What of a gateway went with its disk, so that nobody is left to tell of it, by epoch. */
export function goneOf(world: World, name: string): ReadonlyMap<string, Ranges> {
  const gateway = world.gateways.find((one) => one.name === name);
  return taken((gateway && world.harms.get(gateway)) ?? [], "gone");
}

/** Positions of each gateway that went with its disk. */
export function goneCounts(world: World): ReadonlyMap<string, number> {
  return new Map(
    world.gateways.map(({ name }) => {
      const ranges = [...goneOf(world, name).values()];
      return [name, ranges.reduce((sum, some) => sum + countIn(some), 0)];
    }),
  );
}

function taken(
  harms: readonly Harm[],
  which: "lost" | "due" | "gone",
): ReadonlyMap<string, Ranges> {
  const found = new Map<string, Ranges>();
  for (const harm of harms) {
    for (const [epoch, ranges] of harm[which]) {
      found.set(epoch, mergedRanges([...(found.get(epoch) ?? []), ...ranges]));
    }
  }
  return found;
}

function lostProblems(
  { testimony }: GatewayNode,
  journal: readonly JournalEvent[],
  harms: readonly Harm[],
): readonly string[] {
  const problems: string[] = [];
  const there = new Map<string, Range[]>();
  const declared = new Map<string, Range[]>();
  const damaged = new Map<string, Range[]>();
  for (const { epoch, sequence, type, data } of journal) {
    const loss = type === "tidegate.loss" ? (data as Loss) : undefined;
    if (!loss) push(there, epoch, [sequence, sequence]);
    else {
      push(declared, epoch, [loss.from, loss.to]);
      if (loss.reason === "damage") push(damaged, epoch, [loss.from, loss.to]);
    }
  }
  const gone = taken(harms, "gone");
  for (const [epoch, sequences] of testimony.offered) {
    const told = [...sequences.keys()].map((one): Range => [one, one]);
    const known = [there, declared, gone].flatMap((some) => some.get(epoch) ?? []);
    const missing = rangesWithout(told, known);
    if (missing.length > 0) problems.push(`${epoch} was told, and is gone: ${missing.join("; ")}`);
  }
  const lost = taken(harms, "lost");
  for (const [epoch, ranges] of damaged) {
    const intact = rangesWithout(ranges, lost.get(epoch) ?? []);
    if (intact.length > 0) {
      problems.push(`${epoch}: declared lost by damage, and it was not: ${intact.join("; ")}`);
    }
  }
  for (const [epoch, ranges] of taken(harms, "due")) {
    const known = [there, declared, gone].flatMap((some) => some.get(epoch) ?? []);
    const silent = rangesWithout(ranges, known);
    if (silent.length > 0) {
      problems.push(`${epoch} was lost by damage and not declared: ${silent.join("; ")}`);
    }
  }
  for (const id of testimony.early) problems.push(`${id} was told before the mark said so`);
  for (const id of testimony.twice) problems.push(`${id} was given to two events`);
  return problems;
}

function epochProblems(
  { testimony, disk }: GatewayNode,
  journal: readonly JournalEvent[],
  harms: readonly Harm[],
): readonly string[] {
  const problems: string[] = [];
  if (harms.length === 0 && disk.findings.length > 0) {
    problems.push("nothing happened to its disk, and a start found it damaged");
  }
  const moments = [
    ...harms.flatMap(({ at, off, detectable, kind }) => (off && detectable ? [{ at, kind }] : [])),
    ...disk.findings.map((at) => ({ at, kind: "damage that a start found" })),
  ];
  for (const { at, kind } of moments) {
    for (const [epoch, begun] of testimony.begun) {
      if (begun > at) continue;
      const later = [...(testimony.offered.get(epoch) ?? [])].find(([, offered]) => offered > at);
      if (later) problems.push(`${epoch} goes on with ${later[0]} after ${kind}`);
    }
  }
  const reasons = journal.flatMap(({ type, data }) =>
    type === "tidegate.epoch" ? [(data as EpochStart).reason] : [],
  );
  if (harms.at(-1)?.kind === "old copy put back" && !reasons.includes("restored")) {
    problems.push("an old copy was put back, and no epoch says so");
  }
  return problems;
}

/**
 * What stands in the log is not given up for room: a process knows what it has sent. Only one that was started after that may
 * not know yet.
 */
function needlessLosses(
  world: World,
  { clock, starts, testimony }: GatewayNode,
  journal: readonly JournalEvent[],
): readonly string[] {
  const arrived = new Map<string, number>();
  const problems: string[] = [];
  const { start } = world.scenario;
  for (const { id, epoch, type, data, record } of journal) {
    if (type !== "tidegate.loss") {
      if (!arrived.has(id)) arrived.set(id, record.timestamp);
      continue;
    }
    const { from, to, reason, boot, uptime } = data as Loss;
    const booted = clock.boots.get(boot);
    if (reason !== "full" || booted === undefined) continue;
    const declared = booted + uptime;
    for (let one = from; one <= to; one += 1) {
      const at = arrived.get(`${epoch}-${one}`);
      if (at === undefined || !testimony.offered.get(epoch)?.has(one)) continue;
      const restarted = starts.some(
        (since) => start + since >= at - LATE_MS && start + since <= declared,
      );
      if (!restarted) problems.push(`${epoch}-${one} is in the log, and ${id} declares it lost`);
    }
  }
  return problems;
}

function push(map: Map<string, Range[]>, key: string, range: Range): void {
  const list = map.get(key);
  if (list) list.push(range);
  else map.set(key, [range]);
}
