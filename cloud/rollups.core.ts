/**
 * Rollups: count, min, max and sum of each series over windows of a minute and of an hour of event time. Pure.
 *
 * Late readings are normal and change the window they belong to, as far back as windows are kept. That is measured for
 * each series from its own newest reading, not from a clock: a recording of another year makes rollups like any live
 * series, a replay makes the same ones, and the state of a series is bounded by what it keeps. Windows that fell out
 * are deleted from state and topic; a reading for one of them is refused with a record, because a window that began
 * again empty would be wrong and look right. A reading far ahead of every clock is refused too: it would push the
 * series' end ahead and make everything after it late.
 *
 * Only finite numbers count. Readings whose clock was not set have no time that a window could go by and are left out.
 *
 * State: `<series>/<resolution>/<window>` → [count, min, max, sum]; `windows/<series>` → which hours have windows,
 * read only when a window is not there yet; `seen/…` → duplicates.
 */
import { seriesKey } from "../events/ids.ts";
import type { Reading, Resolution, Rollup } from "../events/schema.ts";
import type { Output, StateView, StepResult, StoredRecord, Topology } from "../stream/port.ts";
import { add, type Intervals, subtract } from "./dedupe.core.ts";
import {
  Fault,
  firstSeen,
  latestPossible,
  readingTime,
  readJournal,
  readValue,
} from "./journal.core.ts";
import { rejected } from "./rejected.core.ts";

export interface RollupOptions {
  readonly events: string;
  readonly rollups: string;
  readonly rejected: string;
  readonly changelog: string;
  /** How far behind a series' newest reading its windows are kept, hours. */
  readonly keepHours: Readonly<Record<Resolution, number>>;
}

type Aggregate = readonly [count: number, min: number, max: number, sum: number];

/** The hours (since 1970) in which a series has windows, and the newest it was heard in. */
interface Windows {
  readonly newest: number;
  readonly "1m": Intervals;
  readonly "1h": Intervals;
}

/** Local time taken for UTC is off by 14 hours at most; beyond a day a clock is wrong. */
export const MAX_AHEAD_MS = 86_400_000;

/** Windows looked at for deletion in one step: a series that was silent for weeks must not hold up the others. */
const MAX_PRUNED_WINDOWS = 1440;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES_IN_HOUR = 60;
const NOTHING: StepResult = { state: [], outputs: [] };
const NAME = "rollups";

export function rollupTopology(options: RollupOptions): Topology {
  const target = { topology: NAME, topic: options.rejected };
  return {
    name: NAME,
    inputs: [options.events],
    outputs: [
      { topic: options.rollups, coalesce: true },
      { topic: options.rejected, coalesce: false },
    ],
    changelog: options.changelog,
    step(state, input) {
      if (input.kind === "tick") return NOTHING;
      const { record } = input;
      const journal = readJournal(record);
      if (journal instanceof Fault) return NOTHING;
      const seen = firstSeen(state, journal);
      if (!seen) return NOTHING;
      if (journal.type !== "tidegate.reading") return { state: [seen], outputs: [] };
      const reading = readValue("tidegate.reading", record);
      const change = new Change(options, state);
      const fault =
        reading instanceof Fault ? reading : take(change, journal.gateway, reading, record);
      change.state.push(seen);
      if (fault) change.outputs.push(rejected(target, record, fault));
      return change;
    },
  };
}

/** @returns what of it could not be taken, if anything */
function take(
  change: Change,
  gateway: string,
  reading: Reading,
  record: StoredRecord,
): Fault | undefined {
  if (reading.clock === "unsynced") return undefined;
  const time = readingTime(reading, record);
  if (time > latestPossible(reading, record) + MAX_AHEAD_MS) {
    return new Fault("in_future", `time ${time} is more than a day ahead of when it was received`);
  }
  let late: string | undefined;
  for (const [metric, value] of Object.entries(reading.metrics)) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    const refused = change.add({ gateway, device: reading.device, metric }, time, value);
    if (refused) late ??= `${refused} of ${metric}`;
  }
  return late === undefined
    ? undefined
    : new Fault("too_late", `time ${time} is before the oldest window kept (${late})`);
}

interface Series {
  readonly gateway: string;
  readonly device: string;
  readonly metric: string;
}

/** What one reading changes, gathered. */
class Change implements StepResult {
  readonly state: (readonly [key: string, value: unknown])[] = [];
  readonly outputs: Output[] = [];
  readonly #options: RollupOptions;
  readonly #view: StateView;

  constructor(options: RollupOptions, view: StateView) {
    this.#options = options;
    this.#view = view;
  }

  /** @returns the resolutions whose window is no longer kept, for people; undefined where both were taken */
  add(series: Series, time: number, value: number): string | undefined {
    const key = seriesKey(series.gateway, series.device, series.metric);
    const hour = Math.floor(time / HOUR_MS);
    const minuteWindow = Math.floor(time / MINUTE_MS) * MINUTE_MS;
    const hourKey = windowKey(key, "1h", hour * HOUR_MS);
    const minuteKey = windowKey(key, "1m", minuteWindow);
    const byHour = this.#view.get(hourKey) as Aggregate | undefined;
    const byMinute = this.#view.get(minuteKey) as Aggregate | undefined;
    // Nearly always both are there, and what is there was never deleted.
    const refused = byHour && byMinute ? undefined : this.#open(key, hour);
    if (!refused?.["1h"]) {
      this.#put(series, "1h", hour * HOUR_MS, hourKey, merged(byHour, value));
    }
    if (!refused?.["1m"]) {
      this.#put(series, "1m", minuteWindow, minuteKey, merged(byMinute, value));
    }
    const names = refused && (["1m", "1h"] as const).filter((resolution) => refused[resolution]);
    return names && names.length > 0 ? names.join(", ") : undefined;
  }

  #put(series: Series, resolution: Resolution, window: number, key: string, now: Aggregate): void {
    const [count, min, max, sum] = now;
    this.state.push([key, now]);
    // Each change adds one reading, so the count is the revision.
    const event: Rollup = { ...series, resolution, window, count, min, max, sum, revision: count };
    this.outputs.push({
      topic: this.#options.rollups,
      key,
      type: "tidegate.rollup",
      id: `${key}@${count}`,
      time: window,
      event,
    });
  }

  /** Opens windows that are not there yet, where they are still kept, and deletes what no longer is. */
  #open(key: string, hour: number): Readonly<Record<Resolution, boolean>> {
    const { keepHours } = this.#options;
    const bookKey = `windows/${key}`;
    const old = (this.#view.get(bookKey) as Windows | undefined) ?? EMPTY;
    const newest = Math.max(old.newest, hour);
    const refused = {
      "1m": hour <= newest - keepHours["1m"],
      "1h": hour <= newest - keepHours["1h"],
    };
    const book: Windows = {
      newest,
      "1m": this.#prune(key, "1m", refused["1m"] ? old["1m"] : including(old["1m"], hour), newest),
      "1h": this.#prune(key, "1h", refused["1h"] ? old["1h"] : including(old["1h"], hour), newest),
    };
    if (book.newest !== old.newest || book["1m"] !== old["1m"] || book["1h"] !== old["1h"]) {
      this.state.push([bookKey, book]);
    }
    return refused;
  }

  /** @returns the hours that still have windows */
  #prune(key: string, resolution: Resolution, hours: Intervals, newest: number): Intervals {
    const keptFrom = newest - this.#options.keepHours[resolution] + 1;
    const perHour = resolution === "1m" ? MINUTES_IN_HOUR : 1;
    const oldest = hours[0]?.[0] ?? keptFrom;
    if (oldest >= keptFrom) return hours;
    const gone: (readonly [number, number])[] = [];
    let budget = MAX_PRUNED_WINDOWS / perHour;
    for (const [from, to] of hours) {
      const end = Math.min(to, keptFrom - 1, from + budget - 1);
      if (end < from) break;
      for (let hour = from; hour <= end; hour++) {
        for (let i = 0; i < perHour; i++) {
          this.#delete(windowKey(key, resolution, hour * HOUR_MS + i * MINUTE_MS), hour);
        }
      }
      budget -= end - from + 1;
      gone.push([from, end]);
    }
    return subtract(hours, gone);
  }

  #delete(key: string, hour: number): void {
    if (this.#view.get(key) === undefined) return;
    this.state.push([key, undefined]);
    this.outputs.push({
      topic: this.#options.rollups,
      key,
      type: "tidegate.rollup",
      id: `${key}@end`,
      time: hour * HOUR_MS,
      event: null,
    });
  }
}

const EMPTY: Windows = { newest: Number.NEGATIVE_INFINITY, "1m": [], "1h": [] };

function including(hours: Intervals, hour: number): Intervals {
  const last = hours.at(-1);
  return last && hour >= last[0] && hour <= last[1] ? hours : add(hours, hour, hour);
}

function merged(old: Aggregate | undefined, value: number): Aggregate {
  if (!old) return [1, value, value, value];
  const [count, min, max, sum] = old;
  return [count + 1, Math.min(min, value), Math.max(max, value), sum + value];
}

/** Key of a window in the topic, and in state. */
export function windowKey(series: string, resolution: Resolution, window: number): string {
  return `${series}/${resolution}/${window}`;
}
