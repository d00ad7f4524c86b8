/**
 * Looks a store over from end to end: is it what was written, and all that was acknowledged? Used by every start and by
 * `tidegate buffer check`. It changes nothing.
 */
import { type Chapters, chapterOf, seedOf } from "./chapters.core.ts";
import { summarizeGroup } from "./frame.core.ts";
import { GroupIndex } from "./group-index.core.ts";
import {
  FORMAT,
  firstPosition,
  readMeta,
  type Store,
  scanGroups,
  scanValues,
} from "./level-store.ts";
import { type ReadMark, shortOf } from "./mark.core.ts";
import { BufferError } from "./port.ts";

export interface Inspection {
  /** 1 to 3; undefined where the store does not say. */
  readonly format: number | undefined;
  readonly chapters: Chapters | undefined;
  readonly released: number;
  /** Highest position found. */
  readonly accepted: number;
  readonly groups: GroupIndex;
  /** What is not as it was written, in words; then the store must be salvaged. */
  readonly damage: readonly string[];
  /**
   * Why sequences could repeat although nothing is wrong with the store: `salvage` where the mark is lost, `restored`
   * where it is a copy. Then a new epoch must begin.
   */
  readonly renew: "salvage" | "restored" | undefined;
}

/** More lines than a person reads say nothing more. */
const MAX_FINDINGS = 20;

/** @throws BufferError `format` for a store of a later version */
export async function inspectStore(store: Store, mark: ReadMark | undefined): Promise<Inspection> {
  const damage: string[] = [];
  const tell = (finding: string) => {
    if (damage.length < MAX_FINDINGS) damage.push(finding);
  };
  const groups = new GroupIndex();
  let format: number | undefined;
  let chapters: Chapters | undefined;
  let released = 0;
  let accepted = 0;
  try {
    const meta = await readMeta(store);
    ({ format, chapters } = meta);
    if (format !== undefined && format > FORMAT) {
      throw new BufferError(
        "format",
        `the buffer has format ${format}, this version reads up to ${FORMAT}; run the version that wrote it, or use another data directory`,
      );
    }
    if (format === undefined) tell("the format is unreadable");
    if (!chapters) tell("the epochs are unreadable");
    if (meta.released === undefined) tell("the cursor is unreadable");
    released = meta.released ?? mark?.released ?? 0;
    accepted = released;
    if (chapters) accepted = await scan(store, chapters, released, groups, tell);
  } catch (error) {
    if (error instanceof BufferError) throw error;
    tell(`LevelDB cannot read it: ${(error as Error).message}`);
  }
  const short = mark && chapters && shortOf(mark, { chapters, accepted, released });
  if (short) tell(short);
  // Of format 1 there was none.
  const lost = !mark && format !== 1;
  const renew = lost ? "salvage" : mark?.copied ? "restored" : undefined;
  return { format, chapters, released, accepted, groups, damage, renew };
}

/** @returns the highest position found */
async function scan(
  store: Store,
  chapters: Chapters,
  released: number,
  groups: GroupIndex,
  tell: (finding: string) => void,
): Promise<number> {
  const last = await scanSound(store, chapters, released, groups);
  if (last !== undefined) return last;
  let expected: number | undefined;
  for await (const [first, group] of scanGroups(store, 0)) {
    if (first !== (expected ?? Math.min(first, released + 1))) {
      tell(`records ${expected ?? released + 1} to ${first - 1} are missing`);
    }
    const { intact, last } = summarizeGroup(first, seedOf(chapterOf(chapters, first)), group);
    if (!intact) tell(`record ${last + 1} is not what was written`);
    expected = Math.max(expected ?? 0, last + 1);
  }
  return expected === undefined ? released : expected - 1;
}

/**
 * A store with nothing amiss: every group begins where the one before it ends, as its checksums say, which go over the
 * positions too.
 * @returns the highest position; undefined where something is amiss, and then the index is of no use
 */
async function scanSound(
  store: Store,
  chapters: Chapters,
  released: number,
  groups: GroupIndex,
): Promise<number | undefined> {
  const begin = await firstPosition(store);
  if (begin === undefined) return released;
  if (begin > released + 1) return undefined;
  let first = begin;
  for await (const page of scanValues(store)) {
    for (const group of page) {
      const seed = seedOf(chapterOf(chapters, first));
      const { intact, last, kind } = summarizeGroup(first, seed, group);
      if (!intact) return undefined;
      groups.push(first, last, group.length, kind);
      first = last + 1;
    }
  }
  return first - 1;
}
