/**
 * A fleet in virtual time, in the hands of a test: it lets time pass, has things go wrong, looks at the readings and alerts so
 * far, and in the end holds everything against the oracles.
 */
import type { Alert, MetricValue } from "../events/schema.ts";
import { LiveAlerts } from "./live-alerts.ts";
import { type LinkQuality, LiveScenario } from "./live-scenario.ts";
import { QUANTITIES, read } from "./scenario/friendly.core.ts";
import type { Scenario } from "./scenario/scenario.ts";
import type { Fault, FaultKind } from "./world/faults.ts";
import { clockText, type TimelineEntry } from "./world/record.ts";
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

/** A reading that a device has sent; moments are ms from the beginning of the run. */
export interface FleetReading {
  readonly gateway: string;
  readonly device: string;
  /** Counts the device's readings, from 1; those that it gave up before it could send them are left out. */
  readonly n: number;
  /** What its payload says; its number `n` is among them, unless the fleet has `numbered: false`. */
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** The time in its payload; undefined where that has none. */
  readonly time: number | undefined;
  /** When it was first sent. */
  readonly sentAt: number;
  /** How often it was sent in all. */
  readonly sendings: number;
  /** When its device was told that it is safe; undefined where it was not, and always at QoS 0. */
  readonly acknowledgedAt: number | undefined;
}

export interface FleetResult extends Omit<RunResult, "alerts"> {
  readonly alerts: readonly FleetAlert[];
  /** Every reading that was sent, in the order of its first sending. */
  readonly readings: readonly FleetReading[];
}

export interface Until {
  /** Of virtual time. */
  readonly atMost: Duration;
  /** Between two looks. Default: a second. */
  readonly every?: Duration;
}

/** The faults that a test can have happen to a gateway, beside its scenario's. */
export const GATEWAY_FAULTS = {
  linkDown: "link down",
  halfOpen: "half open",
  powerCut: "gateway power cut",
  killed: "gateway killed",
  restarted: "gateway restarted",
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
  readonly #scenario: LiveScenario;
  readonly #alerts: LiveAlerts;
  #busy = false;
  #result: FleetResult | undefined;

  /** Use fleet(…).start(). @param faults in the place of those that the scenario makes */
  constructor(scenario: Scenario, faults?: readonly Fault[]) {
    this.#scenario = new LiveScenario(scenario);
    this.#world = new World(this.#scenario.scenario, faults ? { faults } : {});
    this.#alerts = new LiveAlerts(this.#world);
  }

  async start(): Promise<void> {
    await this.#world.start();
  }

  /** ms from the beginning of the run. */
  get now(): number {
    return this.#world.time.now;
  }

  /** What finish() gave; undefined before. */
  get result(): FleetResult | undefined {
    return this.#result;
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

  /**
   * Lets time pass until something is so. It is asked at once, and then again and again.
   * @param condition may ask the fleet: `async () => (await site.alerts()).some(({ state }) => state === "firing")`
   * @returns when it was so, ms from the beginning of the run
   * @throws where it is not so by then
   */
  async advanceUntil(
    condition: () => boolean | Promise<boolean>,
    { atMost, every = "1s" }: Until,
  ): Promise<number> {
    this.#mustRun();
    const from = this.now;
    const until = from + ms(atMost);
    const step = ms(every);
    if (step === 0) throw new RangeError("every is 0: time would stand still between two looks");
    for (;;) {
      if (await condition()) return this.now;
      const left = until - this.now;
      if (left <= 0) break;
      await this.advance(Math.min(step, left));
    }
    const asked = String(condition).replace(/\s+/g, " ");
    const shown = asked.length > MOST_SHOWN ? `${asked.slice(0, MOST_SHOWN)}…` : asked;
    throw new Error(`not so from ${clockText(from)} to ${clockText(this.now)}: ${shown}`);
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
    this.#world.inject({ kind, gateway: this.#indexOf(gateway), lastsMs: ms(lasts) });
  }

  /**
   * Somebody sets the gateway's clock: `"-3h"`, or ms. Where the gateway has a time service, that puts it right a minute
   * later.
   */
  clockJump(gateway: string, by: Duration): void {
    this.#mustRun();
    const at = this.#indexOf(gateway);
    const byMs = typeof by === "number" ? by : QUANTITIES.signed.read(by);
    if (byMs === undefined || !Number.isFinite(byMs)) {
      throw new RangeError(`by is ${JSON.stringify(by)}; it must be ${QUANTITIES.signed.hint}`);
    }
    this.#scenario.jumped(at, this.now, byMs);
    this.#world.inject({ kind: "clock jump", gateway: at, lastsMs: 0, byMs });
    this.#world.record.note(
      gateway,
      `its clock is set ${byMs < 0 ? "back" : "ahead"} by ${clockText(Math.abs(byMs))}`,
    );
  }

  /**
   * What the gateway's link to the log is like from now on; undefined is what the scenario says. It is that again when the
   * run is finished.
   */
  link(gateway: string, quality: LinkQuality | undefined): void {
    this.#mustRun();
    const at = this.#indexOf(gateway);
    this.#world.disturbed = true;
    if (quality) this.#scenario.change(at, quality);
    else this.#scenario.restore(at);
    const words = quality ? JSON.stringify(quality) : "as the scenario says";
    this.#world.record.note(gateway, `its link is ${words}`);
  }

  /** The same at the site that has the log and the processors. */
  siteFault(fault: SiteFault, lasts: Duration): void {
    this.#mustRun();
    const kind = known(SITE_FAULTS, fault);
    this.#world.inject({ kind, gateway: undefined, lastsMs: ms(lasts) });
  }

  /** What has been sent so far, in the order of the first sending. */
  readings(): readonly FleetReading[] {
    this.#mustRun();
    return this.#readings();
  }

  /** What has happened so far, for people. */
  get timeline(): readonly TimelineEntry[] {
    return this.#world.record.timeline;
  }

  /**
   * Every change of an alert so far, in the order in which they came. While the site has no power, those that were known when
   * it was asked last.
   */
  async alerts(): Promise<readonly FleetAlert[]> {
    const alerts = await this.#alone(() => this.#alerts.read());
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
      this.#scenario.restoreAll();
      return await finish(this.#world);
    });
    const alerts = result.alerts.map((alert) => placed(alert, scenario));
    this.#result = { ...result, alerts, readings: this.#readings() };
    return this.#result;
  }

  #readings(): readonly FleetReading[] {
    const { start } = this.#world.scenario;
    return this.#world.sent.map(
      ({ gateway, device, n, metrics, time, writes, acknowledgedAt }) => ({
        ...{ gateway, device, n, metrics, acknowledgedAt },
        time: time === undefined ? undefined : time - start,
        sentAt: writes[0]?.at ?? 0,
        sendings: writes.length,
      }),
    );
  }

  /** @throws RangeError where there is no such gateway */
  #indexOf(gateway: string): number {
    const names = this.#world.scenario.gateways.map(({ name }) => name);
    const at = names.indexOf(gateway);
    if (at < 0) throw new RangeError(`no gateway is called ${gateway}; ${some(names)}`);
    return at;
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
    if (this.#result) throw new Error("the fleet is finished: start another one");
    if (this.#busy) throw new Error("the fleet is still advancing: await the call before this one");
  }
}

/** Of a condition, in a message. */
const MOST_SHOWN = 200;

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
