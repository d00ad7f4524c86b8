/** What the high-water mark says (mark.ts), and what a store that it is held against must have. Pure. */
import { type Chapters, newest } from "./chapters.core.ts";

export interface Mark {
  readonly chapters: Chapters;
  /** Highest position that may have been acknowledged. */
  readonly accepted: number;
  /** Highest position known to be released when the mark was written. */
  readonly released: number;
}

export interface ReadMark extends Mark {
  /** The file is not the one that the mark was written to: a copy, put back or cloned. */
  readonly copied: boolean;
}

/** What a store says of itself. */
export interface Held {
  readonly chapters: Chapters;
  /** Highest position found. */
  readonly accepted: number;
  readonly released: number;
}

/** @returns in words, what the mark knows and the store does not; undefined where it has all of it */
export function shortOf(mark: Mark, { chapters, accepted, released }: Held): string | undefined {
  const { epoch } = newest(mark.chapters);
  if (!chapters.some((chapter) => chapter.epoch === epoch)) {
    return `it is another store: the epoch ${epoch} that was being written is not in it`;
  }
  if (accepted < mark.accepted) {
    return `records ${accepted + 1} to ${mark.accepted} were acknowledged and are not there`;
  }
  if (released < mark.released) {
    return `records up to ${mark.released} were released, the cursor stands at ${released}`;
  }
  return undefined;
}
