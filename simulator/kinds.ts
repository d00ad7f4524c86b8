/**
 * The kinds of devices that the simulator knows, each with its metrics, their units and how they behave. Devices of one
 * kind differ by their seed: another mean, another phase, other faults.
 */
import type { MetricValue } from "../events/schema.ts";
import { childSeed, sfc32 } from "./random.ts";
import {
  constant,
  DAY_MS,
  daily,
  drift,
  dropouts,
  type Episodes,
  episodeAt,
  HOUR_MS,
  MINUTE_MS,
  measured,
  noise,
  type Signal,
  scaled,
  spikes,
  steps,
  stuck,
  sum,
  thermostat,
  workingHours,
} from "./signals.ts";

export interface Metric {
  /** As written beside the number; empty for a truth or a state. */
  readonly unit: string;
  readonly at: (timeMs: number) => MetricValue | undefined;
}

export interface SimulatedDevice {
  readonly name: string;
  readonly metrics: Readonly<Record<string, Metric>>;
}

export const DEVICE_KINDS = [
  "freezer",
  "room",
  "power-meter",
  "greenhouse",
  "door",
  "pump",
] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** A seldom one: about once in two days a sensor's value freezes for twenty minutes. */
const STUCK: Episodes = { everyMs: 12 * HOUR_MS, lastsMs: 20 * MINUTE_MS, chance: 0.25 };
/** Some minutes without a word, about once in eight hours. */
const SILENCE: Episodes = { everyMs: 4 * HOUR_MS, lastsMs: 3 * MINUTE_MS, chance: 0.5 };

/** What the device would say at this moment; empty where it says nothing. */
export function sample(device: SimulatedDevice, timeMs: number): Record<string, MetricValue> {
  const values: Record<string, MetricValue> = {};
  for (const [name, metric] of Object.entries(device.metrics)) {
    const value = metric.at(timeMs);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** @param seed of the run; the device's own comes from it and its name */
export function makeDevice(kind: DeviceKind, name: string, seed: number): SimulatedDevice {
  return { name, metrics: MAKERS[kind](childSeed(seed, name)) };
}

/** `count` devices of all kinds in turn, called `freezer-1`, `room-1` and so on; more rooms than anything else. */
export function makeDevices(count: number, seed: number, prefix = ""): SimulatedDevice[] {
  const order: readonly DeviceKind[] = [
    "room",
    "freezer",
    "power-meter",
    "room",
    "greenhouse",
    "door",
    "room",
    "pump",
  ];
  const made = new Map<DeviceKind, number>();
  return Array.from({ length: count }, (_, index) => {
    const kind = order[index % order.length] ?? "room";
    const number = (made.get(kind) ?? 0) + 1;
    made.set(kind, number);
    return makeDevice(kind, `${prefix}${kind}-${number}`, seed);
  });
}

type Maker = (seed: number) => Readonly<Record<string, Metric>>;

/** @param part names the chance of this sensor, so that two of one device do not fail together */
function sensor(
  seed: number,
  part: string,
  unit: string,
  signal: Signal,
  range: { readonly min: number; readonly max: number; readonly decimals: number },
): Metric {
  const own = childSeed(seed, part);
  const faulty = dropouts(
    stuck(measured(signal, range), childSeed(own, "stuck"), STUCK),
    childSeed(own, "silence"),
    SILENCE,
  );
  return { unit, at: faulty };
}

function truth(at: (timeMs: number) => boolean): Metric {
  return { unit: "", at };
}

const MAKERS: Readonly<Record<DeviceKind, Maker>> = {
  freezer,
  room,
  "power-meter": powerMeter,
  greenhouse,
  door,
  pump,
};

function freezer(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const periodMs = (14 + 8 * random()) * MINUTE_MS;
  const cycle = { periodMs, phaseMs: random() * periodMs, riseShare: 0.6 };
  const temperature = sum(
    constant(-19.5 + 2 * random()),
    thermostat({ ...cycle, amplitude: 0.8 }),
    daily({ amplitude: 0.3, peakHour: 15 }),
    noise(childSeed(seed, "noise"), 0.06),
  );
  const opened: Episodes = { everyMs: 2 * HOUR_MS, lastsMs: 25_000, chance: 0.4 };
  const door = childSeed(seed, "door");
  const compressor = thermostat({ ...cycle, amplitude: 1 });
  const cooling = (time: number) => (compressor(time) ?? 0) > (compressor(time + 1000) ?? 0);
  return {
    temperature: sensor(
      seed,
      "temperature",
      "°C",
      spikes(temperature, childSeed(seed, "spike"), { chance: 1 / 20_000, height: 40 }),
      { min: -40, max: 60, decimals: 2 },
    ),
    compressor: truth(cooling),
    door_open: truth((time) => episodeAt(door, opened, time) !== undefined),
  };
}

function room(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const people = workingHours({ from: 7 + random(), to: 17 + random() });
  const temperature = sum(
    constant(20 + 2 * random()),
    daily({ amplitude: 0.8, peakHour: 15 }),
    scaled(people, 1.2),
    drift(childSeed(seed, "temperature"), 0.5, 3 * HOUR_MS),
    noise(childSeed(seed, "temperature noise"), 0.03),
  );
  const humidity = sum(
    constant(38 + 12 * random()),
    daily({ amplitude: 3, peakHour: 4 }),
    drift(childSeed(seed, "humidity"), 6, 5 * HOUR_MS),
    noise(childSeed(seed, "humidity noise"), 0.2),
  );
  const co2 = sum(
    constant(425),
    scaled(people, 350 + 250 * random()),
    drift(childSeed(seed, "co2"), 60, 40 * MINUTE_MS),
    noise(childSeed(seed, "co2 noise"), 4),
  );
  return {
    temperature: sensor(seed, "temperature", "°C", temperature, { min: -10, max: 50, decimals: 2 }),
    humidity: sensor(seed, "humidity", "%", humidity, { min: 0, max: 100, decimals: 1 }),
    co2: sensor(seed, "co2", "ppm", co2, { min: 400, max: 5000, decimals: 0 }),
  };
}

/** Where the energy counters stood at zero: 2026-01-01T00:00:00Z. */
const COUNTERS_FROM_MS = 1_767_225_600_000;

function powerMeter(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const mean = 900 + 1200 * random();
  const amplitude = 0.4 * mean;
  const peakHour = 11 + 8 * random();
  const load = steps(childSeed(seed, "load"), [0, 0, 150, 420, 1800], 7 * MINUTE_MS);
  const power = sum(
    constant(mean),
    daily({ amplitude, peakHour }),
    load,
    noise(childSeed(seed, "power noise"), 12),
  );
  const voltage = sum(
    constant(230),
    drift(childSeed(seed, "voltage"), 3.5, 20 * MINUTE_MS),
    noise(childSeed(seed, "voltage noise"), 0.25),
  );
  // The integral of mean and daily cycle, in closed form: a counter that never runs backwards, whatever moment is asked.
  const swing = (DAY_MS / (2 * Math.PI)) * amplitude;
  const angle = (time: number) => (2 * Math.PI * (time - peakHour * HOUR_MS)) / DAY_MS;
  const energy: Signal = (time) =>
    (mean * (time - COUNTERS_FROM_MS) +
      swing * (Math.sin(angle(time)) - Math.sin(angle(COUNTERS_FROM_MS)))) /
    (HOUR_MS * 1000);
  return {
    power: sensor(seed, "power", "W", power, { min: 0, max: 25_000, decimals: 1 }),
    voltage: sensor(seed, "voltage", "V", voltage, { min: 0, max: 300, decimals: 1 }),
    energy: { unit: "kWh", at: measured(energy, { min: 0, max: 1e9, decimals: 3 }) },
  };
}

function greenhouse(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const sun = measured(daily({ amplitude: 1, peakHour: 12.5 }), { min: 0, max: 1, decimals: 6 });
  const clouds = drift(childSeed(seed, "clouds"), 0.35, 15 * MINUTE_MS);
  const light: Signal = (time) => 38_000 * (sun(time) ?? 0) * (0.65 + (clouds(time) ?? 0));
  const temperature = sum(
    constant(17 + 3 * random()),
    scaled(sun, 9),
    drift(childSeed(seed, "temperature"), 1.5, HOUR_MS),
    noise(childSeed(seed, "temperature noise"), 0.08),
  );
  // Watered at once, then drying: a saw with a steep side.
  const water = thermostat({
    amplitude: 11,
    periodMs: 9 * HOUR_MS,
    phaseMs: random() * 9 * HOUR_MS,
    riseShare: 0.02,
  });
  const soil = sum(constant(36 + 6 * random()), water, noise(childSeed(seed, "soil"), 0.3));
  const humidity = sum(
    constant(72),
    scaled(sun, -18),
    drift(childSeed(seed, "humidity"), 6, HOUR_MS),
    noise(childSeed(seed, "humidity noise"), 0.4),
  );
  return {
    temperature: sensor(seed, "temperature", "°C", temperature, { min: -20, max: 60, decimals: 1 }),
    humidity: sensor(seed, "humidity", "%", humidity, { min: 0, max: 100, decimals: 1 }),
    soil_moisture: sensor(seed, "soil", "%", soil, { min: 0, max: 100, decimals: 1 }),
    light: sensor(seed, "light", "lx", light, { min: 0, max: 100_000, decimals: 0 }),
  };
}

function door(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const opened: Episodes = {
    everyMs: 3 * MINUTE_MS,
    lastsMs: 12_000 + 20_000 * random(),
    chance: 0.6,
  };
  const open = childSeed(seed, "open");
  const battery = sum(constant(3.05), drift(childSeed(seed, "battery"), 0.04, DAY_MS));
  return {
    open: truth((time) => episodeAt(open, opened, time) !== undefined),
    battery: sensor(seed, "battery", "V", battery, { min: 0, max: 4, decimals: 2 }),
  };
}

function pump(seed: number): Readonly<Record<string, Metric>> {
  const random = sfc32(seed);
  const speed = steps(childSeed(seed, "speed"), [0, 900, 1450, 1450, 2900], 11 * MINUTE_MS);
  const running = (time: number) => (speed(time) ?? 0) > 0;
  const base = 0.4 + 0.4 * random();
  const shaking = noise(childSeed(seed, "vibration"), 0.12);
  const vibration: Signal = (time) => base + (speed(time) ?? 0) / 900 + (shaking(time) ?? 0);
  const bearing = drift(childSeed(seed, "bearing"), 3, 25 * MINUTE_MS);
  const temperature: Signal = (time) => 24 + (speed(time) ?? 0) / 90 + (bearing(time) ?? 0);
  return {
    running: truth(running),
    speed: sensor(seed, "speed", "rpm", speed, { min: 0, max: 4000, decimals: 0 }),
    vibration: sensor(seed, "vibration", "mm/s", vibration, { min: 0, max: 50, decimals: 2 }),
    temperature: sensor(seed, "temperature", "°C", temperature, {
      min: -20,
      max: 150,
      decimals: 1,
    }),
  };
}
