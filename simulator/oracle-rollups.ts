/**
 * What the rollups topic must say in the end, from the journals: which reading counts when, which is refused, in what order.
 * Sums and windows are those of oracle.ts. It shares no code with the product's processing.
 *
 * - Readings that nobody had a time for wait for a clock event of their boot, at most 30,000 of a gateway; where another boot
 *   begins first they are refused (`no_time`). How many can leave the queue at once is not looked at: it is taken as empty
 *   as soon as it can be.
 * - A device's time more than a day ahead of every clock is refused (`in_future`).
 * - Windows are kept so many hours behind the series' newest; what is late by more is refused (`too_late`). A newest that
 *   is more than a day ahead of every clock was a clock's mistake: the series goes on from what comes then. A series that leaps
 *   ahead by more than a day lets no window go until it has gone on from there for a day.
 */
import {
  type ClockSet,
  RESOLUTION_MS,
  RESOLUTIONS,
  type Reading,
  type Resolution,
  type Stamp,
} from "../events/schema.ts";
import { type Kept, type OracleRollup, rollupOf } from "./oracle.ts";
import { DAY_MS, HOUR_MS, isTimeless, latestAt } from "./oracle-clock.ts";
import { distinctEvents, type JournalEvent, type JournalRecord } from "./oracle-journal.ts";

export type KeepHours = Readonly<Record<Resolution, number>>;

/** Readings of one gateway that may wait for their time. */
const MOST_WAITING = 30_000;

/** A series that leaps more often before it has gone on for a day may lose what it left behind, or its state grew for ever. */
const MOST_LEAPS = 2;

export interface KeptRollup extends OracleRollup {
  /** `no`: it fell out of what is kept and may be gone. `unsure`: what came after that may stand there by itself. */
  readonly kept: Kept;
}

export interface RefusedReading {
  readonly partition: number;
  readonly offset: number;
  readonly code: "in_future" | "too_late" | "no_time";
}

export interface JournalRollups {
  readonly rollups: readonly KeptRollup[];
  /** Readings that are told of as refused, each once. */
  readonly refused: readonly RefusedReading[];
  /** Readings that still wait for their time, by gateway. */
  readonly waiting: ReadonlyMap<string, number>;
}

/** A reading with its time, at the place in the log where it counts. */
interface Counted {
  readonly at: number;
  readonly event: JournalEvent<Reading>;
  readonly time: number;
  readonly latest: number;
}

/** @param records the events topic in the order of the log */
export function expectedFromJournals(
  records: Iterable<JournalRecord>,
  keepHours: KeepHours,
): JournalRollups {
  const events = distinctEvents(records);
  const counted: Counted[] = [];
  const refused: RefusedReading[] = [];
  const waiting = new Map<string, number>();
  for (const [gateway, own] of Map.groupBy(events.entries(), ([, event]) => event.gateway)) {
    const waits = placed(own, counted, refused);
    if (waits > 0) waiting.set(gateway, waits);
  }
  // Those that had to wait count behind the event that told their time. Sorting keeps what is equal in its order.
  counted.sort((a, b) => a.at - b.at);
  return { rollups: windowsOf(counted, keepHours, refused), refused, waiting };
}

/** Gives the readings of one gateway their times. @returns how many still wait for one */
function placed(
  events: readonly (readonly [at: number, event: JournalEvent])[],
  counted: Counted[],
  refused: RefusedReading[],
): number {
  const offsets = new Map<string, number>();
  const leaves = leavingPlaces(events);
  const leaving = new Map<number, number>();
  let waits = 0;
  for (const [index, [at, event]] of events.entries()) {
    if (event.type === "tidegate.clock" && event.data) {
      const { boot, offset } = event.data as ClockSet;
      offsets.set(boot, offset);
    }
    if (event.type === "tidegate.reading" && event.data) {
      const reading = event.data as Reading;
      const { record } = event;
      const own = event as JournalEvent<Reading>;
      const position = { partition: record.partition, offset: record.offset };
      const latest = latestAt(reading, record);
      const offset = offsets.get(reading.boot);
      if (!isTimeless(reading)) {
        const time = reading.time ?? reading.received;
        if (time > latest + DAY_MS) refused.push({ ...position, code: "in_future" });
        else counted.push({ at, event: own, time, latest });
      } else if (offset !== undefined) {
        counted.push({ at, event: own, time: Math.round(offset + reading.uptime), latest });
      } else if (Object.values(reading.metrics).some((value) => Number.isFinite(value))) {
        const place = leaves[index];
        const until = place === undefined ? undefined : events[place];
        if (waits >= MOST_WAITING) refused.push({ ...position, code: "no_time" });
        else {
          waits += 1;
          if (until) leaving.set(until[0], (leaving.get(until[0]) ?? 0) + 1);
          const told = until && toldBy(until[1], reading.boot);
          if (until && !told) refused.push({ ...position, code: "no_time" });
          if (until && told) {
            const time = Math.round(told.offset + reading.uptime);
            const { record: by } = until[1];
            counted.push({ at: until[0], event: own, time, latest: latestAt(told, by) });
          }
        }
      }
    }
    waits -= leaving.get(at) ?? 0;
  }
  return waits;
}

function toldBy({ type, data }: JournalEvent, boot: string): ClockSet | undefined {
  const clock = data as ClockSet;
  return type === "tidegate.clock" && clock.boot === boot ? clock : undefined;
}

/** For each event the index of the next one that ends its boot's waiting: a clock event, or anything of another boot. */
function leavingPlaces(events: readonly (readonly [number, JournalEvent])[]) {
  const places: (number | undefined)[] = new Array(events.length);
  let next: { boot: string; place: number | undefined } | undefined;
  let latest: number | undefined;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const [, { type, data }] = events[index] as readonly [number, JournalEvent];
    const boot = (data as Partial<Stamp> | undefined)?.boot;
    if (typeof boot !== "string") continue;
    if (next && next.boot !== boot) next = { boot, place: latest };
    next ??= { boot, place: undefined };
    places[index] = next.place;
    if (type === "tidegate.clock") next = { boot, place: index };
    latest = index;
  }
  return places;
}

function windowsOf(
  counted: readonly Counted[],
  keepHours: KeepHours,
  refused: RefusedReading[],
): KeptRollup[] {
  const lines = new Map<string, Readonly<Record<Resolution, Line>>>();
  for (const { event, time, latest } of counted) {
    const { gateway, data, record } = event;
    if (!data) continue;
    let late = false;
    for (const [metric, value] of Object.entries(data.metrics)) {
      if (typeof value !== "number" || !Number.isFinite(value)) continue;
      const key = JSON.stringify([gateway, data.device, metric]);
      let line = lines.get(key);
      if (!line) {
        const of = { gateway, device: data.device, metric };
        line = {
          "1m": newLine({ ...of, resolution: "1m" }),
          "1h": newLine({ ...of, resolution: "1h" }),
        };
        lines.set(key, line);
      }
      for (const resolution of RESOLUTIONS) {
        if (!count(line[resolution], keepHours[resolution], value, time, latest)) late = true;
      }
    }
    if (late) {
      refused.push({ partition: record.partition, offset: record.offset, code: "too_late" });
    }
  }
  return [...lines.values()].flatMap((line) =>
    RESOLUTIONS.flatMap((resolution) => {
      const { of, windows } = line[resolution];
      return [...windows].map(([window, { values, kept }]) => ({
        ...rollupOf({ ...of, window }, values),
        kept,
      }));
    }),
  );
}

interface Window {
  readonly start: number;
  readonly values: number[];
  kept: KeptRollup["kept"];
}

/** The windows of one series in one resolution. */
interface Line {
  readonly of: Omit<OracleRollup, "window" | "count" | "min" | "max" | "sum">;
  readonly windows: Map<number, Window>;
  /** Those that have not fallen out yet. */
  readonly standing: Set<Window>;
  newest: number | undefined;
  /** Where the series leapt to last, and how often since it last went on for a day. */
  leapt: number | undefined;
  leaps: number;
}

function newLine(of: Line["of"]): Line {
  return {
    of,
    windows: new Map(),
    standing: new Set(),
    newest: undefined,
    leapt: undefined,
    leaps: 0,
  };
}

/** @returns false where its window is no longer kept */
function count(line: Line, keep: number, value: number, time: number, latest: number): boolean {
  const length = RESOLUTION_MS[line.of.resolution];
  const start = Math.floor(time / length) * length;
  const newest = line.newest ?? start;
  const mistaken = newest > latest + DAY_MS;
  if (!mistaken && hoursFrom(start, newest) >= keep) return false;
  if (mistaken && start < newest) {
    // The series comes back to before its end: what fell out meanwhile may begin anew.
    for (const one of line.windows.values()) if (one.kept === "no") one.kept = "unsure";
  }
  let window = line.windows.get(start);
  if (!window) {
    window = { start, values: [], kept: "yes" };
    line.windows.set(start, window);
    line.standing.add(window);
  }
  window.values.push(value);
  line.newest ??= start;
  if (!mistaken && start <= newest) return true;
  if (mistaken || start > newest + DAY_MS) {
    line.leapt = time;
    line.leaps += 1;
  }
  line.newest = start;
  const confirmed = line.leapt === undefined || start - line.leapt >= DAY_MS;
  // What may be a clock's mistake lets nothing fall out; otherwise an hour that begins does, and a leap that is confirmed.
  if (!confirmed && line.leaps <= MOST_LEAPS) return true;
  const moved = Math.floor(start / HOUR_MS) > Math.floor(newest / HOUR_MS);
  if (!moved && line.leaps === 0) return true;
  if (confirmed) line.leaps = 0;
  for (const other of line.standing) {
    if (hoursFrom(other.start, start) < keep) continue;
    other.kept = "no";
    line.standing.delete(other);
  }
  return true;
}

/** Whole hours from the hour of one time to the hour of another. */
function hoursFrom(from: number, to: number): number {
  return Math.floor(to / HOUR_MS) - Math.floor(from / HOUR_MS);
}
