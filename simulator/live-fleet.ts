/**
 * A fleet in virtual time, in the hands of a test: it lets time pass, has things go wrong, looks at the alerts so far, and in
 * the end holds everything against the oracles.
 */
import type { Alert, MetricValue } from "../events/schema.ts";
import { read } from "./scenario/friendly.core.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { alertsSoFar } from "./world/check.ts";
import type { FaultKind } from "./world/faults.ts";
import { clockText } from "./world/record.ts";
import { finish, type RunResult } from "./world/simulate.ts";
import { World } from "./world/world.ts";

/** Milliseconds, or words as in a scenario: `30s`, `2h`, `1h30m`. */
export type Duration = number | string;

/** A change of an alert, with its moments from the beginning of the run, ms. */
export interface FleetAlert extends Alert {
  /** When the condition began to hold. */
  readonly beganAt: number;
  /** When it became pending, fired or was resolved, by the readings' times. */
  readonly at: number;
}

export interface FleetResult extends Omit<RunResult, "alerts"> {
  readonly alerts: readonly FleetAlert[];
}

/** The faults that a test can have happen to a gateway, beside its scenario's. */
export const GATEWAY_FAULTS = {
  linkDown: "link down",
  halfOpen: "half open",
  powerCut: "gateway power cut",
  writeErrors: "buffer write errors",
  diskFull: "disk full",
} as const satisfies Readonly<Record<string, FaultKind>>;
export type GatewayFault = keyof typeof GATEWAY_FAULTS;

export const SITE_FAULTS = {
  logAway: "log away",
  powerCut: "site power cut",
  processorsKilled: "processors killed",
  writeErrors: "log write errors",
} as const satisfies Readonly<Record<string, FaultKind>>;
export type SiteFault = keyof typeof SITE_FAULTS;

export class LiveFleet {
  readonly #world: World;
  #busy = false;
  #finished = false;

  /** Use fleet(…).start(). */
  constructor(scenario: Scenario) {
    this.#world = new World(scenario);
  }

  async start(): Promise<void> {
    await this.#world.start();
  }

  /** ms from the beginning of the run. */
  get now(): number {
    return this.#world.time.now;
  }

  /** Lets so much time pass. @throws RangeError beyond the end, where the devices have stopped */
  async advance(time: Duration): Promise<void> {
    this.#mustRun();
    const until = this.now + ms(time);
    const { durationMs } = this.#world.scenario;
    if (until > durationMs) {
      throw new RangeError(
        `the fleet's duration is over at ${clockText(durationMs)}, and this would be ${clockText(until)}; give it a longer duration`,
      );
    }
    await this.#alone(() => this.#world.runUntil(until));
  }

  /** The sensor says this from now on, whatever it would measure; undefined lets it measure again. @throws RangeError for a metric that the device has not */
  set(device: string, metric: string, value: MetricValue | undefined): void {
    this.#mustRun();
    if (value !== undefined && !isMetricValue(value)) {
      throw new RangeError(
        `${device} ${metric}: ${String(value)} is no value; a finite number, true, false or a text is`,
      );
    }
    const specs = this.#world.scenario.gateways.flatMap(({ devices }) => devices);
    const spec = specs.find(({ name }) => name === device);
    if (!spec)
      throw new RangeError(`no device is called ${device}; ${some(specs.map(({ name }) => name))}`);
    if (!(metric in spec.metrics)) {
      throw new RangeError(`${device} has no metric ${metric}; ${some(Object.keys(spec.metrics))}`);
    }
    this.#world.hold(device, metric, value);
    this.#world.record.note(
      device,
      `${metric} is set to ${value === undefined ? "what it measures" : JSON.stringify(value)}`,
    );
  }

  /** Something goes wrong at a gateway, now and for so long. @throws RangeError where there is no such gateway */
  gatewayFault(gateway: string, fault: GatewayFault, lasts: Duration): void {
    this.#mustRun();
    const kind = known(GATEWAY_FAULTS, fault);
    const names = this.#world.scenario.gateways.map(({ name }) => name);
    const at = names.indexOf(gateway);
    if (at < 0) throw new RangeError(`no gateway is called ${gateway}; ${some(names)}`);
    this.#world.inject({ kind, gateway: at, lastsMs: ms(lasts) });
  }

  /** The same at the site that has the log and the processors. */
  siteFault(fault: SiteFault, lasts: Duration): void {
    this.#mustRun();
    const kind = known(SITE_FAULTS, fault);
    this.#world.inject({ kind, gateway: undefined, lastsMs: ms(lasts) });
  }

  /** Every change of an alert so far, in the order in which they came. */
  async alerts(): Promise<readonly FleetAlert[]> {
    const alerts = await this.#alone(() => alertsSoFar(this.#world));
    return alerts.map((alert) => placed(alert, this.#world.scenario));
  }

  /**
   * Runs what is left of the scenario's duration, with what goes wrong in it; then nothing goes wrong any more, everything comes
   * home, and the oracles are asked.
   */
  async finish(): Promise<FleetResult> {
    const { scenario } = this.#world;
    const result = await this.#alone(async () => {
      await this.#world.runUntil(Math.max(this.now, scenario.durationMs));
      return await finish(this.#world);
    });
    this.#finished = true;
    return { ...result, alerts: result.alerts.map((alert) => placed(alert, scenario)) };
  }

  /** One at a time: two that turn the clock at once would not know what time it is. */
  async #alone<T>(act: () => Promise<T>): Promise<T> {
    this.#mustRun();
    this.#busy = true;
    try {
      return await act();
    } finally {
      this.#busy = false;
    }
  }

  #mustRun(): void {
    if (this.#finished) throw new Error("the fleet is finished: start another one");
    if (this.#busy) throw new Error("the fleet is still advancing: await the call before this one");
  }
}

function placed(alert: Alert, { start }: Scenario): FleetAlert {
  return { ...alert, beganAt: alert.since - start, at: alert.changed - start };
}

function isMetricValue(value: unknown): boolean {
  return Number.isFinite(value) || typeof value === "boolean" || typeof value === "string";
}

/** @throws RangeError where there is no such fault */
function known<Kinds extends Readonly<Record<string, FaultKind>>>(
  kinds: Kinds,
  fault: keyof Kinds,
): FaultKind {
  const kind = Object.hasOwn(kinds, fault) ? kinds[fault] : undefined;
  if (kind === undefined)
    throw new RangeError(`no fault is called ${String(fault)}; ${some(Object.keys(kinds))}`);
  return kind;
}

/** @throws RangeError for words that are no duration */
function ms(time: Duration): number {
  const value = typeof time === "number" ? time : read("duration", time);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new RangeError(
    `${JSON.stringify(time)} is no duration; one is written as 30s, 5m or 1h30m`,
  );
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return `there are ${shown}${names.length > 10 ? " and more" : ""}`;
}
