/** A verdict on a run, for people: what was looked at, what is wrong with it line by line, and one line at the end. */

import type { LedgerHead } from "./ledger-parts.ts";
import type { OracleRollup, RollupDifference } from "./oracle.ts";
import type { AlertDifference, OracleAlert } from "./oracle-alerts.ts";
import type { ArrivedMessage, LedgerMessage } from "./oracle-ledger.ts";
import type { RunVerdict } from "./verify.ts";

/** Of each kind so many are told; the rest are counted. */
const TOLD = 5;

/** What has not come through yet, each with how much. */
export interface Unfinished {
  /** Records that topologies have not processed. */
  readonly behind: readonly (readonly [topology: string, records: number])[];
  /** Events that gateways hold. */
  readonly onTheWay: readonly (readonly [gateway: string, events: number])[];
}

/** @param unfinished where it is too early to say what is missing */
export function verdictText(
  ledger: LedgerHead,
  verdict: RunVerdict,
  unfinished?: Unfinished,
): string {
  const end = unfinished ? unfinishedLine(unfinished) : lastLine(verdict);
  return `${[...looked(ledger, verdict), ...faults(verdict, unfinished), end].join("\n")}\n`;
}

function unfinishedLine({ behind, onTheWay }: Unfinished): string {
  const sum = (parts: Unfinished["behind"]) => parts.reduce((total, [, count]) => total + count, 0);
  const each = (parts: Unfinished["behind"]) =>
    parts.map(([name, count]) => `${name} ${whole(count)}`).join(", ");
  const processing =
    behind.length > 0 &&
    `the processors have ${whole(sum(behind))} records left to process (${each(behind)}): do they run?`;
  const sending =
    onTheWay.length > 0 &&
    `gateways hold ${whole(sum(onTheWay))} events that have not arrived (${each(onTheWay)}): do they run, and is their link up?`;
  const why = [processing, sending].filter((part) => typeof part === "string").join(" ");
  return `UNFINISHED: nothing can be said yet, and nothing has moved for a while; ${why}`;
}

function looked(ledger: LedgerHead, verdict: RunVerdict): string[] {
  const { readings, devices, gateways, windows, alerts } = verdict;
  const resent =
    readings.resentArrived > 0 &&
    `${whole(readings.resentArrived)} there once more because sent once more`;
  const again =
    readings.redelivered > 0 && `${whole(readings.redelivered)} in the log twice under one id`;
  return [
    [
      ledger.scenario ?? ledger.kind,
      ledger.seed !== undefined && `seed ${ledger.seed}`,
      count(devices, "device", "devices"),
      `${iso(ledger.from)} to ${iso(ledger.to)}`,
      gateways.length > 0 && `on ${gateways.join(", ")}`,
      !ledger.complete && "the ledger was cut off before the end of the run",
    ],
    [
      `readings  ${whole(readings.sent)} sent`,
      `${whole(readings.acknowledged)} acknowledged`,
      `${whole(readings.arrived)} arrived`,
      resent,
      again,
    ],
    [`rollups   ${whole(windows)} windows`],
    alerts
      ? [
          `alerts    ${whole(alerts.expected)} changes had to come`,
          alerts.passedOver > 0 &&
            `${count(alerts.passedOver, "alert was", "alerts were")} on before the run and not judged`,
        ]
      : ["alerts    not looked at: the ledger has no rules (--rules FILE)"],
  ].map((parts) => parts.filter((part) => typeof part === "string").join(", "));
}

/** While something is under way, only what no later look can make good. */
function faults(
  { counts, readings, declaredLost, rollups, alerts }: RunVerdict,
  unfinished: Unfinished | undefined,
): string[] {
  if (unfinished) return [];
  const { missing, surplus, changed, unknown } = readings;
  const declared = declaredLost > 0 ? ` (the gateway declared ${whole(declaredLost)} lost)` : "";
  const differences = alerts?.differences ?? [];
  const late = differences.filter(isLate);
  const of = (...kinds: readonly AlertDifference["kind"][]) =>
    differences.filter((one) => kinds.includes(one.kind) && !isLate(one));
  return [
    ...told(
      `MISSING: acknowledged, and not in the log${declared}`,
      missing,
      message,
      counts.missing,
    ),
    ...told(
      "DOUBLE: more often in the log than it was sent",
      surplus,
      (one) => `${message(one.message)}: ${one.times} times, written ${one.message.writes}`,
      counts.surplus,
    ),
    ...told(
      "CHANGED: in the log with another content",
      changed,
      (one) => `${message(one.message)} became ${JSON.stringify(one.arrived.metrics)}`,
      counts.changed,
    ),
    ...told(
      "UNEXPECTED: in the log, and not sent by this run (by another that has a device of this name?)",
      unknown,
      reading,
      counts.unknown,
    ),
    ...told("ROLLUPS that are not what the readings come to", rollups, rollup, counts.rollups),
    ...told(
      "MISSING ALERTS: had to come and did not (do the processors run these rules? simulate --print-rules, start --rules)",
      of("missing"),
      alertLine,
    ),
    ...told("UNEXPECTED ALERTS: came and must not have", of("unexpected"), alertLine),
    ...told("LATE ALERTS: came at another time than they had to", late, alertLine),
    ...told("ALERTS that say something else than they must", of("different", "state"), alertLine),
  ];
}

/** The same change of the same alert, at another time. */
function isLate({ expected, actual }: AlertDifference): boolean {
  if (!expected || !actual) return false;
  const same = expected.state === actual.state && expected.episode === actual.episode;
  return same && (expected.changed !== actual.changed || expected.since !== actual.since);
}

/** The verdict in one line. */
export function lastLine({ ok, counts, readings, alerts, gateways }: RunVerdict): string {
  if (ok && readings.acknowledged === 0) return "Nothing was acknowledged, so nothing can be said.";
  if (ok) {
    const judged = alerts ? "; every alert came at its time, and no other" : "";
    return `OK: nothing is missing, nothing counts twice${judged}${notJudged(alerts)}.`;
  }
  if (gateways.length === 0) {
    return "NOT OK: nothing of this run is in the log. Is it the log that the gateway forwards to?";
  }
  const parts = [
    count(counts.missing, "reading missing", "readings missing"),
    count(counts.surplus, "double", "double"),
    count(counts.changed, "changed", "changed"),
    count(counts.unknown, "unexpected", "unexpected"),
    count(counts.rollups, "rollup wrong", "rollups wrong"),
    count(counts.alerts, "alert wrong", "alerts wrong"),
  ];
  return `NOT OK: ${parts.filter((part) => part !== undefined).join(", ")}.`;
}

/** Alerts of rules that nobody told of are there, and whether they must be cannot be said. */
function notJudged(alerts: RunVerdict["alerts"]): string {
  const others = alerts?.otherRules ?? [];
  if (others.length === 0) return "";
  return ` of the rules that it was given; not judged, for they are not among them: ${others.join(", ")}`;
}

function count(number: number, one: string, many: string): string | undefined {
  return number === 0 ? undefined : `${whole(number)} ${number === 1 ? one : many}`;
}

/** @param all how many there are, where not all of them were kept */
function told<Item>(
  title: string,
  items: readonly Item[],
  line: (item: Item) => string,
  all = items.length,
): string[] {
  if (items.length === 0) return [];
  const more = all > TOLD ? [`  and ${whole(all - TOLD)} more`] : [];
  return [title, ...items.slice(0, TOLD).map((item) => `  ${line(item)}`), ...more];
}

function message({ device, time, at, metrics }: LedgerMessage): string {
  const when = time === undefined ? `sent ${iso(at)}` : iso(time);
  return `${device} ${when} ${JSON.stringify(metrics)}`;
}

function reading({ gateway, id, device, time, metrics }: ArrivedMessage): string {
  const when = time === undefined ? "" : ` ${iso(time)}`;
  return `${gateway} ${id}: ${device}${when} ${JSON.stringify(metrics)}`;
}

function rollup({ kind, expected, actual }: RollupDifference): string {
  const one = expected ?? actual;
  if (!one) return kind;
  const { device, metric, resolution, window } = one;
  const says = (side: OracleRollup) =>
    `count ${side.count}, min ${side.min}, max ${side.max}, sum ${side.sum}`;
  const lead = `${device}/${metric} ${resolution} from ${iso(window)}: ${kind}`;
  if (expected && actual) return `${lead}: ${says(actual)} instead of ${says(expected)}`;
  return `${lead}: ${says(one)}`;
}

function alertLine({ kind, alert, expected, actual }: AlertDifference): string {
  const says = ({ state, changed, since, value, historical }: OracleAlert) =>
    `${state} at ${iso(changed)} (since ${iso(since)}, value ${value}${historical ? ", historical" : ""})`;
  const what = kind === "state" ? "its state now: " : "";
  if (expected && actual) return `${alert}: ${what}${says(actual)} instead of ${says(expected)}`;
  const one = expected ?? actual;
  return one ? `${alert}: ${what}${expected ? "not " : ""}${says(one)}` : alert;
}

function iso(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : "?";
}

function whole(number: number): string {
  return number.toLocaleString("en-US");
}
