/**
 * What a device measures, and when. It depends on nothing but its specification, the seed and true time: neither on its
 * connection nor on when somebody asks. So the readings of a scenario are known before it runs.
 */
import type { MetricValue } from "../../events/schema.ts";
import { StretchCursor, stretchesOf } from "../scenario/outages.core.ts";
import type { DeviceSpec, MetricSpec } from "../scenario/scenario.ts";
import type { SentReading } from "./port.ts";

/** Outside of them the gateway takes a `time` for no time but for a metric that is called so. */
const EARLIEST_MS = Date.UTC(2000, 0, 1);
const LATEST_MS = Date.UTC(2100, 0, 1);

/** The number of the reading, where the scenario asks for it: tells apart what a sensor that stands still says. */
export const NUMBER_METRIC = "n";

export class Readings {
  readonly #spec: DeviceSpec;
  readonly #start: number;
  readonly #end: number;
  readonly #metrics: readonly (readonly [string, MetricSpec["at"]])[];
  /** Of what is due, and of the present, which is ahead of it where the world is late. */
  readonly #silent: StretchCursor;
  readonly #silentNow: StretchCursor;
  #ticks = 0;
  #made = 0;

  /**
   * @param seed of this device's silent stretches
   * @param start of the run, ms since 1970
   * @param end nothing is measured from then on, ms since 1970
   */
  constructor(spec: DeviceSpec, seed: number, start: number, end: number) {
    this.#spec = spec;
    this.#start = start;
    this.#end = end;
    this.#metrics = Object.entries(spec.metrics).map(([name, { at }]) => [name, at]);
    const silent = stretchesOf(spec.behaviour.silent, seed, end - start);
    this.#silent = new StretchCursor(silent);
    this.#silentNow = new StretchCursor(silent);
  }

  /** When the next one is due, ms since 1970; Infinity after the last. */
  get due(): number {
    const { phaseMs, everyMs } = this.#spec;
    const due = this.#start + phaseMs + this.#ticks * everyMs;
    return due < this.#end ? due : Number.POSITIVE_INFINITY;
  }

  /** @returns undefined where the device is silent then, or no sensor of it says anything */
  take(): SentReading | undefined {
    const due = this.due;
    this.#ticks += 1;
    const silentUntil = this.#silent.endAt(due - this.#start);
    if (silentUntil !== undefined) {
      this.#ticks = Math.max(
        this.#ticks,
        Math.ceil((silentUntil - this.#spec.phaseMs) / this.#spec.everyMs),
      );
      return undefined;
    }
    const measured = Math.floor(due);
    const metrics: Record<string, MetricValue> = {};
    let any = false;
    for (const [name, at] of this.#metrics) {
      const value = at(measured);
      if (value === undefined || (typeof value === "number" && !Number.isFinite(value))) continue;
      metrics[name] = value;
      any = true;
    }
    if (!any) return undefined;
    this.#made += 1;
    if (this.#spec.numbered) metrics[NUMBER_METRIC] = this.#made;
    const time = this.#timed(measured, metrics);
    return { n: this.#made, device: this.#spec.name, time, measured, metrics };
  }

  /** Passes over what is due until then, but for the newest `keep`: it would be given up again at once. */
  skipTo(time: number, keep: number): void {
    const { phaseMs, everyMs } = this.#spec;
    const behind = Math.floor((Math.min(time, this.#end) - this.#start - phaseMs) / everyMs);
    this.#ticks = Math.max(this.#ticks, behind - keep);
  }

  /** @returns until when the device is silent, ms since 1970; undefined where it is not. Never asked for an earlier time than before. */
  silentUntil(time: number): number | undefined {
    const end = this.#silentNow.endAt(time - this.#start);
    return end === undefined ? undefined : this.#start + end;
  }

  #timed(measured: number, metrics: Record<string, MetricValue>): number | undefined {
    const { time, clockOffMs } = this.#spec.behaviour;
    if (time === "none") return undefined;
    if (time === "device") return measured;
    const shown = measured + clockOffMs;
    if (shown >= EARLIEST_MS && shown < LATEST_MS) return shown;
    // As a text: a small number of ms could be read as seconds of another year.
    metrics.time = new Date(shown).toISOString();
    return undefined;
  }
}

/** As the gateway's decoder takes it. The same bytes each time, so that what is sent again is the same message. */
export function payloadOf({ time, metrics }: SentReading): Buffer {
  return Buffer.from(JSON.stringify(time === undefined ? metrics : { time, ...metrics }));
}
