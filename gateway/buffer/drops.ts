/** What gives way for space (drop.core.ts), with the group that declares it lost, ready to be written. */
import type { Stamp } from "../../events/schema.ts";
import { type Chapters, chapterOf, seedOf } from "./chapters.core.ts";
import { type DroppedRun, planDrop } from "./drop.core.ts";
import { encodeGroup, frameBytes } from "./frame.core.ts";
import type { GroupIndex } from "./group-index.core.ts";
import { lossEvent } from "./own-events.ts";

export interface Drop {
  readonly run: DroppedRun;
  readonly group: Buffer;
}

/** See planDrop() for the parameters. */
export function dropsFor(
  groups: GroupIndex,
  chapters: Chapters,
  sent: number,
  wanted: number,
  stamp: () => Stamp,
): readonly Drop[] {
  return planDrop(groups, chapters, sent, wanted).map((run) => {
    const chapter = chapterOf(chapters, run.from);
    const [from, to] = [run.from - chapter.base, run.to - chapter.base];
    const loss = lossEvent(stamp(), from, to, "full");
    return { run, group: encodeGroup(run.from, seedOf(chapter), [loss], frameBytes(loss)) };
  });
}
