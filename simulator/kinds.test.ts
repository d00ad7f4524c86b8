import { describe, expect, test } from "vitest";
import { DEVICE_KINDS, type DeviceKind, makeDevice, makeDevices, sample } from "./kinds.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./signals.ts";

const WEDNESDAY = Date.UTC(2026, 10, 18);

/** What a device of each kind may show without a fault; freezers have spikes of 40 °C now and then. */
const PLAUSIBLE: Readonly<Record<DeviceKind, Record<string, [number, number]>>> = {
  freezer: { temperature: [-40, 25] },
  room: { temperature: [17, 26], humidity: [20, 65], co2: [400, 1200] },
  "power-meter": { power: [300, 6000], voltage: [220, 240], energy: [0, 1e6] },
  greenhouse: {
    temperature: [13, 33],
    humidity: [40, 85],
    soil_moisture: [20, 60],
    light: [0, 45_000],
  },
  door: { battery: [2.9, 3.2] },
  pump: { speed: [0, 3000], vibration: [0, 6], temperature: [15, 65] },
};

describe("device kinds", () => {
  test.each(DEVICE_KINDS)("a %s stays plausible for a week, and lives", (kind) => {
    for (const seed of [1, 2, 3]) {
      const device = makeDevice(kind, `${kind}-1`, seed);
      const seen = new Map<string, Set<unknown>>();
      for (let time = WEDNESDAY; time < WEDNESDAY + 7 * DAY_MS; time += 7 * MINUTE_MS) {
        for (const [metric, value] of Object.entries(sample(device, time))) {
          if (typeof value === "number") {
            const [min, max] = PLAUSIBLE[kind][metric] ?? [Number.NaN, Number.NaN];
            expect(value, `${metric} of seed ${seed} at ${time}`).toBeGreaterThanOrEqual(min);
            expect(value, `${metric} of seed ${seed} at ${time}`).toBeLessThanOrEqual(max);
          }
          const values = seen.get(metric) ?? new Set();
          seen.set(metric, values.add(value));
        }
      }
      // What lasts for seconds is seldom met in steps of minutes.
      for (let time = WEDNESDAY; time < WEDNESDAY + DAY_MS; time += 10_000) {
        for (const [metric, { unit, at }] of Object.entries(device.metrics)) {
          if (unit === "") seen.get(metric)?.add(at(time));
        }
      }
      expect([...seen.keys()].sort()).toEqual(Object.keys(device.metrics).sort());
      for (const [metric, values] of seen) expect(values.size, metric).toBeGreaterThan(1);
    }
  });

  test("an energy counter never runs backwards", () => {
    const device = makeDevice("power-meter", "power-meter-1", 1);
    let before = 0;
    for (let time = WEDNESDAY; time < WEDNESDAY + 2 * DAY_MS; time += MINUTE_MS) {
      const energy = Number(sample(device, time).energy);
      expect(energy).toBeGreaterThan(before);
      before = energy;
    }
  });

  test("a freezer's compressor runs exactly while it gets colder", () => {
    const device = makeDevice("freezer", "freezer-1", 1);
    const running = Array.from({ length: 180 }, (_, minute) =>
      Boolean(sample(device, WEDNESDAY + minute * MINUTE_MS).compressor),
    );
    const changes = running.filter((now, index) => index > 0 && now !== running[index - 1]);
    expect(changes.length).toBeGreaterThan(10);
    expect(running.filter(Boolean).length / running.length).toBeCloseTo(0.4, 1);
  });

  test("devices have names of their own, differ, and are the same for the same seed", () => {
    const devices = makeDevices(50, 7);
    expect(new Set(devices.map(({ name }) => name)).size).toBe(50);
    expect(devices.slice(0, 4).map(({ name }) => name)).toEqual([
      "room-1",
      "freezer-1",
      "power-meter-1",
      "room-2",
    ]);
    expect(makeDevices(2, 7, "berlin-")[1]?.name).toBe("berlin-freezer-1");
    const at = (seed: number) => makeDevices(50, seed).map((device) => sample(device, WEDNESDAY));
    expect(at(7)).toEqual(at(7));
    expect(at(7)).not.toEqual(at(8));
    const [one, , , other] = devices.map((device) => sample(device, WEDNESDAY + HOUR_MS));
    expect(one).not.toEqual(other);
  });
});
