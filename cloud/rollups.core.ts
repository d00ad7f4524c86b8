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
 * Only finite numbers count. Readings whose clock was not set have no time that a window could go by; they are refused
 * with a record too.
 *
 * State: `open/<series>` → the newest window of each resolution, all that most readings touch; `1m/<series>/<hour>` and
 * `1h/<series>/<day>` → the closed ones, packed; `packs/<series>` → which packs there are; `seen/…` → duplicates.
 */
import { seriesKey } from "../events/ids.ts";
import {
  RESOLUTION_MS,
  RESOLUTIONS,
  type Reading,
  type Resolution,
  type Rollup,
} from "../events/schema.ts";
import type { Output, StateView, StepResult, StoredRecord, Topology } from "../stream/port.ts";
import { add, has, type Intervals, subtract } from "./dedupe.core.ts";
import {
  Fault,
  firstSeen,
  latestPossible,
  readingTime,
  readJournal,
  readValue,
} from "./journal.core.ts";
import { type Aggregate, indexes, lookUp, merged, type Pack, packed } from "./packs.core.ts";
import { rejected } from "./rejected.core.ts";

export interface RollupOptions {
  readonly events: string;
  readonly rollups: string;
  readonly rejected: string;
  readonly changelog: string;
  /** How far behind a series' newest reading its windows are kept, hours. */
  readonly keepHours: Readonly<Record<Resolution, number>>;
}

/** The windows that hold the newest time a series was heard at. */
type Open = Readonly<Record<Resolution, OpenWindow>>;
type OpenWindow = readonly [window: number, ...Aggregate];

/** Which packs a series has, by number. */
type Packs = Readonly<Record<Resolution, Intervals>>;

/** Local time taken for UTC is off by 14 hours at most; beyond a day a clock is wrong. */
export const MAX_AHEAD_MS = 86_400_000;

/** Packs deleted in one step at most: a series that was silent for weeks must not hold up the others. */
const MAX_PRUNED_PACKS = 24;

const HOUR_MS = RESOLUTION_MS["1h"];
/** Time that one pack is for: the minutes of an hour, the hours of a day. */
const PACK_MS: Readonly<Record<Resolution, number>> = { "1m": HOUR_MS, "1h": 24 * HOUR_MS };
const NO_PACKS: Packs = { "1m": [], "1h": [] };
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
  if (reading.clock === "unsynced") {
    return new Fault("no_time", "neither the device nor the gateway knew what time it was");
  }
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
    const openKey = `open/${key}`;
    const open = this.#view.get(openKey) as Open | undefined;
    const next: Partial<Record<Resolution, OpenWindow>> = {};
    const refused: Resolution[] = [];
    for (const resolution of RESOLUTIONS) {
      const ms = RESOLUTION_MS[resolution];
      const window = Math.floor(time / ms) * ms;
      const before = open?.[resolution];
      if (before && window < before[0]) {
        if (!this.#late(series, key, resolution, window, before[0], value))
          refused.push(resolution);
        continue;
      }
      const same = before?.[0] === window ? aggregateOf(before) : undefined;
      if (before && !same) this.#close(key, resolution, before, window);
      const now = merged(same, value);
      next[resolution] = [window, ...now];
      this.#tell(series, key, resolution, window, now);
    }
    if (next["1m"] || next["1h"]) this.state.push([openKey, { ...open, ...next }]);
    if (this.#packs) this.state.push([`packs/${key}`, this.#packs]);
    this.#packs = undefined;
    return refused.length > 0 ? refused.join(", ") : undefined;
  }

  /** Which packs the series in hand has, once they changed. */
  #packs: Packs | undefined;

  /** A reading for a window before the newest. @returns false where that window is no longer kept */
  #late(
    series: Series,
    key: string,
    resolution: Resolution,
    window: number,
    newest: number,
    value: number,
  ): boolean {
    if (hoursBetween(window, newest) >= this.#options.keepHours[resolution]) return false;
    const { stateKey, index } = place(key, resolution, window);
    const pack = this.#view.get(stateKey) as Pack | undefined;
    const now = merged(lookUp(pack, index), value);
    this.#putPack(key, resolution, window, newest, packed(pack, index, now), pack === undefined);
    this.#tell(series, key, resolution, window, now);
    return true;
  }

  /** A window that is no longer the newest goes to the others, or away where the new one leaves it too far behind. */
  #close(key: string, resolution: Resolution, open: OpenWindow, newest: number): void {
    const [window] = open;
    if (hoursBetween(window, newest) >= this.#options.keepHours[resolution]) {
      this.#end(key, resolution, window);
      this.#prunePacks(key, resolution, newest);
      return;
    }
    const { stateKey, index } = place(key, resolution, window);
    const pack = this.#view.get(stateKey) as Pack | undefined;
    const now = packed(pack, index, aggregateOf(open));
    this.#putPack(key, resolution, window, newest, now, pack === undefined);
  }

  #putPack(
    key: string,
    resolution: Resolution,
    window: number,
    newest: number,
    pack: Pack,
    isNew: boolean,
  ): void {
    this.state.push([place(key, resolution, window).stateKey, pack]);
    if (isNew) this.#prunePacks(key, resolution, newest, place(key, resolution, window).number);
  }

  /** Keeps the list of packs: one more, if any, and without those that fell out. */
  #prunePacks(key: string, resolution: Resolution, newest: number, added?: number): void {
    const all = this.#packs ?? (this.#view.get(`packs/${key}`) as Packs | undefined) ?? NO_PACKS;
    const before = all[resolution];
    const own = added === undefined || has(before, added) ? before : add(before, added, added);
    this.#packs = { ...all, [resolution]: this.#prune(key, resolution, own, newest) };
  }

  /** Deletes packs of which every window fell out. @returns those that are left */
  #prune(key: string, resolution: Resolution, packs: Intervals, newest: number): Intervals {
    const packMs = PACK_MS[resolution];
    const keptFrom = newest - (this.#options.keepHours[resolution] - 1) * HOUR_MS;
    const firstKept = Math.floor((Math.floor(keptFrom / HOUR_MS) * HOUR_MS) / packMs);
    const gone: (readonly [number, number])[] = [];
    let budget = MAX_PRUNED_PACKS;
    for (const [from, to] of packs) {
      const end = Math.min(to, firstKept - 1, from + budget - 1);
      if (end < from) break;
      for (let number = from; number <= end; number++) this.#deletePack(key, resolution, number);
      budget -= end - from + 1;
      gone.push([from, end]);
    }
    return subtract(packs, gone);
  }

  #deletePack(key: string, resolution: Resolution, number: number): void {
    const stateKey = `${resolution}/${key}/${number}`;
    const pack = this.#view.get(stateKey) as Pack | undefined;
    this.state.push([stateKey, undefined]);
    for (const index of pack ? indexes(pack) : []) {
      const window = number * PACK_MS[resolution] + index * RESOLUTION_MS[resolution];
      this.#end(key, resolution, window);
    }
  }

  /** Takes a window out of the topic. */
  #end(series: string, resolution: Resolution, window: number): void {
    const key = rollupTopicKey(series, resolution, window);
    this.outputs.push({
      topic: this.#options.rollups,
      key,
      type: "tidegate.rollup",
      id: `${key}@end`,
      time: window,
      event: null,
    });
  }

  #tell(
    series: Series,
    seriesKey: string,
    resolution: Resolution,
    window: number,
    [count, min, max, sum]: Aggregate,
  ): void {
    const key = rollupTopicKey(seriesKey, resolution, window);
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
}

function aggregateOf([, count, min, max, sum]: OpenWindow): Aggregate {
  return [count, min, max, sum];
}

/** Whole hours from the hour of one time to the hour of another. */
function hoursBetween(from: number, to: number): number {
  return Math.floor(to / HOUR_MS) - Math.floor(from / HOUR_MS);
}

/** Where a window is packed. */
function place(series: string, resolution: Resolution, window: number) {
  const number = Math.floor(window / PACK_MS[resolution]);
  const index = (window - number * PACK_MS[resolution]) / RESOLUTION_MS[resolution];
  return { number, index, stateKey: `${resolution}/${series}/${number}` };
}

/** Key of a window in the topic. */
function rollupTopicKey(series: string, resolution: Resolution, window: number): string {
  return `${series}/${resolution}/${window}`;
}
