import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseRules } from "../rules/file.ts";
import { exceeds, globPattern } from "../rules/rule.ts";
import { DEMO_FREEZER, demoDevices, demoFleet } from "./demo.ts";
import { fleetSettings } from "./fleet-options.ts";
import { type SimulatedDevice, sample } from "./kinds.ts";

const START = Date.UTC(2026, 10, 18, 9);
const file = join(import.meta.dirname, "../docs/examples/rules.yaml");
const rules = parseRules(readFileSync(file, "utf8"), file);

describe("demo", () => {
  test("a dozen devices with lasting names, and options that a fleet takes", () => {
    const options = demoFleet({ host: "127.0.0.1", port: 1883, startedAt: START });
    const names = (options.devices as readonly SimulatedDevice[]).map(({ name }) => name);
    expect(names).toHaveLength(12);
    expect(names).toEqual(expect.arrayContaining(["freezer-1", DEMO_FREEZER, "room-2", "door-1"]));
    expect(fleetSettings(options)).toMatchObject({ rate: 1, backfillMs: 2 * 3_600_000 });
    expect(demoFleet({ host: "h", port: 1, backfillMs: 0 }).backfillMs).toBe(0);
  });

  test("every rule of the example names a metric that a demo device has", () => {
    expect(rules.length).toBeGreaterThan(3);
    const devices = demoDevices(7, START);
    for (const rule of rules) {
      const glob = globPattern(rule.device);
      const fitting = devices.filter(
        ({ name, metrics }) => glob.test(name) && rule.metric in metrics,
      );
      expect(fitting, rule.name).not.toEqual([]);
    }
  });

  test("the warm freezer crosses its rule within the first minute, recovers, and does it again", () => {
    const rule = rules.find(({ name }) => name === "freezer-warm");
    const freezer = demoDevices(7, START).find(({ name }) => name === DEMO_FREEZER);
    if (!rule?.clear || !freezer) throw new Error("the rule or the freezer is missing");
    const changes: [string, number][] = [];
    let since: number | undefined;
    let firing = false;
    for (let second = 0; second < 480; second += 1) {
      const value = Number(sample(freezer, START + second * 1000).temperature);
      if (!exceeds(rule.when, value)) since = undefined;
      else since ??= second;
      if (!firing && since !== undefined && (second - since) * 1000 >= rule.forMs) {
        firing = true;
        changes.push(["fires", second]);
      } else if (firing && exceeds(rule.clear, value)) {
        firing = false;
        changes.push(["clears", second]);
      }
    }
    expect(changes.map(([what]) => what)).toEqual(["fires", "clears", "fires", "clears"]);
    expect(changes[0]?.[1]).toBeLessThan(50);
    expect(changes[1]?.[1]).toBeLessThan(150);
  });
});
