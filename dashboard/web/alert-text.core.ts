/** What an alert says of itself, in words that are true when they are read. Pure. */
import type { Alert, Device } from "../../events/schema.ts";

/** An episode that ended before it fired: nobody was called, and it is nothing that was mended. */
export function neverFired(alert: Alert): boolean {
  return alert.state === "resolved" && alert.fired === false;
}

/** The condition in words, without the metric that stands before the value anyway. */
export function conditionOf(alert: Alert): string {
  const metric = `${alert.metric} `;
  const condition = alert.condition.startsWith(metric)
    ? alert.condition.slice(metric.length)
    : alert.condition;
  if (alert.state !== "resolved") return condition;
  return stillHolds(alert)
    ? `its rule no longer looks at it (${condition})`
    : `no longer ${condition}`;
}

/** An alert whose rule was taken away is resolved as well, whatever its value. */
function stillHolds({ condition, threshold, value }: Alert): boolean {
  if (condition.includes(` above ${threshold}`)) return value > threshold;
  return condition.includes(` below ${threshold}`) && value < threshold;
}

/** The rule's own message; that of a resolved alert of an older version says that the condition holds. */
export function messageOf(alert: Alert): string {
  return alert.state === "resolved" && alert.fired === undefined ? "" : alert.message;
}

/** What the device has said of the metric since the alert's last change; undefined where that is not known. */
export function valueSince(alert: Alert, device: Device | undefined): number | undefined {
  const last = device?.metrics[alert.metric];
  if (!last || last.time <= alert.changed || typeof last.value !== "number") return undefined;
  return last.value;
}
