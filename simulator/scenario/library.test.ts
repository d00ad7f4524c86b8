/** What ships can be read, is about something, and does what its descriptions and rules say. */
import { expect, test } from "vitest";
import { conditionText, exceeds, globPattern } from "../../rules/rule.ts";
import { ScenarioError } from "./file.ts";
import { listScenarios, loadScenario } from "./library.ts";

const shipped = listScenarios();

test("the library", () => {
  expect(shipped.map(({ name }) => name)).toEqual([
    "bad-uplink",
    "cloned-card",
    "cold-chain",
    "factory-line",
    "greenhouse",
    "solar-park",
  ]);
  for (const { description } of shipped) expect(description.length).toBeGreaterThan(40);
});

test.each(shipped)(
  "$name can be read, by its name and by its path, and has its file's name",
  ({ name, file }) => {
    const scenario = loadScenario(name);
    expect(scenario.name).toBe(name);
    expect(loadScenario(file).gateways.length).toBe(scenario.gateways.length);
    const devices = scenario.gateways.flatMap((gateway) => gateway.devices);
    expect(new Set(devices.map((device) => device.name)).size).toBe(devices.length);
    const readings = devices.reduce((sum, { everyMs }) => sum + scenario.durationMs / everyMs, 0);
    // In virtual time each runs within seconds.
    expect(readings).toBeGreaterThan(2000);
    expect(readings).toBeLessThan(200_000);
  },
);

test.each(shipped)("$name: each rule is about a metric that there is", ({ name }) => {
  const { rules, gateways } = loadScenario(name);
  expect(rules.length).toBeGreaterThan(0);
  for (const rule of rules) {
    const met = gateways
      .flatMap(({ devices }) => devices)
      .filter((device) => globPattern(rule.device).test(device.name))
      .filter(({ metrics }) => Object.hasOwn(metrics, rule.metric));
    expect(met.length, rule.name).toBeGreaterThan(0);
  }
});

test.each<[string, string, string, string]>([
  ["cold-chain", "freezer-warm", "store-freezer-3", "4h"],
  ["cold-chain", "freezer-warm", "lorry-2-freezer-1", "9h15m"],
  ["greenhouse", "too-hot", "greenhouse-4", "36h"],
  ["factory-line", "vibration", "press-2", "30m"],
  ["factory-line", "overheated", "pump-4", "43m"],
  ["solar-park", "overvoltage", "field-2-grid", "37h20m"],
  ["solar-park", "hot-inverter", "field-3-inverter-5", "62h"],
  ["bad-uplink", "warm", "freezer-5", "70m"],
  ["bad-uplink", "warm", "freezer-2", "5h20m"],
  ["cloned-card", "drinks-warm", "kiosk-2-cooler", "80m"],
])("%s: the rule %s sees what happens to %s at %s", (name, ruleName, device, at) => {
  const [, hours = "0", minutes = "0"] = /^(?:(\d+)h)?(?:(\d+)m)?$/.exec(at) ?? [];
  const since = (Number(hours) * 60 + Number(minutes)) * 60_000;
  for (const seed of [1, 2, 3]) {
    const { rules, gateways, start } = loadScenario(name, { seed });
    const rule = rules.find((one) => one.name === ruleName);
    const metric = gateways.flatMap(({ devices }) => devices).find((one) => one.name === device)
      ?.metrics[rule?.metric ?? ""];
    if (!rule || !metric) throw new Error("no such rule or device");
    const from = start + since;
    const values = Array.from({ length: 60 }, (_, second) => metric.at(from + second * 1000));
    const over = values.filter((value) => typeof value === "number" && exceeds(rule.when, value));
    expect(over.length, `${conditionText(rule)}: ${values}`).toBeGreaterThan(40);
  }
});

test("a name that there is not is told with those that there are", () => {
  expect(() => loadScenario("cold-chian")).toThrow(ScenarioError);
  expect(() => loadScenario("cold-chian")).toThrow(
    /there is no scenario "cold-chian"; there are bad-uplink, .*solar-park, or name a YAML file, like \.\/cold-chian\.yaml/,
  );
  expect(() => loadScenario("./nothing.yaml")).toThrow(/nothing\.yaml: no such file/);
});

test("each can be had with a few devices; events about those that are left out go with them", () => {
  for (const { name } of listScenarios()) {
    // Its two gateways have one name, so that their devices are told apart by their numbers, which ten do not have.
    if (name === "cloned-card") continue;
    const { gateways } = loadScenario(name, { devices: 10 });
    expect(gateways.flatMap(({ devices }) => devices)).toHaveLength(10);
  }
});
