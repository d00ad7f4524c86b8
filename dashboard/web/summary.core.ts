/** The one sentence at the top: all is well, or what is not, the worst first. Pure. */

import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { Alert, BufferStatus } from "../../events/schema.ts";
import { formatCount } from "./format.core.ts";
import { losesReadings } from "./identity.core.ts";
import { judgeLink } from "./link.core.ts";

export type Tone = "ok" | "info" | "warning" | "critical" | "stale";
export interface Summary {
  readonly tone: Tone;
  readonly text: string;
}

function joined(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function things(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? "" : "s"}`;
}

function named(names: readonly string[]): string {
  return names.length === 1 ? `gateway ${names[0]}` : `${names.length} gateways`;
}

function buffersOf(names: readonly string[]): string {
  return `the buffer${names.length === 1 ? "" : "s"} of ${named(names)}`;
}

export function summarise(
  gateways: readonly GatewayView[],
  alerts: readonly Alert[],
  deviceTotal: number,
  now: number,
  /** The time of all this, in words, where it is not the present. */
  asOf?: string,
): Summary {
  const be = (count: number) => {
    if (asOf !== undefined) return count === 1 ? "was" : "were";
    return count === 1 ? "is" : "are";
  };
  const firing = alerts.filter((alert) => alert.state === "firing" && !alert.historical);
  const critical = firing.filter((alert) => alert.severity === "critical").length;
  const pending = alerts.filter((alert) => alert.state === "pending" && !alert.historical).length;
  const inState = (state: string) =>
    gateways.filter((view) => judgeLink(view, now).state === state).map((view) => view.gateway);
  const offline = inState("offline");
  const late = inState("late");
  // Of one that is offline the word is old, and that it is offline is said already.
  const withBuffer = (is: (buffer: BufferStatus) => boolean) =>
    gateways
      .filter(
        ({ gateway, status }) => !offline.includes(gateway) && status?.buffer && is(status.buffer),
      )
      .map((view) => view.gateway);
  const recovering = withBuffer((buffer) => buffer.state === "recovering");
  const full = withBuffer((buffer) => buffer.state === "full");
  const nearlyFull = withBuffer((buffer) => buffer.state === "open" && buffer.near_full);
  const sum = (pick: (view: GatewayView) => number) =>
    gateways.reduce((total, view) => total + pick(view), 0);
  const missing = sum((view) => view.totals.missing);
  const lost = sum((view) => view.totals.declaredLost);
  const onTheWay = sum((view) => view.totals.onTheWay);

  const shared = gateways.filter(({ sharedBy }) => sharedBy);

  if (gateways.length === 0 && deviceTotal === 0) {
    return { tone: "info", text: "Nothing has reached Tidegate yet." };
  }
  const wrong: string[] = [];
  if (firing.length > 0) {
    wrong.push(`${things(firing.length, "alert")} ${be(firing.length)} firing`);
  }
  if (missing > 0) wrong.push(`${things(missing, "event")} ${be(missing)} missing`);
  if (offline.length > 0) wrong.push(`${named(offline)} ${be(offline.length)} offline`);
  if (late.length > 0) wrong.push(`${named(late)} ${be(late.length)} late`);
  if (recovering.length > 0) {
    wrong.push(`${named(recovering)} ${be(recovering.length)} acknowledging nothing`);
  }
  for (const { gateway, sharedBy } of shared) {
    const many = sharedBy?.length === 2 ? "two" : String(sharedBy?.length);
    wrong.push(`${many} gateways ${asOf === undefined ? "use" : "used"} the id ${gateway}`);
  }
  if (full.length > 0) wrong.push(`${buffersOf(full)} ${be(full.length)} full`);
  if (nearlyFull.length > 0) {
    wrong.push(`${buffersOf(nearlyFull)} ${be(nearlyFull.length)} nearly full`);
  }
  if (lost > 0) wrong.push(`${things(lost, "event")} ${lost === 1 ? "was" : "were"} declared lost`);
  if (wrong.length > 0) {
    const text = `${joined(wrong)}.`;
    if (asOf !== undefined) return { tone: "stale", text: `As of ${asOf}: ${text}` };
    const silent =
      offline.length + recovering.length + full.length + shared.filter(losesReadings).length;
    const tone = critical + missing + silent > 0 ? "critical" : "warning";
    return { tone, text: text.charAt(0).toUpperCase() + text.slice(1) };
  }
  const arrived =
    onTheWay > 0
      ? `${things(onTheWay, "event")} ${be(onTheWay)} on the way, none ${be(1)} missing`
      : `every acknowledged reading ${asOf === undefined ? "has" : "had"} arrived`;
  const watched = pending > 0 ? `, ${things(pending, "alert")} ${be(pending)} pending` : "";
  if (asOf !== undefined) return { tone: "stale", text: `As of ${asOf}: ${arrived}${watched}.` };
  return { tone: "ok", text: `All is well: ${arrived}${watched}.` };
}
