import { expect, test } from "vitest";
import type { FleetDefinition } from "./definition.ts";
import { parseScenario, ScenarioError } from "./file.ts";
import { fleet } from "./fleet.ts";

const store: FleetDefinition = {
  name: "store",
  duration: "6h",
  rules: [{ name: "warm", when: "temperature above -15", for: "5m" }],
  gateways: [
    {
      name: "store",
      link: { down: { every: "2h", for: "20m" } },
      devices: [{ kind: "freezer", count: 2, every: "60s" }],
    },
  ],
  events: [{ at: "3h", for: "30m", device: "freezer-1", metric: "temperature", add: 12 }],
};

/** Functions are compared by what they say. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part) =>
      typeof part === "function" ? [0, 1e6, 12e6].map(part) : part,
    ),
  );
}

test("code and YAML with the same words are the same scenario", () => {
  const yaml = `
name: store
duration: 6h
rules: [{ name: warm, when: temperature above -15, for: 5m }]
gateways:
  - name: store
    link: { down: { every: 2h, for: 20m } }
    devices: [{ kind: freezer, count: 2, every: 60s }]
events: [{ at: 3h, for: 30m, device: freezer-1, metric: temperature, add: 12 }]
`;
  expect(plain(fleet(store).scenario())).toEqual(plain(parseScenario(yaml, "x.yaml")));
});

test("a seed, a duration and a number of devices of its own", () => {
  const plan = fleet(store);
  expect(plan.name).toBe("store");
  const scenario = plan.scenario({ seed: 9, durationMs: 1000, devices: 7 });
  expect(scenario).toMatchObject({ seed: 9, durationMs: 1000 });
  expect(scenario.gateways[0]?.devices).toHaveLength(7);
  expect(plain(plan.scenario({ seed: 9 }))).not.toEqual(plain(plan.scenario({ seed: 10 })));
  expect(() => plan.scenario({ seed: 1.5, devices: 0 })).toThrow(
    /seed is 1\.5; it must be a whole number\s+devices is 0; it must be 1 to 100000/,
  );
});

test("a metric's function knows of which device it is, and has chance of its own", () => {
  const seen: string[] = [];
  const plan = fleet({
    start: "2026-11-16",
    gateways: [
      {
        name: "g",
        count: 2,
        devices: [
          {
            name: "d",
            metrics: {
              t: (_, { device, gateway, elapsedMs, chance }) => {
                seen.push(`${gateway} ${device} ${elapsedMs}`);
                return chance() + (chance("gust") > 0.5 ? 10 : 0);
              },
            },
          },
        ],
      },
    ],
  });
  const { start, gateways } = plan.scenario({ seed: 5 });
  const [one, other] = gateways.map(({ devices }) => devices[0]?.metrics.t?.at);
  const values = [one?.(start + 1000), other?.(start + 1000), one?.(start + 2000)];
  expect(seen).toEqual(["g-1 g-1-d 1000", "g-2 g-2-d 1000", "g-1 g-1-d 2000"]);
  expect(new Set(values).size).toBe(3);
  expect(one?.(start + 1000)).toBe(values[0]);
  const again = plan.scenario({ seed: 6 }).gateways[0]?.devices[0]?.metrics.t?.at;
  expect(again?.(start + 1000)).not.toBe(values[0]);
});

test("a metric can be a function of time", () => {
  const plan = fleet({
    gateways: [
      { name: "g", devices: [{ name: "d", metrics: { t: (time) => time % 7, open: () => true } }] },
    ],
  });
  expect(plan.name).toBe("fleet");
  const [device] = plan.scenario().gateways[0]?.devices ?? [];
  expect([device?.metrics.t?.at(15), device?.metrics.open?.at(0)]).toEqual([1, true]);
});

test("a shipped scenario by its name", () => {
  expect(fleet("cold-chain").scenario({ seed: 3 })).toMatchObject({ name: "cold-chain", seed: 3 });
});

test("faults are told at once, where it is written, with their place in the code", () => {
  const wrong = {
    gateways: [
      { name: "g", devices: [{ kind: "freezer", every: 10, metrics: { "a b": { constnt: 1 } } }] },
    ],
    rules: [{ name: "warm" }],
  } as unknown as FleetDefinition;
  const thrown = (() => {
    try {
      fleet(wrong);
    } catch (error) {
      return error as ScenarioError;
    }
    return undefined;
  })();
  expect(thrown).toBeInstanceOf(ScenarioError);
  expect(thrown?.faults.toSorted()).toEqual([
    "fleet.gateways[0].devices[0].every: every is 10; it must be a duration like 30s, 5m or 1h30m, above 0",
    expect.stringMatching(
      /^fleet\.gateways\[0\]\.devices\[0\]\.metrics\["a b"\]\.constnt: unknown key "constnt"; known are constant, /,
    ),
    expect.stringMatching(/^fleet\.rules\[0\]: a rule needs "when"; write it like/),
  ]);
});
