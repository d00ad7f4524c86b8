/**
 * The fleet of `npm run demo`: a dozen devices with names that stay, of which one freezer warms up and recovers every few
 * minutes, so that an alert (docs/examples/rules.yaml) comes and goes while somebody looks.
 */
import type { FleetOptions } from "./fleet-options.ts";
import { type Metric, makeDevice, type SimulatedDevice } from "./kinds.ts";
import { childSeed } from "./random.ts";
import {
  constant,
  excursion,
  HOUR_MS,
  MINUTE_MS,
  measured,
  noise,
  SECOND_MS,
  sum,
  thermostat,
} from "./signals.ts";

/** The freezer that warms up. */
export const DEMO_FREEZER = "freezer-2";

/** From one warming to the next: soon enough for somebody who tries it, rare enough to be an event. */
const WARM_EVERY_MS = 4 * MINUTE_MS;
/** About 90 of these seconds are above -15 °C. */
const WARM_LASTS_MS = 110 * SECOND_MS;
/** The first one begins so long after the start: somebody has just opened the page. */
const FIRST_WARM_MS = 20 * SECOND_MS;

const DEFAULT_SEED = 7;
/** Charts have something to show in the first minute. */
const DEFAULT_BACKFILL_MS = 2 * HOUR_MS;
/** As close as charts draw a line: further apart they would take it for a gap beside readings every second. */
const BACKFILL_STEP_MS = 5 * SECOND_MS;

export interface DemoOptions extends Omit<FleetOptions, "devices" | "prefix"> {
  /** When the demo starts, ms since 1970; the first warming comes soon after. Default: now. */
  readonly startedAt?: number | undefined;
}

/** Options for `new Fleet(…)`; what is given goes before the demo's own. */
export function demoFleet(options: DemoOptions): FleetOptions {
  const { startedAt = Date.now(), ...rest } = options;
  const seed = rest.seed ?? DEFAULT_SEED;
  return {
    rate: 1,
    backfillMs: DEFAULT_BACKFILL_MS,
    backfillStepMs: BACKFILL_STEP_MS,
    ...rest,
    seed,
    devices: demoDevices(seed, startedAt),
  };
}

export function demoDevices(seed: number, startedAt: number): SimulatedDevice[] {
  return [
    makeDevice("freezer", "freezer-1", seed),
    warmingFreezer(seed, startedAt),
    makeDevice("room", "room-1", seed),
    makeDevice("room", "room-2", seed),
    makeDevice("room", "room-3", seed),
    makeDevice("power-meter", "power-meter-1", seed),
    makeDevice("power-meter", "power-meter-2", seed),
    makeDevice("greenhouse", "greenhouse-1", seed),
    makeDevice("greenhouse", "greenhouse-2", seed),
    makeDevice("pump", "pump-1", seed),
    makeDevice("door", "door-1", seed),
    makeDevice("door", "door-2", seed),
  ];
}

/** Like any freezer, with a hump of some 12 °C; and without faults, which would hide what it is there to show. */
function warmingFreezer(seed: number, startedAt: number): SimulatedDevice {
  const own = childSeed(seed, DEMO_FREEZER);
  const warm = excursion({
    anchorMs: startedAt + FIRST_WARM_MS,
    everyMs: WARM_EVERY_MS,
    lastsMs: WARM_LASTS_MS,
    height: 12,
  });
  const temperature: Metric = {
    unit: "°C",
    at: measured(
      sum(
        constant(-20.5),
        thermostat({ amplitude: 0.5, periodMs: 15 * MINUTE_MS, phaseMs: 0, riseShare: 0.6 }),
        noise(childSeed(own, "noise"), 0.06),
        warm,
      ),
      { min: -40, max: 60, decimals: 2 },
    ),
  };
  return {
    name: DEMO_FREEZER,
    metrics: {
      temperature,
      compressor: { unit: "", at: () => true },
      door_open: { unit: "", at: (time) => (warm(time) ?? 0) > 0 },
    },
  };
}
