/** A verdict on a run, for people: what was looked at, what is wrong with it line by line, and one line at the end. */

import type { OracleRollup, RollupDifference } from "./oracle.ts";
import type { AlertDifference, OracleAlert } from "./oracle-alerts.ts";
import type { ArrivedMessage, LedgerMessage, SentLedger } from "./oracle-ledger.ts";
import type { RunVerdict } from "./verify.ts";

/** Of each kind so many are told; the rest are counted. */
const TOLD = 5;

export function verdictText(ledger: SentLedger, verdict: RunVerdict): string {
  return `${[...looked(ledger, verdict), ...faults(verdict), lastLine(verdict)].join("\n")}\n`;
}

function looked(ledger: SentLedger, verdict: RunVerdict): string[] {
  const { readings, gateways, windows, alerts } = verdict;
  const devices = new Set(ledger.messages.map(({ device }) => device)).size;
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

function faults({ readings, declaredLost, rollups, alerts }: RunVerdict): string[] {
  const { missing, surplus, changed, unknown } = readings;
  const declared = declaredLost > 0 ? ` (the gateway declared ${whole(declaredLost)} lost)` : "";
  const differences = alerts?.differences ?? [];
  const late = differences.filter(isLate);
  const of = (...kinds: readonly AlertDifference["kind"][]) =>
    differences.filter((one) => kinds.includes(one.kind) && !isLate(one));
  return [
    ...told(`MISSING: acknowledged, and not in the log${declared}`, missing, message),
    ...told("DOUBLE: more often in the log than it was sent", surplus, (one) => {
      return `${message(one.message)}: ${one.times} times, written ${one.message.writes}`;
    }),
    ...told("CHANGED: in the log with another content", changed, (one) => {
      return `${message(one.message)} became ${JSON.stringify(one.arrived.metrics)}`;
    }),
    ...told("UNEXPECTED: in the log, and nobody sent it", unknown, reading),
    ...told("ROLLUPS that are not what the readings come to", rollups, rollup),
    ...told("MISSING ALERTS: had to come and did not", of("missing"), alertLine),
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
export function lastLine({ ok, readings, rollups, alerts, gateways }: RunVerdict): string {
  if (ok && readings.acknowledged === 0) return "Nothing was acknowledged, so nothing can be said.";
  if (ok) {
    const judged = alerts ? "; every alert came at its time, and no other" : "";
    return `OK: nothing is missing, nothing counts twice${judged}${notJudged(alerts)}.`;
  }
  if (gateways.length === 0) {
    return "NOT OK: nothing of this run is in the log. Is it the log that the gateway forwards to?";
  }
  const { missing, surplus, changed, unknown } = readings;
  const parts = [
    count(missing.length, "reading missing", "readings missing"),
    count(surplus.length, "double", "double"),
    count(changed.length, "changed", "changed"),
    count(unknown.length, "unexpected", "unexpected"),
    count(rollups.length, "rollup wrong", "rollups wrong"),
    count(alerts?.differences.length ?? 0, "alert wrong", "alerts wrong"),
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

function told<Item>(title: string, items: readonly Item[], line: (item: Item) => string): string[] {
  if (items.length === 0) return [];
  const more = items.length > TOLD ? [`  and ${whole(items.length - TOLD)} more`] : [];
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
