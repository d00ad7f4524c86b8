/**
 * The walk of a salvage over what was found of a damaged store: groups that are whole and frames that are left of others,
 * in the order of their positions. What is double or released already goes, what is missing is declared lost in its place,
 * and a new epoch begins behind it all. Whoever found them owns the store that it is written to.
 */
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import {
  type Chapters,
  chapterOf,
  newest,
  type Owner,
  seedOf,
  splitByChapter,
} from "./chapters.core.ts";
import { decodeGroup, encodeGroup, frameBytes } from "./frame.core.ts";
import type { Mark } from "./mark.core.ts";
import { beginEpoch } from "./new-epoch.core.ts";
import { lossEvent } from "./own-events.ts";

export interface WalkOptions {
  readonly mark: Mark | undefined;
  /** The epochs that the groups were read under. */
  readonly chapters: Chapters;
  /** The cursor that was found in the store. */
  readonly storedRelease: number | undefined;
  readonly reason: EpochReason;
  readonly epoch: Epoch;
  /** Whose that is, and under whose id epochs without an owner stand. */
  readonly owner?: Owner | undefined;
  readonly origin?: GatewayId | undefined;
  readonly stamp: () => Stamp;
}

export interface WalkStore {
  /** By their first positions; at the same one the group comes before what is left of another (`stray`). */
  found(): AsyncIterable<readonly [first: number, group: Uint8Array, stray: boolean]>;
  put(first: number, group: Buffer): Promise<void>;
  /** Of a group that was found. */
  remove(first: number): void;
}

export interface Salvaged {
  readonly previous: Epoch | undefined;
  /** Positions declared lost. */
  readonly lost: readonly (readonly [from: number, to: number])[];
  /** Events in the new store that were in the old one. */
  readonly saved: number;
}

export interface Walked extends Salvaged {
  readonly chapters: Chapters;
  readonly released: number;
}

export async function closeHoles(options: WalkOptions, store: WalkStore): Promise<Walked> {
  const { mark, chapters: known, stamp, storedRelease, epoch, reason } = options;
  const released = Math.max(storedRelease ?? 0, foreign(mark, known) ? 0 : (mark?.released ?? 0));
  const lost: (readonly [number, number])[] = [];
  let chapters = known;
  let covered = released;
  let saved = 0;
  /** Where groups were put during the walk, which goes over what stood there before. */
  const rewritten = new Set<number>();

  const declare = async (from: number, to: number) => {
    for (const part of splitByChapter(chapters, from, to)) {
      const { base } = part.chapter;
      const loss = lossEvent(stamp(), part.from - base, part.to - base, "damage");
      const group = encodeGroup(part.from, seedOf(part.chapter), [loss], frameBytes(loss));
      lost.push([part.from, part.to]);
      await store.put(part.from, group);
    }
  };

  for await (const [first, group, stray] of store.found()) {
    const seed = seedOf(chapterOf(chapters, first));
    const { frames } = decodeGroup(first, seed, group);
    const fresh = frames.filter(({ position, span }) => position - span >= covered);
    const begin = fresh[0];
    const last = fresh.at(-1);
    // Under a key of ours there may be a group that is not: then nothing of it is fresh, and it goes.
    const whole = frames.length > 0 && fresh.length === frames.length;
    if (!stray && !whole && !rewritten.has(first)) store.remove(first);
    if (!begin || !last) continue;
    const from = begin.position - begin.span + 1;
    if (from > covered + 1) await declare(covered + 1, from - 1);
    if (stray || !whole) {
      const bytes = fresh.reduce((sum, frame) => sum + frameBytes(frame), 0);
      rewritten.add(from);
      await store.put(from, encodeGroup(from, seed, fresh, bytes));
    }
    covered = last.position;
    saved += fresh.filter(({ type }) => type !== "tidegate.loss").length;
  }

  if (mark && foreign(mark, known)) {
    // What this gateway had acknowledged went with its store; it is declared behind what the other one holds.
    const { base, ...own } = newest(mark.chapters);
    const moved = {
      ...own,
      base: covered - (mark.released - base),
      after: covered,
      format: 2 as const,
    };
    chapters = [...known, moved];
    const to = covered + mark.accepted - mark.released;
    if (to > covered) await declare(covered + 1, to);
    covered = to;
  } else if (mark && mark.accepted > covered) {
    await declare(covered + 1, mark.accepted);
    covered = mark.accepted;
  }

  const highest = covered;
  const { owner, origin } = options;
  const begun = beginEpoch({
    ...{ chapters, highest, released, epoch, reason, owner, origin },
    stamp: stamp(),
  });
  await store.put(begun.first, begun.group);
  return { previous: chapters.at(-1)?.epoch, lost, saved, chapters: begun.chapters, released };
}

/** Whether the mark belongs to another store than the one that was found. */
function foreign(mark: Mark | undefined, chapters: Chapters): boolean {
  return mark !== undefined && !chapters.some(({ epoch }) => epoch === newest(mark.chapters).epoch);
}
