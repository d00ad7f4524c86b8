/**
 * Rules that looked at nothing in a whole run: a slip in a name, or a metric that is no number. A test that says that such a
 * rule must not fire says nothing.
 */
import type { Reading } from "../../events/schema.ts";
import type { Rule } from "../../rules/rule.ts";
import { matches } from "../oracle-alerts.ts";
import { distinctEvents, type JournalRecord } from "../oracle-journal.ts";

export function idleRules(
  rules: readonly Rule[],
  events: readonly JournalRecord[],
): readonly string[] {
  if (rules.length === 0) return [];
  /** Each series once, and whether it ever was a number. */
  const series = new Map<
    string,
    { gateway: string; device: string; metric: string; number: boolean }
  >();
  for (const { gateway, type, data } of distinctEvents(events)) {
    if (type !== "tidegate.reading" || !data) continue;
    const { device, metrics } = data as Reading;
    for (const [metric, value] of Object.entries(metrics)) {
      const key = `${gateway} ${device} ${metric}`;
      const known = series.get(key) ?? { gateway, device, metric, number: false };
      known.number ||= typeof value === "number";
      series.set(key, known);
    }
  }
  return rules.flatMap((rule) => {
    const named = [...series.values()].filter(
      ({ gateway, device }) => matches(rule.device, device) && matches(rule.gateway, gateway),
    );
    const seen = named.filter(({ metric }) => metric === rule.metric);
    if (seen.some(({ number }) => number)) return [];
    const why =
      named.length === 0
        ? `no device is called ${rule.device}${rule.gateway === "*" ? "" : ` at a gateway ${rule.gateway}`}`
        : seen.length === 0
          ? `no ${rule.device} has a metric ${rule.metric}; there are ${[...new Set(named.map(({ metric }) => metric))].slice(0, 8).join(", ")}`
          : `${rule.metric} never was a number, and rules look at numbers alone`;
    return [`the rule ${rule.name} has looked at nothing: ${why}`];
  });
}
