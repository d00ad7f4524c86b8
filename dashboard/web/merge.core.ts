/** Of two states of one thing, which is the newer? A fetched page and a pushed change may overtake each other. Pure. */

import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { Alert, Device } from "../../events/schema.ts";

export function newerDevice(known: Device | undefined, next: Device): Device {
  return known && known.readings > next.readings ? known : next;
}

export function newerGateway(known: GatewayView | undefined, next: GatewayView): GatewayView {
  if (!known) return next;
  const isOlder =
    (known.status?.time ?? Number.NEGATIVE_INFINITY) >
    (next.status?.time ?? Number.NEGATIVE_INFINITY);
  return isOlder ? known : next;
}

export function newerAlert(known: Alert | undefined, next: Alert): Alert {
  return known && known.changed > next.changed ? known : next;
}

const SEVERITY_ORDER = { critical: 0, warning: 1, info: 2 } as const;
const STATE_ORDER = { firing: 0, pending: 1, resolved: 2 } as const;

/** What fires now first, the most severe first, the newest first; what is only about old data last. */
export function alertOrder(a: Alert, b: Alert): number {
  return (
    Number(a.historical) - Number(b.historical) ||
    STATE_ORDER[a.state] - STATE_ORDER[b.state] ||
    SEVERITY_ORDER[a.severity] - SEVERITY_ORDER[b.severity] ||
    b.changed - a.changed
  );
}

/** The history with one change more, newest first, each once. */
export function withChange(history: readonly Alert[], change: Alert): readonly Alert[] {
  const same = (alert: Alert) =>
    alert.alert === change.alert &&
    alert.episode === change.episode &&
    alert.state === change.state &&
    alert.changed === change.changed;
  if (history.some(same)) return history;
  const index = history.findIndex((alert) => alert.changed <= change.changed);
  const at = index < 0 ? history.length : index;
  return [...history.slice(0, at), change, ...history.slice(at)];
}

export function deviceOrder(a: Device, b: Device): number {
  if (a.gateway !== b.gateway) return a.gateway < b.gateway ? -1 : 1;
  return a.device < b.device ? -1 : a.device > b.device ? 1 : 0;
}
