/**
 * The rollups topic as a view of the rollups' state: each window whose aggregate is not what it was at the commit before,
 * and a tombstone for each that is gone. Made once a commit, however many readings a window took. Pure.
 *
 * A window stands in the state twice for a while where a series' end was brought back: what is open counts.
 */
import { keyParts } from "../events/ids.ts";
import { RESOLUTION_MS, RESOLUTIONS, type Resolution, type Rollup } from "../events/schema.ts";
import type { CommitView, Output, StateChange } from "../stream/port.ts";
import { type Aggregate, indexes, lookUp, type Pack } from "./packs.core.ts";
import {
  type Open,
  type OpenWindow,
  openKey,
  PACK_MS,
  placeOf,
  windowsUnder,
} from "./windows.core.ts";

type WindowOutput = (resolution: Resolution, window: number, now?: Aggregate) => void;

export function shownRollups(
  topic: string,
  change: StateChange,
  commit: CommitView,
): readonly Output[] {
  const of = windowsUnder(change.key);
  if (!of) return [];
  const { series } = of;
  const outputs: Output[] = [];
  let parts: readonly string[] | undefined;
  const tell: WindowOutput = (resolution, window, now) => {
    parts ??= keyParts(series);
    outputs.push(outputOf(topic, series, parts, resolution, window, now));
  };
  if (of.kind === "open") openWindows(series, change, commit, tell);
  else packedWindows(series, of.resolution, of.number, change, commit, tell);
  return outputs;
}

function openWindows(
  series: string,
  change: StateChange,
  commit: CommitView,
  tell: WindowOutput,
): void {
  const was = change.was as Open | undefined;
  const now = change.now as Open | undefined;
  for (const resolution of RESOLUTIONS) {
    const before = was?.[resolution];
    const open = now?.[resolution];
    if (open && !sameWindow(before, open)) tell(resolution, open[0], aggregateOf(open));
    if (!before || before[0] === open?.[0]) continue;
    // It went to its pack, which tells of it; unless it was so old by then that it is not kept.
    const { stateKey, index } = placeOf(series, resolution, before[0]);
    if (!lookUp(commit.now(stateKey) as Pack | undefined, index)) tell(resolution, before[0]);
  }
}

function packedWindows(
  series: string,
  resolution: Resolution,
  number: number,
  change: StateChange,
  commit: CommitView,
  tell: WindowOutput,
): void {
  const was = change.was as Pack | undefined;
  const now = change.now as Pack | undefined;
  const key = openKey(series);
  const open = (commit.now(key) as Open | undefined)?.[resolution];
  const wasOpen = (commit.was(key) as Open | undefined)?.[resolution];
  const windowOf = (index: number) =>
    number * PACK_MS[resolution] + index * RESOLUTION_MS[resolution];
  for (const index of now ? indexes(now) : []) {
    const window = windowOf(index);
    const aggregate = lookUp(now, index);
    if (!aggregate || window === open?.[0]) continue;
    const before = wasOpen?.[0] === window ? aggregateOf(wasOpen) : lookUp(was, index);
    if (!before || !same(before, aggregate)) tell(resolution, window, aggregate);
  }
  for (const index of was ? indexes(was) : []) {
    const window = windowOf(index);
    if (window !== open?.[0] && !lookUp(now, index)) tell(resolution, window);
  }
}

export function aggregateOf([, count, min, max, sum]: OpenWindow): Aggregate {
  return [count, min, max, sum];
}

function same(a: Aggregate, b: Aggregate): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

function sameWindow(a: OpenWindow | undefined, b: OpenWindow): boolean {
  return a?.[0] === b[0] && same(aggregateOf(a), aggregateOf(b));
}

/** @param aggregate undefined takes the window out of the topic */
function outputOf(
  topic: string,
  series: string,
  parts: readonly string[],
  resolution: Resolution,
  window: number,
  aggregate: Aggregate | undefined,
): Output {
  const key = `${series}/${resolution}/${window}`;
  const common = { topic, key, type: "tidegate.rollup", time: window } as const;
  if (!aggregate) return { ...common, id: `${key}@end`, event: null };
  const [count, min, max, sum] = aggregate;
  const [gateway = "", device = "", metric = ""] = parts;
  // Each change adds one reading, so the count is the revision.
  const revision = count;
  const of = { gateway, device, metric, resolution, window };
  const event: Rollup = { ...of, count, min, max, sum, revision };
  return { ...common, id: `${key}@${count}`, event };
}
