/**
 * A card that is copied while readings flow, in virtual time: the copy goes into a board of its own, and both live on through
 * all that goes wrong. The oracles hold for both: what was acknowledged is in the log or declared lost, and counts once.
 */
import { expect, test } from "vitest";
import { NEVER } from "../../simulator/scenario/outages.core.ts";
import type { GatewaySpec, Scenario } from "../../simulator/scenario/scenario.ts";
import { Chance } from "../../simulator/world/chance.ts";
import { type Fault, faultsOf } from "../../simulator/world/faults.ts";
import { randomScenario } from "../../simulator/world/random-scenario.ts";
import { type RunResult, simulate } from "../../simulator/world/simulate.ts";

const AWAY_MS = 20_000;

/** A gateway by chance, with devices of its own. */
function gatewayOf(seed: number, name: string): GatewaySpec {
  const [spec] = randomScenario(seed, { decay: 0 }).gateways;
  if (!spec) throw new Error("a scenario has a gateway");
  const devices = spec.devices.map((device) => ({ ...device, name: `${name}-${device.name}` }));
  return { ...spec, name, devices };
}

async function copied(seed: number, blind = false): Promise<RunResult> {
  const chance = new Chance(seed, "copied card");
  const site = randomScenario(seed, { decay: 0 });
  const gateways = [gatewayOf(seed, "g1"), gatewayOf(seed + 1_000_000, "g1-copy")];
  // As Kafka has it: the log takes what comes twice, and the processors drop it.
  const scenario: Scenario = {
    ...site,
    gateways,
    site: { ...site.site, duplicates: "twice", power: NEVER },
  };
  const at = Math.round(scenario.durationMs * chance.between(0.2, 0.7));
  const planned = faultsOf(scenario).filter((one) => one.gateway !== 1 || one.at > at);
  // What waits when the copy is made is sent by both.
  const away = {
    kind: "link down",
    gateway: 0,
    at: Math.max(0, at - AWAY_MS),
    lastsMs: 2 * AWAY_MS,
  };
  const faults = [...planned, away as Fault];
  return await simulate(scenario, { faults, copies: [{ from: 0, to: 1, at, blind }] });
}

const told = ({ problems, scenario }: RunResult) =>
  problems.map(({ check, message }) => `seed ${scenario.seed}: ${check}: ${message}`);

test("the oracles hold for a card and its copy, whatever goes wrong", async () => {
  let acknowledged = 0;
  const struck = new Set<string>();
  for (let seed = 1; seed <= 15; seed += 1) {
    const result = await copied(seed);
    expect(told(result)).toEqual([]);
    acknowledged += result.acknowledged;
    for (const kind of Object.keys(result.strikes)) struck.add(kind);
  }
  expect(acknowledged).toBeGreaterThan(1000);
  for (const kind of ["card copied", "gateway power cut", "disk full"]) {
    expect(struck).toContain(kind);
  }
});

test("a copy that goes on under its original's epoch is found", async () => {
  const found: string[] = [];
  for (let seed = 1; seed <= 3; seed += 1) found.push(...told(await copied(seed, true)));
  expect(found.join("\n")).toMatch(/sent: acknowledged, and not in the journal/);
});
