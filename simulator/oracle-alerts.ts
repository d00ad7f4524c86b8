/**
 * What the alerts and alert-state topics must say, by docs/rules.md, from the whole history of each series at once: first all
 * that was read, then where an episode begins, when it fires, where it ends. Unlike the engine it looks ahead, remembers
 * nothing from one reading to the next, and shares no code with it.
 *
 * Rules are the same for the whole journal. Texts for people (`message`, `condition`) are not told of.
 */
import { seriesKey } from "../events/ids.ts";
import type { Alert, Heartbeat, Reading, Severity } from "../events/schema.ts";
import { arrivedAt, DAY_MS, isTimeless, latestAt, takenTime } from "./oracle-clock.ts";
import { distinctEvents, type JournalRecord } from "./oracle-journal.ts";

export interface OracleLimit {
  readonly direction: "above" | "below";
  readonly threshold: number;
}

export interface OracleRule {
  readonly name: string;
  readonly metric: string;
  readonly when: OracleLimit;
  readonly clear?: OracleLimit;
  readonly forMs: number;
  readonly freshnessMs: number;
  readonly device: string;
  readonly gateway: string;
  readonly severity: Severity;
}

export type OracleAlert = Omit<Alert, "message" | "condition">;

/** The gateway's clock at an event, as far as it was known. */
interface Moment {
  /** Place in the log. */
  readonly at: number;
  readonly wall: number | undefined;
  readonly boot: string;
  readonly uptime: number;
  /** ms from then to the arrival in the log. */
  readonly age: number;
}

/** A value of a series that was taken. */
interface Point extends Moment {
  readonly id: string;
  readonly time: number;
  readonly byDevice: boolean;
  readonly value: number;
}

interface Series {
  readonly gateway: string;
  readonly device: string;
  readonly metric: string;
  readonly points: Point[];
}

/** @returns every change, alert by alert, each alert's in their order */
export function expectedAlerts(
  records: Iterable<JournalRecord>,
  rules: readonly OracleRule[],
): OracleAlert[] {
  const { series, beats } = histories(records, new Set(rules.map(({ metric }) => metric)));
  return rules.flatMap((rule) =>
    series
      .filter(
        ({ metric, device, gateway }) =>
          metric === rule.metric && matches(rule.device, device) && matches(rule.gateway, gateway),
      )
      .flatMap((one) => changesOf(rule, one, beats.get(one.gateway) ?? [])),
  );
}

function histories(records: Iterable<JournalRecord>, wanted: ReadonlySet<string>) {
  const series = new Map<string, Series>();
  const beats = new Map<string, Moment[]>();
  for (const [at, { gateway, id, type, data, record }] of distinctEvents(records).entries()) {
    if (data === undefined) continue;
    if (type === "tidegate.heartbeat") {
      const beat = data as Heartbeat;
      const { boot, uptime, received, clock } = beat;
      const known = clock !== "unsynced";
      const age = known ? arrivedAt(beat, record) - received : 0;
      const list = beats.get(gateway) ?? [];
      list.push({ at, wall: known ? received : undefined, boot, uptime, age });
      beats.set(gateway, list);
    }
    if (type !== "tidegate.reading") continue;
    const reading = data as Reading;
    const { device, boot, uptime, received, clock } = reading;
    const time = takenTime(reading, record);
    const timeless = isTimeless(reading);
    // Where the device gave the time, nothing says whether the gateway's clock was right: the later of the two.
    const wall = clock === "device" ? Math.max(received, time) : received;
    for (const [metric, value] of Object.entries(reading.metrics)) {
      if (typeof value !== "number" || !Number.isFinite(value) || !wanted.has(metric)) continue;
      const key = seriesKey(gateway, device, metric);
      const one = series.get(key) ?? { gateway, device, metric, points: [] };
      series.set(key, one);
      const last = one.points.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
      // What the device dates before what it said already says nothing about now, unless that was a clock's mistake.
      const mistaken = last > latestAt(reading, record) + DAY_MS;
      if (reading.time !== undefined && time < last && !mistaken) continue;
      one.points.push({
        at,
        id,
        time: timeless ? Math.max(time, last) : time,
        byDevice: reading.time !== undefined,
        wall: clock === "unsynced" ? undefined : wall,
        boot,
        uptime,
        age: timeless ? 0 : Math.max(0, arrivedAt(reading, record) - time),
        value,
      });
    }
  }
  return { series: [...series.values()], beats };
}

function holds({ direction, threshold }: OracleLimit, value: number): boolean {
  return direction === "above" ? value > threshold : value < threshold;
}

/** By the gateway's boot clock; over a reboot by its wall clock where that was known, and at least since the boot. */
function passed(from: Moment, to: Moment): number {
  if (from.boot === to.boot) return to.uptime - from.uptime;
  const { wall: since = Number.POSITIVE_INFINITY } = from;
  return Math.max(to.uptime, (to.wall ?? Number.NEGATIVE_INFINITY) - since);
}

function changesOf(rule: OracleRule, series: Series, beats: readonly Moment[]): OracleAlert[] {
  const { points } = series;
  const changes: OracleAlert[] = [];
  const old = ({ age }: Moment) => age > rule.freshnessMs;
  const indexFrom = (from: number, test: (point: Point) => boolean) => {
    for (let at = from; at < points.length; at += 1) if (test(points[at] as Point)) return at;
    return points.length;
  };
  let next = 0;
  for (;;) {
    const begin = indexFrom(next, ({ value }) => holds(rule.when, value));
    const first = points[begin];
    if (!first) return changes;
    const tell = (state: Alert["state"], changed: number, value: number, historical: boolean) =>
      changes.push({
        alert: `${rule.name}@${seriesKey(series.gateway, series.device, series.metric)}`,
        episode: first.id,
        rule: rule.name,
        gateway: series.gateway,
        device: series.device,
        metric: series.metric,
        state,
        severity: rule.severity,
        threshold: rule.when.threshold,
        value,
        since: first.time,
        changed,
        historical,
        ...(state === "resolved" ? { fired } : {}),
      });
    // Until there it has held without a break.
    const broken = indexFrom(begin + 1, ({ value }) => !holds(rule.when, value));
    const stretch = points.slice(begin, broken);
    const fire = firing(rule, stretch, beats, points[broken]?.at ?? Number.POSITIVE_INFINITY);
    const fired = fire !== undefined;
    if (rule.forMs > 0) tell("pending", first.time, first.value, old(first));
    let end = broken;
    if (fire) {
      const { clear } = rule;
      const historical = old(fire.point) || (fire.beat !== undefined && old(fire.beat));
      tell("firing", fire.changed, fire.point.value, historical);
      const after = points.indexOf(fire.point, begin) + 1;
      end = clear ? indexFrom(after, ({ value }) => holds(clear, value)) : broken;
      const confirmed = historical
        ? points.slice(after, end).find((point) => !old(point))
        : undefined;
      if (confirmed) tell("firing", confirmed.time, confirmed.value, false);
    }
    const last = points[end];
    if (!last) return changes;
    tell("resolved", last.time, last.value, old(last));
    next = end + 1;
  }
}

/** What makes it fire: the reading, or the heartbeat behind it, with which it has held long enough. */
function firing(
  rule: OracleRule,
  stretch: readonly Point[],
  beats: readonly Moment[],
  before: number,
): { readonly point: Point; readonly beat?: Moment; readonly changed: number } | undefined {
  const [first] = stretch;
  if (!first) return undefined;
  const since = (point: Point) => (point.byDevice ? point.time - first.time : passed(first, point));
  const point = rule.forMs === 0 ? first : stretch.slice(1).find((one) => since(one) >= rule.forMs);
  let low = 0;
  for (let high = beats.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((beats[middle] as Moment).at < first.at) low = middle + 1;
    else high = middle;
  }
  const until = point?.at ?? before;
  for (let at = low; at < beats.length; at += 1) {
    const beat = beats[at] as Moment;
    if (beat.at > until) break;
    if (passed(first, beat) < rule.forMs) continue;
    // The sensor has kept the value that it gave last.
    const last = stretch.findLast((one) => one.at < beat.at) ?? first;
    return { point: last, beat, changed: beat.wall ?? first.time + passed(first, beat) };
  }
  return point && { point, changed: point.time };
}

/** A glob over the whole text: `*` stands for any characters, `?` for one. */
export function matches(glob: string, text: string): boolean {
  const pattern = [...glob];
  // Which beginnings of the pattern have matched the text so far.
  let reached = pattern.map((_, at) => pattern.slice(0, at).every((one) => one === "*"));
  reached.push(pattern.every((one) => one === "*"));
  for (const character of text) {
    const now = reached.map(() => false);
    for (const [at, one] of pattern.entries()) {
      if (one === "*") now[at + 1] = now[at] || reached[at] || reached[at + 1] || false;
      else if (one === "?" || one === character) now[at + 1] = reached[at] ?? false;
    }
    reached = now;
  }
  return reached.at(-1) ?? false;
}

export interface AlertDifference {
  readonly kind: "missing" | "unexpected" | "different" | "state";
  readonly alert: string;
  readonly expected?: OracleAlert;
  readonly actual?: OracleAlert;
}

/**
 * @param history the alerts topic in its order
 * @param states the alert-state topic, the newest of each alert
 * @returns what differs; empty where all agree
 */
export function compareAlerts(
  expected: Iterable<OracleAlert>,
  history: Iterable<OracleAlert>,
  states: Iterable<OracleAlert>,
): AlertDifference[] {
  const differences: AlertDifference[] = [];
  const wanted = Map.groupBy(expected, ({ alert }) => alert);
  const got = Map.groupBy(history, ({ alert }) => alert);
  const last = Map.groupBy(states, ({ alert }) => alert);
  for (const alert of new Set([...wanted.keys(), ...got.keys(), ...last.keys()])) {
    const mine = wanted.get(alert) ?? [];
    const theirs = got.get(alert) ?? [];
    for (let at = 0; at < Math.max(mine.length, theirs.length); at += 1) {
      const [one, other] = [mine[at], theirs[at]];
      if (one && other && words(one) === words(other)) continue;
      const kind = !one ? "unexpected" : !other ? "missing" : "different";
      differences.push({
        kind,
        alert,
        ...(one ? { expected: one } : {}),
        ...(other ? { actual: other } : {}),
      });
      // What follows the first difference is out of step and says nothing.
      break;
    }
    const state = last.get(alert) ?? [];
    const final = mine.at(-1);
    const agreed =
      state.length === (final ? 1 : 0) &&
      state.every((one) => final !== undefined && words(one) === words(final));
    if (!agreed) {
      differences.push({
        kind: "state",
        alert,
        ...(final ? { expected: final } : {}),
        ...(state[0] ? { actual: state[0] } : {}),
      });
    }
  }
  return differences;
}

function words(alert: OracleAlert): string {
  const { rule, gateway, device, metric, state, severity, episode, threshold, value } = alert;
  const of = [rule, gateway, device, metric, state, severity, episode, threshold, value];
  return JSON.stringify([...of, alert.since, alert.changed, alert.historical, alert.fired ?? null]);
}
