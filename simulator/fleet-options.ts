/** What a fleet can be told, with limits, defaults and their reasons. */

import { nameFault } from "../gateway/mqtt/routes.ts";
import type { Rule } from "../rules/rule.ts";
import { rangeFault, refuseFaults } from "./errors.ts";
import type { FleetProgress } from "./fleet-progress.ts";
import type { SimulatedDevice } from "./kinds.ts";
import { SECOND_MS } from "./signals.ts";

export interface FleetOptions {
  readonly host: string;
  readonly port: number;
  /** A number of devices of all kinds, or the devices themselves. */
  readonly devices: number | readonly SimulatedDevice[];
  /** Begins the names of devices that are made by number. Default: nothing. */
  readonly prefix?: string | undefined;
  /** Readings of each device a second. Default 1. */
  readonly rate?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
  /** Ends by itself after this time, ms of live readings. */
  readonly durationMs?: number | undefined;
  /** Ends by itself after so many live readings of each device. */
  readonly count?: number | undefined;
  /** Clean MQTT sessions. Default true. */
  readonly clean?: boolean | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** How often a device loses its connection, on average, ms; 0 for never. Default 10 minutes. */
  readonly reconnectEveryMs?: number | undefined;
  /** History sent first, with device times from that long ago to now, ms. Default 0. */
  readonly backfillMs?: number | undefined;
  /** From one reading of the history to the next, ms. Default 30 s. */
  readonly backfillStepMs?: number | undefined;
  /** Most unacknowledged messages of one device. Default 20: what a small device's memory holds. */
  readonly window?: number | undefined;
  /** Most readings that a device keeps while the broker is away; then it drops the oldest. Default 10,000. */
  readonly maxQueued?: number | undefined;
  /** How long to wait for the first connection of any device before giving up, ms. Default: without end. */
  readonly connectMs?: number | undefined;
  /** Connections made each second at the start. Default 500: a broker's listen backlog is 511. */
  readonly connectsPerSecond?: number | undefined;
  /** What `stop` waits for the acknowledgements of what was sent, ms. Default 10 s. */
  readonly drainMs?: number | undefined;
  /** File for the ledger (ledger.ts); begun anew. Without it nothing is written. */
  readonly ledger?: string | undefined;
  /** What the run is to be judged by, noted in the ledger. */
  readonly rules?: readonly Rule[] | undefined;
  readonly onProgress?: ((progress: FleetProgress) => void) | undefined;
  /** Default 1 s. */
  readonly progressEveryMs?: number | undefined;
  /** ms since 1970. Default: the machine's clock. */
  readonly now?: (() => number) | undefined;
}

export interface FleetSettings {
  readonly prefix: string;
  readonly rate: number;
  readonly seed: number;
  readonly durationMs: number;
  readonly count: number;
  readonly clean: boolean;
  readonly reconnectEveryMs: number;
  readonly backfillMs: number;
  readonly backfillStepMs: number;
  readonly window: number;
  readonly maxQueued: number;
  readonly connectsPerSecond: number;
  readonly drainMs: number;
  readonly progressEveryMs: number;
}

/** One process has to serve the sockets too; beyond that run several. */
export const MAX_DEVICES = 20_000;
/** Device times are whole milliseconds and never repeat, so this is the end. */
export const MAX_RATE = 1000;

const DEFAULTS: FleetSettings = {
  prefix: "",
  rate: 1,
  seed: 1,
  durationMs: Number.POSITIVE_INFINITY,
  count: Number.POSITIVE_INFINITY,
  clean: true,
  reconnectEveryMs: 600 * SECOND_MS,
  backfillMs: 0,
  backfillStepMs: 30 * SECOND_MS,
  window: 20,
  maxQueued: 10_000,
  connectsPerSecond: 500,
  drainMs: 10 * SECOND_MS,
  progressEveryMs: SECOND_MS,
};

/** @throws SimulatorError `options` with every fault there is */
export function fleetSettings(options: FleetOptions): FleetSettings {
  const given = Object.entries(options).filter(
    ([key, value]) => key in DEFAULTS && value !== undefined,
  );
  const settings: FleetSettings = { ...DEFAULTS, ...Object.fromEntries(given) };
  const { devices } = options;
  const number = typeof devices === "number" ? devices : devices.length;
  const names = typeof devices === "number" ? [settings.prefix] : devices.map(({ name }) => name);
  refuseFaults([
    rangeFault("devices", number, 1, MAX_DEVICES),
    !Number.isInteger(number) && `devices is ${number}; it must be a whole number`,
    rangeFault("rate", settings.rate, 1 / 86_400, MAX_RATE, "1/86400 (one a day)"),
    !Number.isSafeInteger(settings.seed) && `seed is ${settings.seed}; it must be a whole number`,
    rangeFault("port", options.port, 1, 65_535),
    rangeFault("duration", settings.durationMs, 1, Number.POSITIVE_INFINITY),
    rangeFault("count", settings.count, 1, Number.POSITIVE_INFINITY),
    rangeFault("reconnect interval", settings.reconnectEveryMs, 0, Number.POSITIVE_INFINITY),
    rangeFault("backfill", settings.backfillMs, 0, 366 * 86_400_000),
    rangeFault("backfill step", settings.backfillStepMs, 1, 86_400_000),
    // Packet identifiers have 16 bits, and 0 is none.
    rangeFault("window", settings.window, 1, 65_535),
    rangeFault("queue", settings.maxQueued, 1, 1e7),
    rangeFault("connects per second", settings.connectsPerSecond, 1, 1e6),
    rangeFault("connect deadline", options.connectMs ?? 1, 1, Number.POSITIVE_INFINITY),
    rangeFault("progress interval", settings.progressEveryMs, 10, 86_400_000),
    ...names.map(
      (name) =>
        /[+#/]/.test(name) && `device ${JSON.stringify(name)}: a name in a topic has no +, # or /`,
    ),
    ...(typeof devices === "number" ? [] : names).map((name) => nameFault(name)),
    new Set(names).size < names.length && "two devices have the same name",
  ]);
  return settings;
}
