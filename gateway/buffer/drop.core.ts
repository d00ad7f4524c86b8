/**
 * What gives way when the buffer is full: the oldest groups that nobody is sending, each run of them replaced by one
 * declared loss that grows into its neighbours. Pure.
 */
import type { Chapters } from "./chapters.core.ts";
import { chapterOf } from "./chapters.core.ts";
import type { GroupIndex } from "./group-index.core.ts";

/** Groups `[begin, begin + count)` of the index become one loss of positions `[from, to]`. */
export interface DroppedRun {
  readonly begin: number;
  readonly count: number;
  readonly from: number;
  readonly to: number;
  /** Events that are given up now: without those that an older loss of the run stands for. */
  readonly events: number;
  readonly bytes: number;
}

/**
 * @param sent highest position that may be on its way to the log: it stays
 * @param wanted bytes to free; fewer are freed where there are no more
 */
export function planDrop(
  groups: GroupIndex,
  chapters: Chapters,
  sent: number,
  wanted: number,
): DroppedRun[] {
  const runs: DroppedRun[] = [];
  let run: DroppedRun | undefined;
  let freed = 0;
  for (let i = groups.find(sent + 1); i < groups.length && freed < wanted; i += 1) {
    const group = groups.at(i);
    if (!group || group.first <= sent) continue;
    if (group.kind === "epoch") {
      run = undefined;
      continue;
    }
    const events = group.kind === "loss" ? 0 : group.last - group.first + 1;
    if (run && chapterOf(chapters, run.from) === chapterOf(chapters, group.first)) runs.pop();
    else run = undefined;
    run = {
      begin: run?.begin ?? i,
      count: (run?.count ?? 0) + 1,
      from: run?.from ?? group.first,
      to: group.last,
      events: (run?.events ?? 0) + events,
      bytes: (run?.bytes ?? 0) + group.bytes,
    };
    runs.push(run);
    freed += group.kind === "loss" ? 0 : group.bytes;
  }
  // A loss that nothing was added to stays as it is.
  return runs.filter((candidate) => candidate.events > 0);
}
