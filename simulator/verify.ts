/**
 * A run's ledger against what the cloud made of it: is every acknowledged reading there, did each count as often as it was
 * sent and no more, does every window say what it must, did every alert come at its time, and no other?
 *
 * What must be is computed by the oracles, which share no code with the product's processing. Only what belongs to the run
 * is judged: its devices, on the gateways that took its readings, between its first and last moment; whatever else is in
 * the same log may be there or not.
 *
 * A run may be too large for the memory: it is judged in parts, each with some of the devices and all that the cloud knows of
 * them. Only the time of the run is found out of all of them together, and so they are gone through twice.
 */
import assert from "node:assert/strict";
import {
  type Alert,
  type Loss,
  RESOLUTION_MS,
  type Reading,
  type Stamp,
} from "../events/schema.ts";
import type { LedgerHead } from "./ledger-parts.ts";
import { compareRollups, type OracleRollup, type RollupDifference } from "./oracle.ts";
import {
  type AlertDifference,
  compareAlerts,
  expectedAlerts,
  type OracleAlert,
  type OracleRule,
} from "./oracle-alerts.ts";
import { type JournalEvent, type JournalRecord, journalEvents } from "./oracle-journal.ts";
import {
  type ArrivedMessage,
  checkLedger,
  type LedgerMessage,
  type LedgerVerdict,
  type SentLedger,
} from "./oracle-ledger.ts";
import { expectedFromJournals, type KeepHours } from "./oracle-rollups.ts";
import { VerdictSum } from "./verify-sum.ts";

/** What the cloud's topics hold. */
export interface CloudView {
  /** The events topic in the order of the log; readings of devices that are not the ledger's may be left out. */
  readonly journal: readonly JournalRecord[];
  /** The newest of each window. */
  readonly rollups: readonly OracleRollup[];
  /** The alerts topic, in its order. */
  readonly alerts: readonly Alert[];
  /** The alert-state topic, the newest of each alert. */
  readonly states: readonly Alert[];
  readonly keepHours: KeepHours;
}

/** Some of a run's devices, and all that there is of them. */
export interface RunPart {
  readonly messages: readonly LedgerMessage[];
  /**
   * Of the journal the devices' readings, and everything of their gateways that is no reading; readings that had to wait for
   * their time are needed of all devices, because they wait in one queue.
   */
  readonly cloud: CloudView;
}

export interface VerdictCounts {
  readonly missing: number;
  readonly surplus: number;
  readonly changed: number;
  readonly unknown: number;
  readonly rollups: number;
  readonly alerts: number;
}

/** In its lists are the first thousand of each kind; how many there are is in `counts`. */
export interface RunVerdict {
  readonly ok: boolean;
  readonly counts: VerdictCounts;
  /** Devices that sent something. */
  readonly devices: number;
  readonly readings: LedgerVerdict<Arrival>;
  /** Gateways that took readings of the run. */
  readonly gateways: readonly string[];
  /** Events that those gateways declared lost in the time of the run. */
  readonly declaredLost: number;
  /** Windows that the run's readings fell into, and what is wrong with them. */
  readonly windows: number;
  readonly rollups: readonly RollupDifference[];
  /** Undefined where there are no rules to judge by. */
  readonly alerts:
    | {
        /** Changes that had to come. */
        readonly expected: number;
        readonly differences: readonly AlertDifference[];
        /** Alerts that were on when the run began: their end says nothing about it. */
        readonly passedOver: number;
        /** Rules that have alerted the run's readings too, and by which nothing could be judged. */
        readonly otherRules: readonly string[];
      }
    | undefined;
}

export interface Arrival extends ArrivedMessage {
  readonly event: JournalEvent<Reading>;
}

/** How far from the run's time a message may be received that is the run's for certain, ms. */
const EDGE_MS = 1000;
/** The same for whatever may be somebody else's: clocks are read to the millisecond, and do not run alike. */
const NARROW_MS = 20;
/** Messages of one run reach their gateway within this of each other, ms; what is further off belongs to another run. */
const SPREAD_MS = 10_000;

type Rules = readonly OracleRule[] | undefined;

/** One that fits in the memory. @param rules without them the ledger's own; no alert is judged where there are none */
export function verifyRun(
  { messages, ...head }: SentLedger,
  cloud: CloudView,
  rules: Rules = head.rules as Rules,
): RunVerdict {
  return verifyParts(head, () => [{ messages, cloud }], rules);
}

/**
 * @param parts all of them, anew at each call; only one is held at a time
 * @param rules no alert is judged without them
 */
export function verifyParts(
  head: LedgerHead,
  parts: () => Iterable<RunPart>,
  rules: Rules,
): RunVerdict {
  const found = new Found();
  for (const { messages, cloud } of parts())
    found.add(matches(messages, arrivals(messages, cloud)));
  const span = spanOf(head, found);
  const sum = new VerdictSum(span.gateways, rules !== undefined);
  for (const part of parts()) judgePart(part, span, rules, sum);
  return sum.verdict();
}

function judgePart({ messages, cloud }: RunPart, span: Span, rules: Rules, sum: VerdictSum): void {
  const { gateways } = span;
  const everybody = arrivals(messages, cloud);
  const { certain } = matches(messages, everybody);
  const all = everybody.filter(({ gateway }) => gateways.has(gateway));
  const own = all.filter((one) => span.holds(dataOf(one), certain.has(one)));
  const journal = cloud.journal.filter(({ key }) => gateways.has(key ?? ""));
  sum.readings(checkLedger({ messages }, own));
  sum.devices += new Set(messages.map(({ device }) => device)).size;
  sum.windows(judgeWindows(cloud, journal, own));
  if (rules) sum.alerts(judgeAlerts(rules, cloud, all, journal, own, span));
  for (const record of journal) {
    if (record.type !== "tidegate.loss" || record.data === undefined) continue;
    if (span.holds(record.data as Loss)) sum.loss(record);
  }
}

/** Readings of the devices, whatever came twice. */
function arrivals(messages: readonly LedgerMessage[], { journal }: CloudView): Arrival[] {
  const devices = new Set(messages.map(({ device }) => device));
  return journalEvents(journal).flatMap((one): Arrival[] => {
    const { gateway, id, type, data } = one;
    if (type !== "tidegate.reading" || data === undefined) return [];
    const event = one as JournalEvent<Reading> & { readonly data: Reading };
    const { device, time, metrics } = event.data;
    return devices.has(device) ? [{ gateway, id, device, time, metrics, event }] : [];
  });
}

/** The time of the run by the gateways' clocks. */
interface Span {
  /** By whichever clock was first, the devices' or the gateways'; ms since 1970. */
  readonly beginning: number;
  /** Gateways that took what stands in the ledger. */
  readonly gateways: ReadonlySet<string>;
  isBefore(reading: Stamp): boolean;
  /**
   * Whether it was received in the run's time; also where the gateway did not know the time.
   * @param known it is a message of the ledger for certain, by its time and words
   */
  holds(reading: Stamp, known?: boolean): boolean;
}

/** What of the ledger stands in the log, by its words. */
interface Matches {
  /** Gateways that took it. */
  readonly gateways: ReadonlySet<string>;
  /** Is a message of the ledger by its time and words. */
  readonly certain: ReadonlySet<Arrival>;
  /** From the sender's clock to the gateway's, of messages that there is only one of, ms. */
  readonly delays: readonly number[];
}

function matches(messages: readonly LedgerMessage[], all: readonly Arrival[]): Matches {
  const sentAt = new Map<string, number | undefined>();
  for (const message of messages) {
    const key = words(message);
    // What is alike does not say when it was sent, and without a time of its own it may be another run's.
    const unique = message.time !== undefined && !sentAt.has(key);
    sentAt.set(key, unique ? message.at : undefined);
  }
  const gateways = new Set<string>();
  const delays: number[] = [];
  const certain = new Set<Arrival>();
  for (const one of all) {
    const key = words(one);
    if (!sentAt.has(key)) continue;
    gateways.add(one.gateway);
    if (one.time !== undefined) certain.add(one);
    const { received, clock } = dataOf(one);
    const at = sentAt.get(key);
    if (clock !== "unsynced" && at !== undefined) delays.push(received - at);
  }
  return { gateways, certain, delays };
}

/** What the parts have found together. */
class Found {
  readonly gateways = new Set<string>();
  readonly delays: number[] = [];

  add({ gateways, delays }: Matches): void {
    for (const gateway of gateways) this.gateways.add(gateway);
    for (const delay of delays) this.delays.push(delay);
  }
}

/**
 * The gateways' clocks may differ from the simulator's: by how much is told by the readings that are known by their words.
 * A ledger that was cut off says nothing of what came after its last line.
 */
function spanOf(ledger: LedgerHead, { gateways, delays }: Found): Span {
  // The same recording may have been replayed before: what is meant is what came nearest.
  const nearest = delays.reduce(
    (best, delay) => (Math.abs(delay) < Math.abs(best) ? delay : best),
    Number.POSITIVE_INFINITY,
  );
  const offset = delays.reduce(
    (least, delay) => (delay > nearest - SPREAD_MS ? Math.min(least, delay) : least),
    Number.isFinite(nearest) ? nearest : 0,
  );
  const from = ledger.from + offset;
  const to = ledger.to + offset;
  // Where the clocks' difference is known, nothing else can have been received before or after.
  const edge = delays.length > 0 ? NARROW_MS : EDGE_MS;
  const knowsTime = ({ clock }: Stamp) => clock !== "unsynced";
  return {
    beginning: Math.min(ledger.from, from),
    gateways,
    isBefore: (reading) => knowsTime(reading) && reading.received < from - edge,
    holds: (reading, known = false) => {
      if (!knowsTime(reading)) return true;
      const before = known ? EDGE_MS : edge;
      const after = known ? EDGE_MS : ledger.complete ? edge : 0;
      return reading.received >= from - before && reading.received < to + after;
    },
  };
}

/** What a message is known by. Names are sorted, because a sender and the log may have them in another order. */
function words({ device, time, metrics }: Pick<ArrivedMessage, "device" | "time" | "metrics">) {
  let text = `${device} ${time}`;
  for (const name of Object.keys(metrics).sort()) text += ` ${name} ${metrics[name]}`;
  return text;
}

function dataOf({ event }: Arrival): Reading {
  const { data } = event;
  assert(data !== undefined, "a reading that arrived can be read");
  return data;
}

/** The windows that the run's readings fell into: as they are against as they must be, whoever else filled them too. */
function judgeWindows(
  { rollups, keepHours }: CloudView,
  journal: readonly JournalRecord[],
  own: readonly Arrival[],
): JudgedWindows {
  const times = new Map<string, { from: number; to: number }>();
  for (const one of own) {
    const { received, clock } = dataOf(one);
    const key = seriesOf(one);
    const range = times.get(key) ?? { from: Infinity, to: -Infinity };
    times.set(key, range);
    const timeless = one.time === undefined && clock === "unsynced";
    range.from = Math.min(range.from, timeless ? -Infinity : (one.time ?? received));
    range.to = Math.max(range.to, timeless ? Infinity : (one.time ?? received));
  }
  const touched = (rollup: OracleRollup) => {
    const range = times.get(seriesOf(rollup));
    if (!range) return false;
    const end = rollup.window + RESOLUTION_MS[rollup.resolution];
    return end > range.from && rollup.window <= range.to;
  };
  const expected = expectedFromJournals(journal, keepHours).rollups.filter(touched);
  const differences = compareRollups(expected, rollups.filter(touched));
  return { windows: expected.length, differences };
}

export interface JudgedWindows {
  readonly windows: number;
  readonly differences: readonly RollupDifference[];
}

function seriesOf({ gateway, device }: { readonly gateway: string; readonly device: string }) {
  return `${gateway}/${device}`;
}

/** The episodes that readings of the run began; those of other runs of the same devices are not looked at. */
function judgeAlerts(
  rules: readonly OracleRule[],
  { alerts, states }: CloudView,
  all: readonly Arrival[],
  journal: readonly JournalRecord[],
  own: readonly Arrival[],
  span: Span,
): NonNullable<RunVerdict["alerts"]> {
  const names = new Set(rules.map(({ name }) => name));
  const devices = new Set(own.map(seriesOf));
  const eventKey = (gateway: string, id: string) => `${gateway} ${id}`;
  const ownEvents = new Set(own.map(({ gateway, id }) => eventKey(gateway, id)));
  const others = all.map(({ gateway, id }) => eventKey(gateway, id));
  const foreign = new Set(others.filter((key) => !ownEvents.has(key)));
  const past = all.filter((one) => span.isBefore(dataOf(one)));
  const before = new Set(past.map(({ event }) => event.record));
  const earlier = new Set(past.map(({ gateway, id }) => eventKey(gateway, id)));

  const about = (alert: Alert) => names.has(alert.rule) && devices.has(seriesOf(alert));
  const keyOf = ({ gateway, episode }: OracleAlert) => eventKey(gateway, episode);
  const isForeign = (alert: OracleAlert) => foreign.has(keyOf(alert));
  const history = alerts.filter(about);
  // Still on when the run began: what the engine remembered of the time before is not known here.
  const carried = new Set<string>();
  for (const [alert, changes] of Map.groupBy(history, ({ alert }) => alert)) {
    const last = changes.filter((change) => earlier.has(keyOf(change))).at(-1);
    const over = last?.state === "resolved" && last.changed < span.beginning;
    if (last && !over) carried.add(alert);
  }

  const judged = (alert: OracleAlert) => !carried.has(alert.alert);
  const expected = expectedAlerts(
    journal.filter((record) => !before.has(record)),
    rules,
  ).filter((alert) => judged(alert) && ownEvents.has(keyOf(alert)));
  const actual = history.filter((alert) => judged(alert) && !isForeign(alert));
  const lastExpected = new Map(expected.map((alert) => [alert.alert, alert]));
  const newest = states
    .filter((alert) => about(alert) && judged(alert))
    .flatMap((alert) => {
      if (!isForeign(alert)) return [alert];
      // A later run has gone on with it.
      const last = lastExpected.get(alert.alert);
      return last ? [last] : [];
    });
  return {
    expected: expected.length,
    differences: compareAlerts(expected, actual, newest),
    passedOver: carried.size,
    otherRules: otherRules(alerts, names, (alert) => ownEvents.has(keyOf(alert))),
  };
}

function otherRules(
  alerts: readonly Alert[],
  known: ReadonlySet<string>,
  isOwn: (alert: Alert) => boolean,
): readonly string[] {
  const others = alerts.filter((alert) => !known.has(alert.rule) && isOwn(alert));
  return [...new Set(others.map(({ rule }) => rule))].sort();
}
