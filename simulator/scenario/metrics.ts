/** From what a scenario says of a metric to a function of time: parts added together, then the sensor and its faults. */
import type { Report } from "../../rules/yaml-file.ts";
import { childSeed, uniformAt } from "../random.ts";
import {
  constant,
  daily,
  drift,
  dropouts,
  type Episodes,
  episodeAt,
  excursion,
  HOUR_MS,
  measured,
  noise,
  type Signal,
  scaled,
  spikes,
  steps,
  stuck,
  sum,
  thermostat,
  weekly,
  workingHours,
} from "../signals.ts";
import { defaultOf } from "./fields.ts";
import { read } from "./friendly.core.ts";
import {
  type MetricFunction,
  type MetricMoment,
  metricSchema,
  otherMetrics,
  type RawMetric,
  sensorKeys,
  signalParts,
} from "./metric-schema.ts";
import type { MetricSpec } from "./scenario.ts";

/** Reports what the parts mean together and cannot. */
export function checkMetric(raw: RawMetric | MetricFunction, report: Report): void {
  if (typeof raw === "function") return;
  const parts = Object.keys(signalParts).filter((key) => Object.hasOwn(raw, key));
  const others = Object.keys(otherMetrics).filter((key) => Object.hasOwn(raw, key));
  const known = [...Object.keys(signalParts), ...Object.keys(otherMetrics)].join(", ");
  if (parts.length + others.length === 0) report([], `it says nothing; give it one of ${known}`);
  if (others.length > 1) report([others[1] ?? ""], 'it is "on" or "states", not both', true);
  for (const other of others.slice(0, 1)) {
    const wrong = [...parts, "min", "max", "decimals", "stuck", "spikes"].filter((key) =>
      Object.hasOwn(raw, key),
    );
    for (const key of wrong)
      report([key], `"${key}" is for numbers; this metric has "${other}"`, true);
  }
  const { min, max } = raw;
  if (min !== undefined && max !== undefined && min >= max) {
    report(["min"], `min is ${min} and max is ${max}; min must be the smaller one`);
  }
  for (const key of ["on", "stuck", "dropouts"] as const) {
    const episodes = raw[key];
    if (episodes && read("positive", episodes.for) > read("positive", episodes.every)) {
      report(
        [key, "for"],
        `for is ${episodes.for}, longer than every (${episodes.every}); make it shorter`,
      );
    }
  }
}

/**
 * @param seed of this metric of this device
 * @param start of the run, ms since 1970
 * @param whose for a metric that is a function
 */
export function metricOf(
  raw: RawMetric | MetricFunction,
  seed: number,
  start: number,
  whose: Pick<MetricMoment, "device" | "gateway">,
): MetricSpec {
  if (typeof raw === "function") return functionOf(raw, seed, start, whose);
  const unit = raw.unit ?? "";
  const quiet = raw.dropouts && episodesOf(raw.dropouts, sensorKeys.dropouts);
  const dropped = childSeed(seed, "dropouts");
  const heard = (time: number) =>
    quiet === undefined || episodeAt(dropped, quiet, time) === undefined;
  if (raw.on) {
    const on = episodesOf(raw.on, otherMetrics.on);
    const own = childSeed(seed, "on");
    return {
      unit,
      at: (time) => (heard(time) ? episodeAt(own, on, time) !== undefined : undefined),
    };
  }
  if (raw.states) {
    const { of, hold } = raw.states;
    const holdMs = read("positive", hold);
    const own = childSeed(seed, "states");
    return {
      unit,
      at: (time) => (heard(time) ? of[pick(own, Math.floor(time / holdMs), of.length)] : undefined),
    };
  }
  return { unit, at: sensorOf(raw, partsOf(raw, seed, start), seed) };
}

function functionOf(
  raw: MetricFunction,
  seed: number,
  start: number,
  { device, gateway }: Pick<MetricMoment, "device" | "gateway">,
): MetricSpec {
  const at = (time: number) =>
    raw(time, {
      ...{ elapsedMs: time - start, device, gateway },
      chance: (what = "") => uniformAt(childSeed(seed, what), Math.floor(time)),
    });
  return { unit: "", at };
}

function pick(seed: number, index: number, count: number): number {
  return Math.floor(uniformAt(seed, index) * count);
}

function partsOf(raw: RawMetric, seed: number, start: number): Signal {
  const parts: Signal[] = [];
  const own = (part: string) => childSeed(seed, part);
  const spread = raw.spread ? raw.spread * (2 * uniformAt(own("spread"), 0) - 1) : 0;
  parts.push(constant((raw.constant ?? 0) + spread));
  if (raw.daily) {
    const { amplitude, peak } = raw.daily;
    parts.push(daily({ amplitude, peakHour: read("hour", peak) / HOUR_MS }));
  }
  if (raw.weekly) {
    const { amplitude, peak } = raw.weekly;
    parts.push(weekly({ amplitude, peakMs: read("week", peak) }));
  }
  if (raw.working_hours) {
    const { from, to, height } = raw.working_hours;
    const hours = { from: read("hour", from) / HOUR_MS, to: read("hour", to) / HOUR_MS };
    parts.push(scaled(workingHours(hours), height));
  }
  if (raw.drift) {
    const { amplitude, every } = raw.drift;
    parts.push(drift(own("drift"), amplitude, read("positive", every)));
  }
  if (raw.thermostat) {
    const { amplitude, period, rise } = raw.thermostat;
    const periodMs = read("positive", period);
    const phaseMs = periodMs * uniformAt(own("thermostat"), 0);
    // At 0 or 1 one of the two sides has no length.
    const riseShare = Math.min(0.999, Math.max(0.001, read("share", rise ?? "50%")));
    parts.push(thermostat({ amplitude, periodMs, phaseMs, riseShare }));
  }
  if (raw.excursion) {
    const { height, every, for: lasts, at = "0s" } = raw.excursion;
    parts.push(
      excursion({
        anchorMs: start + read("duration", at),
        everyMs: read("positive", every),
        lastsMs: read("positive", lasts),
        height,
      }),
    );
  }
  if (raw.steps)
    parts.push(steps(own("steps"), raw.steps.levels, read("positive", raw.steps.hold)));
  if (raw.noise) parts.push(noise(own("noise"), raw.noise));
  return sum(...parts);
}

function sensorOf(raw: RawMetric, signal: Signal, seed: number): Signal {
  const { min = -1e9, max = 1e9, decimals = defaultOf(metricSchema, "decimals") as number } = raw;
  let made = signal;
  if (raw.spikes) {
    const { chance, height } = raw.spikes;
    made = spikes(made, childSeed(seed, "spikes"), { chance: read("share", chance), height });
  }
  made = measured(made, { min, max, decimals });
  if (raw.stuck) {
    made = stuck(made, childSeed(seed, "stuck"), episodesOf(raw.stuck, sensorKeys.stuck));
  }
  if (raw.dropouts) {
    const episodes = episodesOf(raw.dropouts, sensorKeys.dropouts);
    made = dropouts(made, childSeed(seed, "dropouts"), episodes);
  }
  return made;
}

function episodesOf(
  raw: { readonly every: string; readonly for: string; readonly chance?: string | number },
  schema: { readonly properties: { readonly chance: object } },
): Episodes {
  const { default: usual } = schema.properties.chance as { readonly default: string };
  return {
    everyMs: read("positive", raw.every),
    lastsMs: read("positive", raw.for),
    chance: read("share", raw.chance ?? usual),
  };
}
