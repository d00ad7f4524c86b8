/**
 * Rollups made anew, in the place of the live ones. Pure.
 *
 * Whether a gateway's history is there as a whole is known exactly: each state holds the sequences that it has seen. Where the
 * replay has seen all that the live state has, what it made stands for that gateway as it is. Where it lacks some, because
 * retention took them or the replay began later, a window is
 *  - the made one, where nothing of what is lacking can belong to it: it begins a day or more after the first replayed record was
 *    sent (no reading is taken that is more than a day ahead), and not in the future, where only a wrong clock can have put it;
 *  - else the live one, unless the made one has just as many readings: a gateway that was away for weeks sends old readings, and
 *    of a window that got some before and some after the cut the replay has a part only. Nor is one taken that only the replay
 *    has: it was refused as too late, by what lies before the cut.
 *
 * What is known of duplicates is joined: it never becomes less, or an old batch sent again would count twice.
 */
import { keyParts } from "../events/ids.ts";
import { RESOLUTION_MS, RESOLUTIONS, type Resolution } from "../events/schema.ts";
import type { Exchange, RebuildPlan, RebuildStates, Topology } from "../stream/port.ts";
import {
  type Interval,
  type Intervals,
  intervalsOf,
  type Seen,
  subtract,
  union,
} from "./dedupe.core.ts";
import { Fault, firstSeen, MAX_AHEAD_MS, readJournal, seenKey } from "./journal.core.ts";
import { type Aggregate, indexes, lookUp, type Pack, packed } from "./packs.core.ts";
import { aggregateOf } from "./rollup-view.core.ts";
import { firstKeptPack, NO_PACKS, type Packs } from "./rollups.core.ts";
import { type Open, openKey, PACK_MS, packKey, placeOf, windowsUnder } from "./windows.core.ts";

export const SEEN = "seen/";
/** `disordered/<gateway>`: noted by the replay, and no part of the state. */
const DISORDERED = "disordered/";
const PACKS = "packs/";
const HELD = "held/";

/**
 * @param topology the rollups' own, as the cloud runs it
 * @param keepHours as it has them
 */
export function rollupRebuild(
  topology: Topology,
  keepHours: Readonly<Record<Resolution, number>>,
): RebuildPlan {
  return {
    replay: minding(topology),
    listed: [SEEN, DISORDERED],
    outbox: DISORDERED,
    exchange: (states) => {
      const cut = cutGateways(states);
      const { live, made } = states;
      const mixed = new MixedSeries(states);
      const older = new OlderPacks(states, keepHours);
      const exchange: Exchange = {
        now(key) {
          if (!cut.has(gatewayOf(key))) return older.now(key) ?? made.get(key);
          if (key.startsWith(SEEN)) return joined(live.get(key), made.get(key));
          // Readings that wait for a clock: the replay may lack the clock event.
          if (key.startsWith(HELD)) return live.get(key);
          return mixed.now(key);
        },
        stays: (key) =>
          cut.has(gatewayOf(key)) &&
          (key.startsWith(SEEN) || key.startsWith(HELD) || mixed.stays(key)),
        also: (key) => (cut.has(gatewayOf(key)) ? mixed.also(key) : []),
        show: (change, commit) => topology.show?.(change, commit) ?? [],
      };
      return exchange;
    },
  };
}

/**
 * The topology, noting the gateways of which a new sequence came behind a later one. A journal comes in order; but where the cut
 * goes through a batch that was sent twice, the replay takes what it has of the first copy before the rest of the second,
 * and would have seen everything, in another order than the live state.
 */
export function minding(topology: Topology): Topology {
  return {
    ...topology,
    step(state, input) {
      const result = topology.step(state, input);
      if (input.kind === "tick") return result;
      const journal = readJournal(input.record);
      if (journal instanceof Fault) return result;
      const seen = state.get(seenKey(journal)) as Seen | undefined;
      if (!seen || journal.sequence > seen.to || !firstSeen(state, journal)) return result;
      const noted = [`${DISORDERED}${journal.gateway}`, true] as const;
      return { outputs: result.outputs, state: [...result.state, noted] };
    },
  };
}

/** Gateways of which the replay had a part only: the live state has seen more, or the same in another order. */
export function cutGateways({ live, made, whole }: Omit<RebuildStates, "partition">): Set<string> {
  const disordered = whole ? [] : made.entries(DISORDERED);
  const cut = new Set(disordered.map(([key]) => gatewayOf(key)));
  const seen = new Map(made.entries(SEEN));
  for (const [key, value] of live.entries(SEEN)) {
    const lacking = subtract(
      intervalsOf(value as Seen),
      intervalsOf(seen.get(key) as Seen | undefined),
    );
    if (lacking.length > 0) cut.add(gatewayOf(key));
  }
  return cut;
}

/** Every key of the rollups' state is about one gateway; a series begins with it, and gateway ids have no slash. */
export function gatewayOf(key: string): string {
  const of = windowsUnder(key);
  return keyParts(of ? of.series : key.slice(key.indexOf("/") + 1))[0] ?? "";
}

/** What either has seen. */
export function joined(a: unknown, b: unknown): Seen | undefined {
  const all = union(intervalsOf(a as Seen | undefined), intervalsOf(b as Seen | undefined));
  const last = all.at(-1);
  return last && { older: all.slice(0, -1), from: last[0], to: last[1] };
}

/**
 * What the live state keeps and the replay no longer does. Only the processors take windows away, by their own settings: a
 * rebuild with shorter ones, because somebody forgot to name the configuration, deletes nothing.
 */
class OlderPacks {
  readonly #states: RebuildStates;
  readonly #keepHours: Readonly<Record<Resolution, number>>;

  constructor(states: RebuildStates, keepHours: Readonly<Record<Resolution, number>>) {
    this.#states = states;
    this.#keepHours = keepHours;
  }

  now(key: string): unknown {
    const { live, made } = this.#states;
    const of = windowsUnder(key);
    if (of?.kind === "pack") {
      const fell = of.number < this.#firstKept(of.series, of.resolution);
      return fell && made.get(key) === undefined ? live.get(key) : undefined;
    }
    if (!key.startsWith(PACKS)) return undefined;
    const series = key.slice(PACKS.length);
    const was = live.get(key) as Packs | undefined;
    const is = made.get(key) as Packs | undefined;
    if (!was || !is) return undefined;
    const older = (resolution: Resolution): Intervals => {
      const first = this.#firstKept(series, resolution);
      const fell = was[resolution].flatMap(([from, to]): Interval[] =>
        from < first ? [[from, Math.min(to, first - 1)]] : [],
      );
      return union(fell, is[resolution]);
    };
    return { ...is, "1m": older("1m"), "1h": older("1h") };
  }

  #firstKept(series: string, resolution: Resolution): number {
    const open = this.#states.made.get(openKey(series)) as Open | undefined;
    const newest = open?.[resolution]?.[0];
    if (newest === undefined) return Number.NEGATIVE_INFINITY;
    return firstKeptPack(resolution, newest, this.#keepHours[resolution]);
  }
}

/** Windows of gateways whose history is there in part: for each of them one of two. */
class MixedSeries {
  readonly #states: RebuildStates;
  /** In between the replay has for certain everything. */
  readonly #wholeFrom: number;
  readonly #wholeTo: number;

  constructor(states: RebuildStates) {
    this.#states = states;
    this.#wholeFrom = (states.from ?? Number.POSITIVE_INFINITY) + MAX_AHEAD_MS;
    this.#wholeTo = (states.until ?? Number.NEGATIVE_INFINITY) + MAX_AHEAD_MS;
  }

  now(key: string): unknown {
    const of = windowsUnder(key);
    if (of?.kind === "open") return this.#open(of.series);
    if (of?.kind === "pack") return this.#pack(of.series, of.resolution, of.number);
    if (key.startsWith(PACKS)) return this.#packs(key.slice(PACKS.length));
    return this.#states.live.get(key);
  }

  /** Whether all that the live state has there stays, where the replay has nothing there. */
  stays(key: string): boolean {
    const of = windowsUnder(key);
    if (of?.kind !== "pack") return false;
    const { series, resolution, number } = of;
    const begin = number * PACK_MS[resolution];
    const end = begin + PACK_MS[resolution];
    if (end > this.#wholeFrom && begin <= this.#wholeTo) return false;
    return (["live", "made"] as const).every((state) => {
      const open = this.#openOf(state, series)?.[resolution]?.[0];
      return open === undefined || open < begin || open >= end;
    });
  }

  /** A window that was the newest goes to a pack in which the two states may agree, or that neither has. */
  also(key: string): readonly string[] {
    const of = windowsUnder(key);
    if (of?.kind !== "open") return [];
    return [...new Set([...this.#packsOfOpen(of.series), PACKS + of.series])];
  }

  #packsOfOpen(series: string): string[] {
    const { live, made } = this.#states;
    return [live, made].flatMap((state) => {
      const open = state.get(openKey(series)) as Open | undefined;
      return RESOLUTIONS.flatMap((resolution) => {
        const window = open?.[resolution]?.[0];
        return window === undefined ? [] : [placeOf(series, resolution, window).stateKey];
      });
    });
  }

  #in(state: "live" | "made", series: string, resolution: Resolution, window: number) {
    const open = this.#openOf(state, series)?.[resolution];
    // Where it stands twice, what is open counts.
    if (open?.[0] === window) return aggregateOf(open);
    const { stateKey, index } = placeOf(series, resolution, window);
    return lookUp(this.#states[state].get(stateKey) as Pack | undefined, index);
  }

  #openOf(state: "live" | "made", series: string): Open | undefined {
    return this.#states[state].get(openKey(series)) as Open | undefined;
  }

  /** The rule above. */
  #chosen(series: string, resolution: Resolution, window: number): Aggregate | undefined {
    const live = this.#in("live", series, resolution, window);
    const made = this.#in("made", series, resolution, window);
    if (window >= this.#wholeFrom && window <= this.#wholeTo) return made;
    return made?.[0] === live?.[0] ? made : live;
  }

  /** The newest window that a series has come to. One beyond it is a clock's mistake, and stays packed. */
  #end(series: string, resolution: Resolution): number | undefined {
    const made = this.#openOf("made", series)?.[resolution]?.[0];
    const live = this.#openOf("live", series)?.[resolution]?.[0];
    const kept = live !== undefined && this.#chosen(series, resolution, live) ? live : undefined;
    if (made !== undefined) return Math.max(made, kept ?? made);
    if (kept !== undefined || live === undefined) return kept;
    return this.#newestBefore(series, resolution, live);
  }

  /** Where the replay knows nothing of a series, and its newest windows went. */
  #newestBefore(series: string, resolution: Resolution, end: number): number | undefined {
    const packs = this.#states.live.get(PACKS + series) as Packs | undefined;
    for (const [from, to] of [...(packs?.[resolution] ?? [])].reverse()) {
      for (let number = to; number >= from; number--) {
        const windows = this.#windows(series, resolution, number).filter((one) => one < end);
        const found = windows.filter((one) => this.#chosen(series, resolution, one));
        if (found.length > 0) return Math.max(...found);
      }
    }
    return undefined;
  }

  #open(series: string): Partial<Open> | undefined {
    const found = RESOLUTIONS.flatMap((resolution) => {
      const window = this.#end(series, resolution);
      const aggregate = window !== undefined && this.#chosen(series, resolution, window);
      return aggregate ? [[resolution, [window, ...aggregate]] as const] : [];
    });
    return found.length > 0 ? (Object.fromEntries(found) as Partial<Open>) : undefined;
  }

  /** All that either state has in the time of a pack, those that are open among them. */
  #windows(series: string, resolution: Resolution, number: number): number[] {
    const found = new Set<number>();
    const begin = number * PACK_MS[resolution];
    for (const state of ["live", "made"] as const) {
      const pack = this.#states[state].get(packKey(series, resolution, number)) as Pack | undefined;
      for (const index of pack ? indexes(pack) : []) found.add(windowAt(resolution, number, index));
      const open = this.#openOf(state, series)?.[resolution]?.[0];
      if (open !== undefined && open >= begin && open < begin + PACK_MS[resolution])
        found.add(open);
    }
    return [...found].sort((a, b) => a - b);
  }

  #pack(series: string, resolution: Resolution, number: number): Pack | undefined {
    const end = this.#end(series, resolution);
    const { live, made } = this.#states;
    let pack: Pack | undefined;
    for (const window of this.#windows(series, resolution, number)) {
      const aggregate = window === end ? undefined : this.#chosen(series, resolution, window);
      if (aggregate) pack = packed(pack, placeOf(series, resolution, window).index, aggregate);
    }
    // The order of the windows in a pack says nothing: one that is there already is no change.
    const key = packKey(series, resolution, number);
    for (const state of [made, live]) {
      const there = state.get(key) as Pack | undefined;
      if (alike(there, pack)) return there;
    }
    return pack;
  }

  #packs(series: string): Packs | undefined {
    const { live, made } = this.#states;
    const [was, is] = [live, made].map(
      (state) => (state.get(PACKS + series) as Packs | undefined) ?? NO_PACKS,
    ) as [Packs, Packs];
    const opened = this.#packsOfOpen(series).map(windowsUnder);
    const numbers = (resolution: Resolution): Intervals => {
      const own = opened.flatMap((of): Interval[] =>
        of?.kind === "pack" && of.resolution === resolution ? [[of.number, of.number]] : [],
      );
      const all = union(was[resolution], is[resolution]);
      // A number too many is harmless, one too few would leave a pack for ever.
      const added = own.filter(([number]) => this.#pack(series, resolution, number));
      return added.reduce<Intervals>((set, one) => union(set, [one]), all);
    };
    // To the replay a late reading may be a series' first, and what follows it a leap, which would keep windows for too long.
    const { leapt } = this.#openOf("live", series) ? was : is;
    const now: Packs = {
      "1m": numbers("1m"),
      "1h": numbers("1h"),
      ...(leapt === undefined ? {} : { leapt }),
    };
    return now["1m"].length + now["1h"].length > 0 || leapt !== undefined ? now : undefined;
  }
}

function windowAt(resolution: Resolution, number: number, index: number): number {
  return number * PACK_MS[resolution] + index * RESOLUTION_MS[resolution];
}

function alike(a: Pack | undefined, b: Pack | undefined): boolean {
  if (!a || !b || a.length !== b.length) return a === b;
  return indexes(a).every((index) => {
    const other = lookUp(b, index);
    return other && lookUp(a, index)?.every((number, at) => number === other[at]);
  });
}
