/**
 * Signals as sensors give them: cycles of day and week, noise, drift, steps, and faults on top. Each is a pure function
 * of time: the same moment always has the same value, whoever asks and in whatever order, so a gap can be filled, a
 * history be made after the fact, and a run be repeated from its seed.
 *
 * Times are ms since 1970 UTC. `undefined` means that the sensor says nothing at that moment.
 */
import { normalAt, uniformAt } from "./random.ts";

export type Signal = (timeMs: number) => number | undefined;

export const SECOND_MS = 1000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export const WEEK_MS = 7 * DAY_MS;

export function constant(value: number): Signal {
  return () => value;
}

/** A sine over the day, highest at `peakHour` UTC. */
export function daily(options: { readonly amplitude: number; readonly peakHour: number }): Signal {
  const { amplitude, peakHour } = options;
  return (time) => amplitude * Math.cos((2 * Math.PI * (time - peakHour * HOUR_MS)) / DAY_MS);
}

/** A sine over the week, highest at `peakMs` after Sunday 00:00 UTC. */
export function weekly(options: { readonly amplitude: number; readonly peakMs: number }): Signal {
  const { amplitude, peakMs } = options;
  // 1970 began on a Thursday, four days after a Sunday.
  const sunday = -4 * DAY_MS;
  return (time) => amplitude * Math.cos((2 * Math.PI * (time - sunday - peakMs)) / WEEK_MS);
}

/** People at work: 1 in the middle of a working day, 0 at night and at weekends, an hour of coming and of going. */
export function workingHours(options: { readonly from: number; readonly to: number }): Signal {
  return (time) => {
    const day = weekday(time);
    if (day === 0 || day === 6) return 0;
    const hour = (((time % DAY_MS) + DAY_MS) % DAY_MS) / HOUR_MS;
    return Math.max(0, Math.min(1, hour - options.from, options.to - hour));
  };
}

/** 0 is Sunday; the first day of 1970 was a Thursday. */
function weekday(time: number): number {
  return (((Math.floor(time / DAY_MS) + 4) % 7) + 7) % 7;
}

/** Independent normal noise, a new value each `everyMs`. */
export function noise(seed: number, deviation: number, everyMs = SECOND_MS): Signal {
  return (time) => deviation * normalAt(seed, Math.floor(time / everyMs));
}

/** Slow wandering within ±amplitude: random points `periodMs` apart, joined smoothly. */
export function drift(seed: number, amplitude: number, periodMs: number): Signal {
  return (time) => {
    const slot = Math.floor(time / periodMs);
    const within = time / periodMs - slot;
    const eased = within * within * (3 - 2 * within);
    const from = 2 * uniformAt(seed, slot) - 1;
    const to = 2 * uniformAt(seed, slot + 1) - 1;
    return amplitude * (from + (to - from) * eased);
  };
}

/** One of the levels, chosen anew each `holdMs`: a machine that is switched. */
export function steps(seed: number, levels: readonly number[], holdMs: number): Signal {
  return (time) => levels[Math.floor(uniformAt(seed, Math.floor(time / holdMs)) * levels.length)];
}

/** A saw between -amplitude and +amplitude: a thermostat that heats (`riseShare` of the period) and cools. */
export function thermostat(options: {
  readonly amplitude: number;
  readonly periodMs: number;
  readonly phaseMs: number;
  readonly riseShare: number;
}): Signal {
  const { amplitude, periodMs, phaseMs, riseShare } = options;
  return (time) => {
    const at = fraction((time + phaseMs) / periodMs);
    const up = at < riseShare ? at / riseShare : (1 - at) / (1 - riseShare);
    return amplitude * (2 * up - 1);
  };
}

/** Every `everyMs` from `anchorMs` on (and before it), a hump of `height` that lasts `lastsMs`. */
export function excursion(options: {
  readonly anchorMs: number;
  readonly everyMs: number;
  readonly lastsMs: number;
  readonly height: number;
}): Signal {
  const { anchorMs, everyMs, lastsMs, height } = options;
  return (time) => {
    const since = fraction((time - anchorMs) / everyMs) * everyMs;
    return since < lastsMs ? height * Math.sin((Math.PI * since) / lastsMs) ** 0.5 : 0;
  };
}

function fraction(value: number): number {
  return value - Math.floor(value);
}

export function sum(...parts: readonly Signal[]): Signal {
  return (time) => {
    let total = 0;
    for (const part of parts) {
      const value = part(time);
      if (value === undefined) return undefined;
      total += value;
    }
    return total;
  };
}

export function scaled(signal: Signal, factor: number): Signal {
  return mapped(signal, (value) => value * factor);
}

/** What the sensor's range and resolution leave of a value. */
export function measured(
  signal: Signal,
  range: { readonly min: number; readonly max: number; readonly decimals: number },
): Signal {
  const unit = 10 ** range.decimals;
  return mapped(
    signal,
    // Adding 0 makes 0 of -0, which JSON does not keep.
    (value) => Math.round(Math.min(range.max, Math.max(range.min, value)) * unit) / unit + 0,
  );
}

function mapped(signal: Signal, change: (value: number) => number): Signal {
  return (time) => {
    const value = signal(time);
    return value === undefined ? undefined : change(value);
  };
}

export interface Episodes {
  /** Time is cut in slots of this length; a slot has one episode or none. */
  readonly everyMs: number;
  readonly lastsMs: number;
  /** That a slot has one; 0 to 1. */
  readonly chance: number;
}

/** @returns when the episode that is on at this moment began, or undefined */
export function episodeAt(seed: number, episodes: Episodes, time: number): number | undefined {
  const { everyMs, lastsMs, chance } = episodes;
  const slot = Math.floor(time / everyMs);
  if (uniformAt(seed, slot) >= chance) return undefined;
  const room = Math.max(0, everyMs - lastsMs);
  const start = slot * everyMs + Math.floor(room * uniformAt(seed ^ 0x2545f491, slot));
  return time >= start && time < start + lastsMs ? start : undefined;
}

/** Fault: the value freezes for a while at what it was. */
export function stuck(signal: Signal, seed: number, episodes: Episodes): Signal {
  return (time) => signal(episodeAt(seed, episodes, time) ?? time);
}

/** Fault: single wild values, up or down. */
export function spikes(
  signal: Signal,
  seed: number,
  options: { readonly chance: number; readonly height: number; readonly everyMs?: number },
): Signal {
  const { chance, height, everyMs = SECOND_MS } = options;
  return (time) => {
    const value = signal(time);
    const slot = Math.floor(time / everyMs);
    if (value === undefined || uniformAt(seed, slot) >= chance) return value;
    return value + (uniformAt(seed ^ 0x632be5ab, slot) < 0.5 ? -height : height);
  };
}

/** Fault: the sensor says nothing for a while. */
export function dropouts(signal: Signal, seed: number, episodes: Episodes): Signal {
  return (time) => (episodeAt(seed, episodes, time) === undefined ? signal(time) : undefined);
}
