/**
 * Scenarios by chance: a seed makes a small site with a few gateways and devices of all manners, and much that goes wrong
 * within minutes. What they find is shown by the mutations (test/simulation): each kind of fault is there in a few seeds.
 */
import type { Rule } from "../../rules/rule.ts";
import { childSeed } from "../random.ts";
import { NEVER } from "../scenario/outages.core.ts";
import type {
  Behaviour,
  ClockSpec,
  DecaySpec,
  DeviceSpec,
  GatewaySpec,
  MetricSpec,
  Outages,
  Scenario,
} from "../scenario/scenario.ts";
import { noise } from "../signals.ts";
import { Chance } from "./chance.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
/** 2026-03-01T00:00:00Z, a midnight: windows end while it runs. */
const START_MS = 1_772_323_200_000;

export interface RandomOptions {
  /** Chance that a gateway's disk decays. Default 0.2. */
  readonly decay?: number;
  /** Most minutes of a run. Default 6. */
  readonly minutes?: number;
}

export function randomScenario(seed: number, options: RandomOptions = {}): Scenario {
  const { minutes = 6, decay: decays = 0.2 } = options;
  const chance = new Chance(seed, "scenario");
  // A few are long and sparse: what is not woken by one thing is not woken by the next one soon.
  const long = new Chance(seed, "long");
  const sparse = long.happens(0.05) ? long.between(20, 60) : 1;
  const calm = sparse > 1 && long.happens(0.5);
  const shortMs = chance.between(1, minutes) * MINUTE_MS;
  const durationMs = Math.round(sparse > 1 ? long.between(30, 60) * MINUTE_MS : shortMs);
  // Near the end of an hour or a day, so that windows close within the run.
  const start = START_MS + chance.of([0, HOUR_MS - durationMs / 2, DAY_MS - durationMs / 2]);
  const some = (probability: number, lastsMs: number): Outages => {
    if (!chance.happens(probability) || calm) return NEVER;
    const everyMs = durationMs * chance.between(0.3, 1.2);
    return { at: [], random: { everyMs, lastsMs: lastsMs * chance.between(0.2, 1.5) } };
  };
  const gateways = Array.from({ length: chance.whole(1, 3) }, (_, at) =>
    gateway(seed, `g${at + 1}`, durationMs, chance, some, decays),
  ).map((one) => (sparse > 1 ? sparser(one, sparse, calm) : one));
  const limits = long.happens(0.3)
    ? { commitRecords: long.of([1, 3, 20]), stateCacheBytes: long.of([500, 4000]) }
    : undefined;
  return {
    name: `random-${seed}`,
    start: Math.floor(start),
    durationMs,
    seed,
    ...(sparse > 1 ? { heartbeatMs: MINUTE_MS } : {}),
    rules: RULES,
    gateways,
    site: {
      logAway: some(0.4, 40_000),
      power: some(0.3, 20_000),
      processorKills: some(0.5, 1000),
      processorMoves: calm ? NEVER : program(seed, "moves", durationMs),
      writeErrors: some(0.25, 3000),
      duplicates: chance.of(["once", "twice"]),
      ...(limits ? { limits } : {}),
    },
  };
}

/** @param calm nothing goes wrong with it */
function sparser(gateway: GatewaySpec, times: number, calm: boolean): GatewaySpec {
  const { link, clock, buffer } = gateway;
  const devices = gateway.devices.map((device) => ({
    ...device,
    everyMs: Math.round(device.everyMs * times),
    behaviour: { ...device.behaviour, reconnectEveryMs: device.behaviour.reconnectEveryMs * times },
  }));
  if (!calm) return { ...gateway, devices, power: NEVER };
  return {
    ...gateway,
    ...{ devices, power: NEVER, kills: NEVER, restarts: NEVER },
    link: { ...link, loss: 0, jitterMs: Math.min(50, link.jitterMs) },
    clock: { ...clock, jumps: [] },
    buffer: { ...buffer, decay: {} },
  };
}

type Some = (probability: number, lastsMs: number) => Outages;

function gateway(
  seed: number,
  name: string,
  durationMs: number,
  chance: Chance,
  some: Some,
  decays: number,
): GatewaySpec {
  const rough = chance.happens(0.6);
  return {
    name,
    link: {
      latencyMs: chance.between(1, 150),
      jitterMs: chance.between(0, rough ? 2000 : 50),
      loss: rough ? chance.between(0, 0.2) : 0,
      duplicates: rough ? chance.between(0, 0.3) : 0,
      down: some(0.5, 30_000),
      halfOpen: some(0.4, 30_000),
    },
    clock: clock(durationMs, chance),
    power: chance.happens(0.15) ? often(durationMs) : some(0.4, 15_000),
    kills: program(seed, `${name} kills`, durationMs),
    restarts: program(seed, `${name} restarts`, durationMs),
    buffer: {
      capacityBytes: chance.happens(0.2) ? 16 * 1024 : 64 * 1024 ** 2,
      policy: chance.of(["drop-oldest", "refuse"]),
      commitWindowMs: chance.happens(0.2) ? chance.whole(5, 500) : 0,
      writeErrors: some(0.4, 1500),
      diskFull: some(0.2, 15_000),
      decay: decay(new Chance(seed, `${name} decay`), durationMs, decays),
    },
    devices: Array.from({ length: chance.whole(1, 4) }, (_, at) =>
      device(seed, `${name}-d${at + 1}`, chance),
    ),
  };
}

/** The gateway's, or the processors', ended and started again. Of a chance of its own, so that the others stay as they are. */
function program(seed: number, part: string, durationMs: number): Outages {
  const chance = new Chance(seed, part);
  if (!chance.happens(0.3)) return NEVER;
  const everyMs = durationMs * chance.between(0.2, 1);
  return { at: [], random: { everyMs, lastsMs: chance.of([1, 500, 5000]) } };
}

/** Of one gateway in a few, as something that happens seldom more than once. */
function decay(chance: Chance, durationMs: number, probability: number): DecaySpec {
  if (!chance.happens(probability)) return {};
  const kind = chance.of([
    "recordDamaged",
    "tailLost",
    "storeLost",
    "markLost",
    "oldCopy",
    "diskLost",
  ] as const);
  const lastsMs = kind === "oldCopy" ? durationMs * chance.between(0.02, 0.4) : 3000;
  return { [kind]: { at: [], random: { everyMs: durationMs * chance.between(0.3, 1), lastsMs } } };
}

/** A loose plug. */
function often(durationMs: number): Outages {
  return { at: [], random: { everyMs: Math.min(12_000, durationMs / 8), lastsMs: 1000 } };
}

function clock(durationMs: number, chance: Chance): ClockSpec {
  const jumps = Array.from({ length: chance.happens(0.4) ? chance.whole(1, 3) : 0 }, () => ({
    at: chance.between(0, durationMs),
    byMs: Math.round(
      chance.of([3000, HOUR_MS, DAY_MS, 12 * YEAR_MS]) *
        chance.of([-1, 1]) *
        chance.between(0.5, 1),
    ),
  }));
  const offAtBootMs = -Math.round(chance.of([HOUR_MS, 90 * DAY_MS, 56 * YEAR_MS]));
  const kind = chance.of(["synced", "synced", "late", "never"]);
  if (kind === "synced") return { syncAfterMs: 0, offAtBootMs: 0, jumps };
  if (kind === "never") return { syncAfterMs: undefined, offAtBootMs, jumps };
  // Mostly while the forwarding still waits for it.
  return { syncAfterMs: chance.between(1, 8 * MINUTE_MS), offAtBootMs, jumps };
}

function device(seed: number, name: string, chance: Chance): DeviceSpec {
  // Of a chance of its own, so that the others stay as they are.
  const small = new Chance(seed, `${name} firmware`);
  return {
    name,
    // Some measure on the second, and so at the very ends of windows.
    ...(chance.happens(0.3)
      ? { everyMs: chance.of([1000, 2000, 5000]), phaseMs: 0 }
      : { everyMs: chance.whole(500, 5000), phaseMs: chance.whole(0, 3000) }),
    qos: chance.of([0, 1, 1, 1, 2]),
    persistent: chance.happens(0.5),
    numbered: small.happens(0.8),
    metrics: metrics(childSeed(seed, name), chance),
    behaviour: { ...behaviour(chance), packetIds: small.of([65_535, 65_535, 1, 4, 25, 66]) },
  };
}

function behaviour(chance: Chance): Behaviour {
  const sleep = chance.happens(0.2) ? { sleep: { everyMs: chance.between(5000, 30_000) } } : {};
  return {
    time: chance.of(["device", "device", "none", "wrong"]),
    clockOffMs: Math.round(chance.of([-20 * YEAR_MS, -HOUR_MS, 2 * HOUR_MS, 10 * YEAR_MS])),
    duplicates: chance.happens(0.3) ? chance.between(0, 0.2) : 0,
    ignoresAcks: chance.happens(0.3) ? chance.between(0, 0.3) : 0,
    ...sleep,
    reconnectEveryMs: chance.happens(0.5) ? chance.between(5000, 60_000) : 0,
    maxQueued: chance.of([5, 100, 10_000]),
    window: chance.of([1, 5, 20]),
    ackTimeoutMs: chance.happens(0.5) ? chance.between(2000, 20_000) : 0,
    silent: NEVER,
  };
}

function metrics(seed: number, chance: Chance): Readonly<Record<string, MetricSpec>> {
  const base = chance.between(-20, 30);
  const wobble = noise(childSeed(seed, "value"), 4);
  const value: MetricSpec = { unit: "°C", at: (time) => round(base + (wobble(time) ?? 0)) };
  const open: MetricSpec = { unit: "", at: (time) => Math.floor(time / 7000) % 3 === 0 };
  return chance.happens(0.5) ? { temperature: value, open } : { temperature: value };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const RULE = {
  metric: "temperature",
  device: "*",
  gateway: "*",
  severity: "warning",
  message: "{device}: {metric} is {value}",
} as const;

const RULES: readonly Rule[] = [
  {
    ...RULE,
    name: "hot",
    when: { direction: "above", threshold: 8 },
    forMs: 0,
    freshnessMs: HOUR_MS,
  },
  {
    ...RULE,
    name: "warm",
    when: { direction: "above", threshold: 5 },
    clear: { direction: "below", threshold: 3 },
    forMs: 8000,
    freshnessMs: 30_000,
  },
  {
    ...RULE,
    name: "cold",
    device: "*-d1",
    gateway: "g1",
    when: { direction: "below", threshold: -5 },
    forMs: 20_000,
    freshnessMs: 5000,
  },
];
