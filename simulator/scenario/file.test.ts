import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseScenario, readScenario, ScenarioError } from "./file.ts";
import type { DeviceSpec, MetricSpec, Scenario } from "./scenario.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

function faults(text: string): readonly string[] {
  try {
    parseScenario(text, "site.yaml");
  } catch (error) {
    if (error instanceof ScenarioError) return error.faults;
    throw error;
  }
  return [];
}

/** A scenario with one gateway; `rest` stands in the map of its one group of devices. */
function withDevice(rest: string, more = ""): string {
  return `name: t\nduration: 4h\n${more}gateways:\n  - name: g\n    devices:\n      - { ${rest} }\n`;
}

function devicesOf({ gateways }: Scenario): DeviceSpec[] {
  return gateways.flatMap(({ devices }) => devices);
}

function metricAt(scenario: Scenario, device: string, metric: string): MetricSpec["at"] {
  const found = devicesOf(scenario).find(({ name }) => name === device)?.metrics[metric];
  if (!found) throw new Error(`there is no ${metric} of ${device}`);
  return (sinceMs) => found.at(scenario.start + sinceMs);
}

describe("a scenario file", () => {
  test("as people write it becomes the value, with every default", () => {
    const scenario = parseScenario(
      `
name: store
description: >
  A cold store.
start: 2026-11-16T06:00:00Z
duration: 1d
seed: 7
rules:
  - { name: warm, when: temperature above -15 }
gateways:
  - name: store
    link: { latency: 40ms, loss: 1%, down: [{ at: 2h, for: 45m }, { every: 6h, for: 20m }] }
    clock: { sync_after: never, off_at_boot: -3h, jumps: [{ at: 3h, by: -10m }] }
    power: { every: 12h, for: 5m }
    buffer: { capacity: 64MB, policy: refuse, commit_window: 50ms }
    devices:
      - { kind: freezer, count: 2, every: 60s, phase: 5s }
      - { kind: door, name: gate, qos: 2, persistent: false, sleep: 5m, window: 3, time: wrong, clock_off: -2h, ignores_acks: 0.5 }
site:
  log_away: [{ at: 1h, for: 30s }]
  duplicates: twice
`,
      "site.yaml",
    );
    expect(scenario).toMatchObject({
      name: "store",
      description: "A cold store.",
      start: Date.UTC(2026, 10, 16, 6),
      durationMs: 24 * HOUR,
      seed: 7,
      rules: [{ name: "warm", metric: "temperature", device: "*" }],
      site: {
        logAway: { at: [{ at: HOUR, lastsMs: 30_000 }] },
        power: { at: [] },
        duplicates: "twice",
      },
    });
    expect(scenario.gateways).toMatchObject([
      {
        name: "store",
        link: {
          latencyMs: 40,
          jitterMs: 5,
          loss: 0.01,
          duplicates: 0,
          down: {
            at: [{ at: 2 * HOUR, lastsMs: 45 * MINUTE }],
            random: { everyMs: 6 * HOUR, lastsMs: 20 * MINUTE },
          },
          halfOpen: { at: [] },
        },
        clock: {
          syncAfterMs: undefined,
          offAtBootMs: -3 * HOUR,
          jumps: [{ at: 3 * HOUR, byMs: -10 * MINUTE }],
        },
        power: { at: [], random: { everyMs: 12 * HOUR, lastsMs: 5 * MINUTE } },
        buffer: { capacityBytes: 64 * 1024 ** 2, policy: "refuse", commitWindowMs: 50 },
      },
    ]);
    const [one, two, gate] = devicesOf(scenario);
    expect(one).toMatchObject({
      name: "freezer-1",
      everyMs: 60_000,
      phaseMs: 5000,
      qos: 1,
      persistent: true,
      numbered: true,
      behaviour: {
        time: "device",
        clockOffMs: 0,
        duplicates: 0,
        ignoresAcks: 0,
        reconnectEveryMs: 0,
        maxQueued: 1000,
        window: 10,
        packetIds: 65_535,
        ackTimeoutMs: 0,
        silent: { at: [] },
      },
    });
    expect(one?.behaviour).not.toHaveProperty("sleep");
    expect(Object.keys(one?.metrics ?? {})).toEqual(["temperature", "compressor", "door_open"]);
    expect(two?.name).toBe("freezer-2");
    expect(gate).toMatchObject({
      name: "gate",
      everyMs: 10_000,
      qos: 2,
      persistent: false,
      behaviour: {
        sleep: { everyMs: 5 * MINUTE },
        window: 3,
        time: "wrong",
        clockOffMs: -2 * HOUR,
        ignoresAcks: 0.5,
      },
    });
    expect(gate?.phaseMs).toBeGreaterThanOrEqual(0);
    expect(gate?.phaseMs).toBeLessThan(10_000);
  });

  test("all faults at once, each with its place and what would be right", () => {
    const text = `name: site
duration: 4 hours
sead: 3
gateways:
  - name: a
    link: { latency: 20, down: { at: 1h } }
    clock: [1]
    devices:
      - { kind: frezer, every: 10 }
      - kind: room
        qos: 3
        window: 0
        duplicates: 120%
        silent: [{ every: 1h, for: 0s }]
  - { name: "b c", count: 1.5 }
site: { log_away: yes }
events:
  - { at: 1h, metric: temperature, add: warm }
  - { at: 1h, silent: false }
`;
    expect(faults(text)).toEqual([
      'site.yaml:2:11: duration is "4 hours"; it must be a duration like 30s, 5m or 1h30m, above 0',
      'site.yaml:3:1: unknown key "sead"; known are name, description, start, duration, seed, numbered, rules, gateways, site, events',
      "site.yaml:6:22: latency is 20; it must be a duration like 30s, 5m or 1h30m",
      'site.yaml:6:32: "for" is missing here: How long it lasts',
      'site.yaml:7:12: clock is a list; it must be a map: write its keys below it, like "name: …"',
      'site.yaml:9:17: kind is "frezer"; it must be one of freezer, room, power-meter, greenhouse, door, pump',
      "site.yaml:9:32: every is 10; it must be a duration like 30s, 5m or 1h30m, above 0",
      "site.yaml:11:14: qos is 3; it must be one of 0, 1, 2",
      "site.yaml:12:17: window is 0; it must be 1 or more",
      'site.yaml:13:21: duplicates is "120%"; it must be a share like 5% or 0.05, at most 100%',
      'site.yaml:14:36: for is "0s"; it must be a duration like 30s, 5m or 1h30m, above 0',
      'site.yaml:15:13: name is "b c"; it must be letters, digits, "_", "." and "-", beginning with a letter or digit, at most 60',
      "site.yaml:15:27: count is 1.5; it must be a whole number",
      'site.yaml:16:19: log_away is "yes"; it must be a map: write its keys below it, like "name: …"',
      'site.yaml:18:41: add is "warm"; it must be a number',
      "site.yaml:19:23: silent can only be true; leave it out otherwise",
    ]);
  });

  test("faults of what the parts mean together", () => {
    const text = `name: site
duration: 4h
gateways:
  - name: a
    power: [{ at: 5h, for: 1m }, { at: 1h, every: 2h, for: 1m }, { for: 1m }, { every: 1h, for: 1m }]
    devices:
      - { count: 2 }
      - { kind: room, time: wrong }
      - { kind: room, name: x, clock_off: 1h, sleep: 1s }
      - name: m
        metrics:
          nothing: { unit: V }
          both: { on: { every: 1h, for: 2h }, states: { of: [a], hold: 1m } }
          mixed: { constant: 1, on: { every: 1h, for: 1m }, min: 3 }
          turned: { constant: 1, min: 3, max: 1 }
      - { kind: room, name: "{x}" }
  - { name: a, count: 1 }
events:
  - { at: 5h, add: 1, set: 2, metric: t }
  - { at: 1h, add: 1 }
  - { at: 1h, for: 10m, metric: t, add: 1, over: 6m }
  - { at: 1h, metric: t, set: on, over: 6m }
  - { at: 1h, metric: t, offline: true }
`;
    const known =
      "constant, spread, daily, weekly, working_hours, drift, thermostat, excursion, steps, noise, on, states";
    expect(faults(text)).toEqual([
      "site.yaml:5:19: at is 5h, but the run has ended by then",
      'site.yaml:5:34: give either "at" (once, at that time) or "every" (by chance, on average so often)',
      'site.yaml:5:66: give either "at" (once, at that time) or "every" (by chance, on average so often)',
      'site.yaml:5:79: only one of a list can be by chance ("every")',
      'site.yaml:7:9: a group of devices needs "kind", "metrics", or both: what do they measure?',
      'site.yaml:8:29: with "time: wrong" say how far it is off: "clock_off: 3d"',
      'site.yaml:9:32: "clock_off" needs "time: wrong"',
      "site.yaml:9:54: sleep is 1s, shorter than every (10s): it would wake with nothing to send",
      `site.yaml:12:20: it says nothing; give it one of ${known}`,
      "site.yaml:13:41: for is 2h, longer than every (1h); make it shorter",
      'site.yaml:13:47: it is "on" or "states", not both',
      'site.yaml:14:20: "constant" is for numbers; this metric has "on"',
      'site.yaml:14:61: "min" is for numbers; this metric has "on"',
      "site.yaml:15:39: min is 3 and max is 1; min must be the smaller one",
      'site.yaml:16:29: name is "{x}"; in braces can stand {n} and {gateway}',
      'site.yaml:17:13: two gateways are called "a"; give each group a name of its own',
      "site.yaml:19:5: an event has one of add, set, silent and offline: what is it that happens?",
      "site.yaml:19:11: at is 5h, but the run has ended by then",
      'site.yaml:20:5: "metric" is missing here: which metric is it that "add" changes?',
      "site.yaml:21:50: over is 6m; to get there and back takes longer than for (10m)",
      'site.yaml:22:41: over is for "add"',
      'site.yaml:23:15: "offline" is of whole devices, not of a metric',
    ]);
  });

  test("rules have the same faults as in a file of their own, beside those of the scenario", () => {
    const text = `name: t
rules:
  - name: warm
    when: temperature over 3
    sevrity: critical
gateways: []
`;
    expect(faults(text)).toEqual([
      'site.yaml:4:11: when cannot be read; write it like "temperature above -15" or "temperature above -15 for 5m"',
      'site.yaml:5:5: unknown key "sevrity"; known are name, when, for, clear, device, gateway, severity, message, freshness',
      "site.yaml:6:11: gateways has nothing in it; give at least 1",
    ]);
    expect(faults(withDevice("kind: room", "rules: { name: warm }\n"))).toEqual([
      'site.yaml:3:8: "rules" is a list: begin each rule with "- name: …"',
    ]);
  });

  test("what is no YAML, or nothing", () => {
    expect(faults("name: [")[0]).toMatch(/^site\.yaml:1:8: /);
    expect(faults("")).toEqual([
      'site.yaml:1:1: the scenario is empty; it must be a map: write its keys below it, like "name: …"',
    ]);
    expect(faults("name: t\nname: u\n")).toEqual(["site.yaml:2:1: Map keys must be unique"]);
    expect(() => readScenario("no/such.yaml")).toThrow(
      "no/such.yaml: no such file; name a scenario file that can be read",
    );
  });

  test("a path of a rules file is from the scenario's folder, and its faults are told with their own place", () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-scenario-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "site.yaml");
    writeFileSync(file, withDevice("kind: room", "rules: my-rules.yaml\n"));
    writeFileSync(
      join(folder, "my-rules.yaml"),
      "rules: [{ name: hot, when: temperature above 30 }]",
    );
    expect(readScenario(file).rules).toMatchObject([{ name: "hot", when: { threshold: 30 } }]);
    writeFileSync(join(folder, "my-rules.yaml"), "rules: [{ name: hot }]");
    expect(() => readScenario(file)).toThrow(
      /site\.yaml:3:8: in the rules file: .*my-rules\.yaml:1:9: a rule needs "when"/,
    );
  });
});

describe("names and counts", () => {
  const names = (text: string, devices?: number) =>
    devicesOf(parseScenario(text, "site.yaml", { devices })).map(({ name }) => name);

  test("one gateway: kind and number, or the name alone where there is one of it", () => {
    expect(names(withDevice("kind: room, count: 2"))).toEqual(["room-1", "room-2"]);
    expect(names(withDevice("kind: room"))).toEqual(["room-1"]);
    expect(names(withDevice("kind: room, name: hall"))).toEqual(["hall"]);
    expect(names(withDevice('kind: room, count: 2, name: "hall-{n}-x"'))).toEqual([
      "hall-1-x",
      "hall-2-x",
    ]);
  });

  test("several gateways: theirs in front, a clone's too although it has the id of the other", () => {
    const text = `
name: t
gateways:
  - { name: van, count: 2, devices: [{ kind: door }, { kind: room, name: "cabin.{gateway}" }] }
  - { name: kiosk, count: 2, cloned: true, devices: [{ kind: door, name: lid }] }
`;
    const scenario = parseScenario(text, "site.yaml");
    expect(scenario.gateways.map(({ name }) => name)).toEqual(["van-1", "van-2", "kiosk", "kiosk"]);
    expect(names(text)).toEqual([
      "van-1-door-1",
      "cabin.van-1",
      "van-2-door-1",
      "cabin.van-2",
      "kiosk-1-lid",
      "kiosk-2-lid",
    ]);
  });

  test("two with one name are refused, once for each group", () => {
    const text = `name: t
gateways:
  - name: g
    devices:
      - { kind: room, count: 3 }
      - { kind: room, count: 3 }
      - { kind: door, count: 3, name: "same" }
      - { kind: door, count: 3, name: "x{gateway}" }
`;
    expect(faults(text)).toEqual([
      'site.yaml:6:17: two devices would be called "room-1"; give one group another name, or put {gateway} or {n} into it',
      'site.yaml:8:39: two devices would be called "xg"; give one group another name, or put {gateway} or {n} into it',
    ]);
  });

  test("another number of devices in all: the groups keep their shares", () => {
    const text = `
name: t
gateways:
  - { name: a, devices: [{ kind: freezer, count: 6 }, { kind: room, count: 2 }] }
  - { name: b, devices: [{ kind: freezer, count: 2 }] }
`;
    for (const wanted of [1, 5, 10, 101, 5000]) {
      const found = names(text, wanted);
      expect(found).toHaveLength(wanted);
      expect(new Set(found).size).toBe(wanted);
      const share = found.filter((name) => name.startsWith("a-freezer")).length / wanted;
      if (wanted >= 10) expect(share).toBeCloseTo(0.6, 1);
    }
    expect(
      faults(
        withDevice("kind: room, count: 100000").replace(
          "- {",
          "- { kind: door, name: d }\n      - {",
        ),
      ),
    ).toEqual(["site.yaml:4:3: there are 100001 devices in all; 100000 is the most that can be"]);
  });
});

describe("metrics", () => {
  test("parts add up, then come the sensor and its faults", () => {
    const text = withDevice(
      'name: d, metrics: { t: { unit: °C, constant: 20, daily: { amplitude: 4, peak: "15:00" }, weekly: { amplitude: 1, peak: mon 15:00 }, decimals: 1, max: 24.5 } }',
      "start: 2026-11-16\n",
    );
    const scenario = parseScenario(text, "site.yaml");
    expect(devicesOf(scenario)[0]?.metrics.t?.unit).toBe("°C");
    const t = metricAt(scenario, "d", "t");
    expect(t(15 * HOUR)).toBe(24.5);
    expect(t(3 * HOUR)).toBe(16.9);
  });

  test("each device has its own offset, phase and chance, the same for the same seed", () => {
    const text = withDevice(
      "name: d, count: 20, metrics: { t: { constant: 5, spread: 2 }, s: { thermostat: { amplitude: 1, period: 10m } }, open: { on: { every: 10m, for: 5m } }, mode: { states: { of: [a, b], hold: 1m } } }",
    );
    const row = (seed: number, metric: string) => {
      const scenario = parseScenario(text, "site.yaml", { seed });
      return devicesOf(scenario).map(({ metrics }) => metrics[metric]?.at(scenario.start + 90_000));
    };
    for (const metric of ["t", "s", "open", "mode"]) {
      expect(row(1, metric)).toEqual(row(1, metric));
      expect(row(1, metric)).not.toEqual(row(2, metric));
      expect(new Set(row(1, metric)).size).toBeGreaterThan(1);
    }
    for (const value of row(1, "t")) {
      expect(value).toBeGreaterThanOrEqual(3);
      expect(value).toBeLessThanOrEqual(7);
    }
    expect(new Set(row(1, "open"))).toEqual(new Set([true, false]));
    expect(new Set(row(1, "mode"))).toEqual(new Set(["a", "b"]));
  });

  test("names that mean something else in a payload are refused", () => {
    const metrics = 'metrics: { n: { constant: 1 }, time: { constant: 1 }, "": { constant: 1 } }';
    expect(faults(withDevice(`name: d, ${metrics}`))).toEqual([
      'site.yaml:6:31: "n" is the number of the reading; call the metric otherwise, or write "numbered: false"',
      'site.yaml:6:51: "time" in a payload is the reading\'s time; call the metric otherwise',
      "site.yaml:6:74: a name is empty",
    ]);
    const free = withDevice("name: d, metrics: { n: { constant: 1 } }", "numbered: false\n");
    expect(faults(free)).toEqual([]);
  });

  test("own metrics stand beside those of the kind, or in their place", () => {
    const text = withDevice(
      "kind: room, metrics: { co2: { constant: 7 }, noise: { constant: 8 } }",
    );
    const scenario = parseScenario(text, "site.yaml");
    expect(Object.keys(devicesOf(scenario)[0]?.metrics ?? {})).toEqual([
      "temperature",
      "humidity",
      "co2",
      "noise",
    ]);
    expect(metricAt(scenario, "room-1", "co2")(0)).toBe(7);
  });
});

describe("events", () => {
  const text = `
name: t
duration: 4h
gateways:
  - name: g
    devices: [{ name: d, count: 3, metrics: { t: { constant: 10 }, u: { constant: 1 } } }]
events:
  - { at: 1h, for: 1h, device: d-1, metric: t, add: 12, over: 15m }
  - { at: 90m, for: 10m, device: "d-[!]*", metric: t, set: 5 }
`.replace('"d-[!]*"', "d-2");

  test("add, with a way there and back, and set; others are as they were", () => {
    const scenario = parseScenario(text, "site.yaml");
    const t = metricAt(scenario, "d-1", "t");
    const at = [0, 60, 60 + 7.5, 75, 100, 105, 112.5, 119, 120, 239];
    expect(at.map((minute) => t(minute * MINUTE))).toEqual([
      10, 10, 16, 22, 22, 22, 16, 10.8, 10, 10,
    ]);
    expect(metricAt(scenario, "d-2", "t")(95 * MINUTE)).toBe(5);
    expect(metricAt(scenario, "d-2", "t")(100 * MINUTE)).toBe(10);
    expect(metricAt(scenario, "d-1", "u")(75 * MINUTE)).toBe(1);
    expect(metricAt(scenario, "d-3", "t")(75 * MINUTE)).toBe(10);
  });

  test("silent: a metric, or the whole device, to the end where no end is said; offline: devices", () => {
    const more = `${text}  - { at: 3h, for: 10m, device: d-3, metric: t, silent: true }
  - { at: 3h, device: "d-*", gateway: g, silent: true }
  - { at: 2h, for: 20s, offline: true }
`;
    const scenario = parseScenario(more, "site.yaml");
    expect(metricAt(scenario, "d-3", "t")(3 * HOUR)).toBeUndefined();
    expect(metricAt(scenario, "d-3", "t")(3 * HOUR + 10 * MINUTE)).toBe(10);
    for (const { behaviour } of devicesOf(scenario)) {
      expect(behaviour.silent.at).toEqual([{ at: 3 * HOUR, lastsMs: HOUR }]);
      expect(behaviour.offline?.at).toEqual([{ at: 2 * HOUR, lastsMs: 20_000 }]);
    }
  });

  test("one that meets nothing is a fault, with what there is", () => {
    const more = `${text}  - { at: 1h, device: e-1, silent: true }
  - { at: 1h, gateway: h, silent: true }
  - { at: 1h, metric: v, add: 1 }
`;
    expect(faults(more)).toEqual([
      'site.yaml:10:23: no device is called "e-1"; there are d-1, d-2, d-3',
      'site.yaml:11:24: no gateway is called "h"; there are g',
      'site.yaml:12:23: none of these devices has a metric "v"; there are t, u',
    ]);
  });

  test("a shorter run leaves out what comes later", () => {
    const scenario = parseScenario(text, "site.yaml", { durationMs: 30 * MINUTE });
    expect(scenario.durationMs).toBe(30 * MINUTE);
    expect(metricAt(scenario, "d-1", "t")(75 * MINUTE)).toBe(10);
  });
});
