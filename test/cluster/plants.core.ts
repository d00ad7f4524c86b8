/** Faults planted into what a run has left in the topics: each must be found by the judge, or its word is worth nothing. */
import type { ClusterView } from "./judge.core.ts";

type Plant = (view: ClusterView) => ClusterView;

/** Behind the beginning of its epoch, where readings are. */
function place(length: number): number {
  return Math.floor(length / 2);
}

const lost =
  <K extends keyof ClusterView>(what: K): Plant =>
  (view) => ({ ...view, [what]: view[what].toSpliced(place(view[what].length), 1) });

const doubled =
  <K extends keyof ClusterView>(what: K): Plant =>
  (view) => {
    const at = place(view[what].length);
    const all: readonly unknown[] = view[what];
    return { ...view, [what]: all.toSpliced(at, 0, all[at]) };
  };

/** The two of one gateway, or of one device, that stand next to each other. */
const swapped =
  (what: "events" | "readings"): Plant =>
  (view) => {
    const all: readonly (typeof view)["events" | "readings"][number][] = view[what];
    const at = place(all.length);
    const other = all.findIndex((one, i) => i > at && one.key === all[at]?.key);
    return { ...view, [what]: all.with(at, all[other] as never).with(other, all[at] as never) };
  };

/** By what the judge says that it is about. */
export const plants: Readonly<Record<string, Plant>> = {
  "events: a lost event": lost("events"),
  "events: an event that stands twice": doubled("events"),
  "events: two events in the wrong order": swapped("events"),
  "events: an event with another content": (view) => {
    const at = place(view.events.length);
    const record = view.events[at];
    const data = { ...(record?.data as object), device: "another" };
    return { ...view, events: view.events.with(at, { ...record, data } as never) };
  },
  "readings: a lost reading": lost("readings"),
  "readings: a reading that stands twice": doubled("readings"),
  "readings: two readings in the wrong order": swapped("readings"),
  "rollups: a window that is not there": lost("rollups"),
  "rollups: a reading that counts twice": (view) => {
    const at = place(view.rollups.length);
    const rollup = view.rollups[at];
    const more = { ...rollup, count: (rollup?.count ?? 0) + 1 };
    return { ...view, rollups: view.rollups.with(at, more as never) };
  },
  "alerts: a lost change": lost("alerts"),
  "alerts: a change that stands twice": doubled("alerts"),
  "alerts: a state that is not there": lost("alertStates"),
  "ledger: an entry that is not there": lost("ledger"),
  "devices: a device that is not there": lost("devices"),
};
