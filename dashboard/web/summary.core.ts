/** The one sentence at the top: all is well, or what is not, the worst first. Pure. */

import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { Alert } from "../../events/schema.ts";
import { formatCount } from "./format.core.ts";
import { judgeLink } from "./link.core.ts";

export type Tone = "ok" | "info" | "warning" | "critical";
export interface Summary {
  readonly tone: Tone;
  readonly text: string;
}

function joined(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function plural(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function named(names: readonly string[], one: string, many: string): string {
  return names.length === 1 ? `gateway ${names[0]} ${one}` : `${names.length} gateways ${many}`;
}

export function summarise(
  gateways: readonly GatewayView[],
  alerts: readonly Alert[],
  deviceTotal: number,
  now: number,
): Summary {
  const firing = alerts.filter((alert) => alert.state === "firing" && !alert.historical);
  const critical = firing.filter((alert) => alert.severity === "critical").length;
  const pending = alerts.filter((alert) => alert.state === "pending" && !alert.historical).length;
  const inState = (state: string) =>
    gateways.filter((view) => judgeLink(view, now).state === state).map((view) => view.gateway);
  const offline = inState("offline");
  const late = inState("late");
  const sum = (pick: (view: GatewayView) => number) =>
    gateways.reduce((total, view) => total + pick(view), 0);
  const missing = sum((view) => view.totals.missing);
  const lost = sum((view) => view.totals.declaredLost);
  const onTheWay = sum((view) => view.totals.onTheWay);

  if (gateways.length === 0 && deviceTotal === 0) {
    return { tone: "info", text: "Nothing has reached Tidegate yet." };
  }
  const wrong: string[] = [];
  if (firing.length > 0) wrong.push(plural(firing.length, "alert is firing", "alerts are firing"));
  if (missing > 0) wrong.push(plural(missing, "event is missing", "events are missing"));
  if (offline.length > 0) wrong.push(named(offline, "is offline", "are offline"));
  if (late.length > 0) wrong.push(named(late, "is late", "are late"));
  if (lost > 0) wrong.push(plural(lost, "event was declared lost", "events were declared lost"));
  if (wrong.length > 0) {
    const text = `${joined(wrong)}.`;
    const tone = critical + missing > 0 || offline.length > 0 ? "critical" : "warning";
    return { tone, text: text.charAt(0).toUpperCase() + text.slice(1) };
  }
  const arrived =
    onTheWay > 0
      ? `${plural(onTheWay, "event is", "events are")} on the way, none is missing`
      : "every acknowledged reading has arrived";
  const watched = pending > 0 ? `, ${plural(pending, "alert is", "alerts are")} pending` : "";
  return { tone: "ok", text: `All is well: ${arrived}${watched}.` };
}
