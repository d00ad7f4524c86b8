/**
 * Rollups: count, min, max and sum of each series over windows of a minute and of an hour of event time. Pure.
 *
 * Late readings are normal and change the window they belong to, as far back as windows are kept. That is measured for
 * each series from its own newest reading, not from a clock: a recording of another year makes rollups like any live
 * series, a replay makes the same ones, and the state of a series is bounded by what it keeps. Windows that fell out
 * are deleted from state and topic; a reading for one of them is refused with a record, because a window that began
 * again empty would be wrong and look right. A reading far ahead of every clock is refused too: it would push the
 * series' end ahead and make everything after it late. Where a gateway's own clock was years ahead, its readings of that
 * time stay where they are, and the series' end comes back with the first reading under a right clock. That is why a
 * series that leaps ahead by more than a day deletes nothing until it has gone on from there for a day.
 *
 * Only finite numbers count. Readings that came before their gateway knew the time wait for it (held.core.ts); one that
 * never gets a time is refused with a record.
 *
 * State: `open/<series>` → the newest window of each resolution, all that most readings touch; `1m/<series>/<hour>` and
 * `1h/<series>/<day>` → the closed ones, packed; `packs/<series>` → which packs there are; `held/…` → readings without a
 * time; `seen/…` → duplicates.
 */
import { seriesKey } from "../events/ids.ts";
import { RESOLUTION_MS, RESOLUTIONS, type Reading, type Resolution } from "../events/schema.ts";
import { readStamp } from "../events/stamp.ts";
import type { Output, StateView, StepResult, StoredRecord, Topology } from "../stream/port.ts";
import { add, has, type Intervals, size, subtract } from "./dedupe.core.ts";
import { type Held, HeldReadings } from "./held.core.ts";
import {
  Fault,
  firstArrival,
  type JournalRecord,
  latestPossible,
  MAX_AHEAD_MS,
  readingTime,
  readValue,
} from "./journal.core.ts";
import { type Aggregate, lookUp, merged, type Pack, packed } from "./packs.core.ts";
import { rejected } from "./rejected.core.ts";
import { remembered, rememberedPair } from "./remembered.core.ts";
import { aggregateOf, shownRollups } from "./rollup-view.core.ts";
import { type Open, type OpenWindow, openKey, PACK_MS, packKey, placeOf } from "./windows.core.ts";

export interface RollupOptions {
  readonly events: string;
  readonly rollups: string;
  readonly rejected: string;
  readonly changelog: string;
  /** How far behind a series' newest reading its windows are kept, hours. */
  readonly keepHours: Readonly<Record<Resolution, number>>;
}

/** Which packs a series has, by number. */
export type Packs = Readonly<Record<Resolution, Intervals>> & {
  /** Event time to which the series leapt last: a clock's mistake, maybe. */
  readonly leapt?: number;
};

/** A series that is this far ahead of itself at once has leapt. */
const LEAP_MS = 86_400_000;

/** How far it has to go on from there, in event time, before what the leap left behind is taken for old. */
const LEAP_CONFIRMED_MS = 86_400_000;

/** Packs that a series that leaps again and again may keep beyond those that it would keep otherwise. */
const SPARE_PACKS = 48;

/** Packs deleted in one step at most: a series that was silent for weeks must not hold up the others. */
const MAX_PRUNED_PACKS = 24;

const HOUR_MS = RESOLUTION_MS["1h"];
export const NO_PACKS: Packs = { "1m": [], "1h": [] };
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
      const first = firstArrival(state, input);
      if (!first) return NOTHING;
      const { journal, seen } = first;
      const { record } = journal;
      const change = new Change(options, state);
      change.set(...seen);
      const held = new HeldReadings(change, journal.gateway);
      held.sees(record.value);
      const fault = take(change, held, journal);
      if (fault) change.outputs.push(rejected(target, record, fault));
      let latest: number | undefined;
      for (const { held: reading, time } of held.take()) {
        latest ??= latestNow(record);
        const refusal =
          time === undefined ? NEVER_KNOWN : place(change, journal.gateway, reading, time, latest);
        if (refusal) change.outputs.push(rejected(target, recordOf(reading, record), refusal));
      }
      return change;
    },
    show: (change, commit) => shownRollups(options.rollups, change, commit),
  };
}

const NEVER_KNOWN = new Fault(
  "no_time",
  "neither the device nor the gateway knew what time it was, and the gateway was not told before its next boot",
);
const TOO_MANY_HELD = new Fault(
  "no_time",
  "neither the device nor the gateway knew what time it was, and too many readings wait for it already",
);

/** @returns what of the record could not be taken, if anything */
function take(change: Change, held: HeldReadings, journal: JournalRecord): Fault | undefined {
  const { gateway, record } = journal;
  if (journal.type === "tidegate.clock") {
    const clock = readValue("tidegate.clock", record);
    if (clock instanceof Fault) return clock;
    held.knows(clock.boot, clock.offset);
    return undefined;
  }
  if (journal.type !== "tidegate.reading") return undefined;
  const reading = readValue("tidegate.reading", record);
  if (reading instanceof Fault) return reading;
  const { boot, uptime, device, metrics } = reading;
  if (reading.time === undefined && reading.clock === "unsynced") {
    const offset = held.offsetOf(boot);
    if (offset === undefined) {
      const counted = numbers(metrics);
      if (Object.keys(counted).length === 0) return undefined;
      const { offset: at, timestamp } = record;
      return held.hold([boot, uptime, device, counted, at, timestamp]) ? undefined : TOO_MANY_HELD;
    }
    return count(
      change,
      { gateway, device },
      metrics,
      Math.round(offset + uptime),
      latestNow(record),
    );
  }
  const time = readingTime(reading, record);
  const latest = latestPossible(reading, record);
  if (time > latest + MAX_AHEAD_MS) {
    return new Fault("in_future", `time ${time} is more than a day ahead of when it was received`);
  }
  return count(change, { gateway, device }, metrics, time, latest);
}

/** A reading that waited. */
function place(change: Change, gateway: string, reading: Held, time: number, latest: number) {
  const [, , device, metrics] = reading;
  return count(change, { gateway, device }, metrics, time, latest);
}

/** @returns what of the reading could not be taken, if anything */
function count(
  change: Change,
  of: { readonly gateway: string; readonly device: string },
  metrics: Reading["metrics"],
  time: number,
  latest: number,
): Fault | undefined {
  let late: string | undefined;
  const keys = seriesKeys(of.gateway, of.device);
  for (const metric in metrics) {
    const value = metrics[metric];
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    const refused = change.add(keys(metric), time, value, latest);
    if (refused) late ??= `${refused} of ${metric}`;
  }
  return late === undefined
    ? undefined
    : new Fault("too_late", `time ${time} is before the oldest window kept (${late})`);
}

function numbers(metrics: Reading["metrics"]): Record<string, number> {
  const found = Object.entries(metrics).filter(([, value]) => Number.isFinite(value));
  return Object.fromEntries(found) as Record<string, number>;
}

/** The position of a reading that waited, for whoever wants to look it up; its value stands there. */
function recordOf([, , , , offset, timestamp]: Held, record: StoredRecord): StoredRecord {
  return { ...record, offset, timestamp, value: null };
}

/** The latest that anything told of by this record can have happened. */
function latestNow(record: StoredRecord): number {
  const stamp = record.value && readStamp(record.value);
  return stamp ? latestPossible(stamp, record) : record.timestamp;
}

/** A series' name and where its newest windows stand. */
interface SeriesKeys {
  readonly series: string;
  readonly open: string;
}

/** Metrics of one device that are remembered: names may be made up without end. */
const MOST_METRICS = 200;

const seriesKeys = rememberedPair((gateway: string, device: string) =>
  remembered((metric: string): SeriesKeys => {
    const series = seriesKey(gateway, device, metric);
    return { series, open: openKey(series) };
  }, MOST_METRICS),
);

/** What one reading changes, gathered. */
class Change implements StepResult {
  readonly outputs: Output[] = [];
  readonly #options: RollupOptions;
  readonly #view: StateView;
  readonly #changed = new Map<string, unknown>();

  constructor(options: RollupOptions, view: StateView) {
    this.#options = options;
    this.#view = view;
  }

  get state(): Iterable<readonly [key: string, value: unknown]> {
    return this.#changed;
  }

  /** State as it is by now: one step may take many readings. */
  get(key: string): unknown {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#view.get(key);
  }

  set(key: string, value: unknown): void {
    this.#changed.set(key, value);
  }

  /**
   * @param latest no reading can be newer than this
   * @returns the resolutions whose window is no longer kept, for people; undefined where both were taken
   */
  add(
    { series: key, open: place }: SeriesKeys,
    time: number,
    value: number,
    latest: number,
  ): string | undefined {
    const open = this.get(place) as Open | undefined;
    let next: Record<Resolution, OpenWindow | undefined> | undefined;
    const refused: Resolution[] = [];
    for (const resolution of RESOLUTIONS) {
      const ms = RESOLUTION_MS[resolution];
      const window = Math.floor(time / ms) * ms;
      const before = open?.[resolution];
      const ahead = before !== undefined && before[0] > latest + MAX_AHEAD_MS;
      if (before && window < before[0] && !ahead) {
        if (!this.#late(key, resolution, window, before[0], value)) refused.push(resolution);
        continue;
      }
      // Back is a leap, too: what lies before it may have been reached by another one.
      if (before && (ahead || window > before[0] + LEAP_MS)) this.#leap(key, time);
      next ??= { "1m": open?.["1m"], "1h": open?.["1h"] };
      if (before?.[0] === window) {
        next[resolution] = grown(before, value);
        continue;
      }
      if (before) this.#close(key, resolution, before, window);
      // Where the series' end was brought back, a window that is new to it may have been there before.
      next[resolution] = [window, ...merged(this.#packed(key, resolution, window), value)];
    }
    if (next) this.set(place, next);
    if (this.#packs) this.set(`packs/${key}`, this.#packs);
    this.#packs = undefined;
    return refused.length > 0 ? refused.join(", ") : undefined;
  }

  /** Which packs the series in hand has, once they changed. */
  #packs: Packs | undefined;

  #packed(key: string, resolution: Resolution, window: number): Aggregate | undefined {
    const { stateKey, index } = placeOf(key, resolution, window);
    return lookUp(this.get(stateKey) as Pack | undefined, index);
  }

  /** A reading for a window before the newest. @returns false where that window is no longer kept */
  #late(
    key: string,
    resolution: Resolution,
    window: number,
    newest: number,
    value: number,
  ): boolean {
    if (hoursBetween(window, newest) >= this.#options.keepHours[resolution]) return false;
    const { stateKey, index } = placeOf(key, resolution, window);
    const pack = this.get(stateKey) as Pack | undefined;
    const now = merged(lookUp(pack, index), value);
    this.#putPack(key, resolution, window, newest, packed(pack, index, now), pack === undefined);
    return true;
  }

  /** A window that is no longer the newest goes to the others. */
  #close(key: string, resolution: Resolution, open: OpenWindow, newest: number): void {
    const [window] = open;
    const { stateKey, index } = placeOf(key, resolution, window);
    const pack = this.get(stateKey) as Pack | undefined;
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
    this.set(placeOf(key, resolution, window).stateKey, pack);
    if (isNew) this.#prunePacks(key, resolution, newest, placeOf(key, resolution, window).number);
  }

  /** Keeps the list of packs: one more, if any, and without those that fell out. */
  #prunePacks(key: string, resolution: Resolution, newest: number, added?: number): void {
    const all = this.#packsOf(key);
    const before = all[resolution];
    const own = added === undefined || has(before, added) ? before : add(before, added, added);
    this.#packs = { ...all, [resolution]: this.#prune(key, resolution, own, newest, all.leapt) };
  }

  #packsOf(key: string): Packs {
    return this.#packs ?? (this.get(`packs/${key}`) as Packs | undefined) ?? NO_PACKS;
  }

  #leap(key: string, leapt: number): void {
    this.#packs = { ...this.#packsOf(key), leapt };
  }

  /** Deletes packs of which every window fell out. @returns those that are left */
  #prune(
    key: string,
    resolution: Resolution,
    packs: Intervals,
    newest: number,
    leapt: number | undefined,
  ): Intervals {
    const packMs = PACK_MS[resolution];
    const keptHours = this.#options.keepHours[resolution];
    const firstKept = firstKeptPack(resolution, newest, keptHours);
    const gone: (readonly [number, number])[] = [];
    const unconfirmed = leapt !== undefined && newest - leapt < LEAP_CONFIRMED_MS;
    const spared = Math.ceil((keptHours * HOUR_MS) / packMs) + SPARE_PACKS;
    let budget = unconfirmed ? Math.max(0, size(packs) - spared) : MAX_PRUNED_PACKS;
    budget = Math.min(budget, MAX_PRUNED_PACKS);
    for (const [from, to] of packs) {
      const end = Math.min(to, firstKept - 1, from + budget - 1);
      if (end < from) break;
      for (let number = from; number <= end; number++) {
        this.set(packKey(key, resolution, number), undefined);
      }
      budget -= end - from + 1;
      gone.push([from, end]);
    }
    return subtract(packs, gone);
  }
}

/** Number of the oldest pack that has a window which is kept. */
export function firstKeptPack(resolution: Resolution, newest: number, keepHours: number): number {
  const keptFrom = newest - (keepHours - 1) * HOUR_MS;
  return Math.floor((Math.floor(keptFrom / HOUR_MS) * HOUR_MS) / PACK_MS[resolution]);
}

function grown(open: OpenWindow, value: number): OpenWindow {
  const [count, min, max, sum] = merged(aggregateOf(open), value);
  return [open[0], count, min, max, sum];
}

/** Whole hours from the hour of one time to the hour of another. */
function hoursBetween(from: number, to: number): number {
  return Math.floor(to / HOUR_MS) - Math.floor(from / HOUR_MS);
}
