/**
 * Makes a failing run small: leaves out what goes wrong, devices, gateways and time, one after another, as long as it still
 * fails in the same way. What is left is what matters.
 */
import type { DeviceSpec, GatewaySpec, Scenario } from "../scenario/scenario.ts";
import type { CheckName } from "./check.ts";
import { type Fault, faultsOf } from "./faults.ts";
import { type RunResult, simulate } from "./simulate.ts";

export interface Case {
  readonly scenario: Scenario;
  readonly faults: readonly Fault[];
}

export interface Shrunk extends Case {
  readonly result: RunResult;
  /** Runs that it took. */
  readonly runs: number;
}

/** Enough for some dozen faults and devices, and a minute or so. */
const MOST_RUNS = 150;

/** @param failed the result of the whole scenario */
export async function shrink(failed: RunResult, mostRuns = MOST_RUNS): Promise<Shrunk> {
  const wanted = new Set(failed.problems.map(({ check }) => check));
  const whole = { scenario: failed.scenario, faults: faultsOf(failed.scenario) };
  const fails = async (candidate: Case) => {
    const tried = await tryRun(candidate);
    return tried && failsAlike(tried, wanted) ? tried : undefined;
  };
  return await smallest({ ...whole, result: failed }, fails, mostRuns);
}

/**
 * @param whole with what came of it
 * @param fails runs one; undefined where it does not fail, or otherwise than the whole
 */
export async function smallest<Result>(
  whole: Case & { readonly result: Result },
  fails: (candidate: Case) => Promise<Result | undefined>,
  mostRuns = MOST_RUNS,
): Promise<Case & { readonly result: Result; readonly runs: number }> {
  let best: Case = whole;
  let { result } = whole;
  let runs = 0;
  let changed = true;
  while (changed && runs < mostRuns) {
    changed = false;
    for (const candidate of smaller(best)) {
      if (runs >= mostRuns) break;
      runs += 1;
      const tried = await fails(candidate);
      if (!tried) continue;
      best = candidate;
      result = tried;
      changed = true;
      break;
    }
  }
  const { scenario, faults } = best;
  return { scenario, faults, result, runs };
}

/** One that cannot run at all is no smaller failure. */
async function tryRun({ scenario, faults }: Case): Promise<RunResult | undefined> {
  try {
    return await simulate(scenario, { faults });
  } catch {
    return undefined;
  }
}

function failsAlike(result: RunResult, wanted: ReadonlySet<CheckName>): boolean {
  return result.problems.some(({ check }) => wanted.has(check));
}

/** The largest steps first. */
function* smaller({ scenario, faults }: Case): Generator<Case> {
  const { gateways, durationMs } = scenario;
  if (gateways.length > 1) {
    for (const at of gateways.keys()) yield withoutGateway({ scenario, faults }, at);
  }
  if (faults.length > 3) {
    const half = Math.ceil(faults.length / 2);
    yield { scenario, faults: faults.slice(0, half) };
    yield { scenario, faults: faults.slice(half) };
  }
  for (const [at, gateway] of gateways.entries()) {
    if (gateway.devices.length === 1) continue;
    for (const one of gateway.devices) {
      const devices = gateway.devices.filter((device) => device !== one);
      yield { scenario: withGateway(scenario, at, { ...gateway, devices }), faults };
    }
  }
  for (const at of faults.keys()) yield { scenario, faults: faults.toSpliced(at, 1) };
  if (durationMs > 5000) {
    for (const share of [0.5, 0.8]) {
      const shorter = Math.round(durationMs * share);
      const left = faults.filter((fault) => fault.at < shorter);
      yield { scenario: { ...scenario, durationMs: shorter }, faults: left };
    }
  }
  yield* calmer({ scenario, faults });
}

/** Devices and links without their quirks, each where it has one. */
function* calmer({ scenario, faults }: Case): Generator<Case> {
  for (const [at, gateway] of scenario.gateways.entries()) {
    const { link, devices } = gateway;
    if (link.loss > 0 || link.duplicates > 0 || link.jitterMs > 0) {
      const calm = { ...link, loss: 0, duplicates: 0, jitterMs: 0 };
      yield { scenario: withGateway(scenario, at, { ...gateway, link: calm }), faults };
    }
    for (const [i, device] of devices.entries()) {
      for (const calm of calmDevices(device)) {
        const changed = { ...gateway, devices: devices.with(i, calm) };
        yield { scenario: withGateway(scenario, at, changed), faults };
      }
    }
  }
}

function* calmDevices(device: DeviceSpec): Generator<DeviceSpec> {
  const { behaviour } = device;
  const { sleep, ...awake } = behaviour;
  if (sleep) yield { ...device, behaviour: awake };
  const { duplicates, ignoresAcks, reconnectEveryMs } = behaviour;
  if (duplicates > 0) yield { ...device, behaviour: { ...behaviour, duplicates: 0 } };
  if (ignoresAcks > 0) yield { ...device, behaviour: { ...behaviour, ignoresAcks: 0 } };
  if (reconnectEveryMs > 0) yield { ...device, behaviour: { ...behaviour, reconnectEveryMs: 0 } };
}

function withGateway(scenario: Scenario, at: number, gateway: GatewaySpec): Scenario {
  return { ...scenario, gateways: scenario.gateways.with(at, gateway) };
}

function withoutGateway({ scenario, faults }: Case, at: number): Case {
  return {
    scenario: { ...scenario, gateways: scenario.gateways.toSpliced(at, 1) },
    faults: faults
      .filter(({ gateway }) => gateway !== at)
      .map((fault) =>
        fault.gateway !== undefined && fault.gateway > at
          ? { ...fault, gateway: fault.gateway - 1 }
          : fault,
      ),
  };
}
