/**
 * The epochs that a buffer holds, oldest first, and how their sequences lie on its positions. Pure.
 *
 * A chapter holds the positions behind `after`, and `sequence = position - base`. Both are the same where the buffer saw
 * the epoch begin. Chapters are never changed, only added; those whose events are all released are forgotten when a new
 * one is added, but for the last few.
 */
import assert from "node:assert";
import type { Epoch } from "../../events/ids.ts";
import { isEpoch } from "../../events/ids.ts";
import { FORMAT_1_SEED, frameSeed } from "./frame.core.ts";

export interface Chapter {
  readonly epoch: Epoch;
  readonly base: number;
  readonly after: number;
  /** Format of its frames' checksums. */
  readonly format: 1 | 2;
}

export type Chapters = readonly Chapter[];

/** The chapter that holds the position. */
export function chapterOf(chapters: Chapters, position: number): Chapter {
  let found = chapters[0];
  assert(found, "a buffer has at least one chapter");
  for (const chapter of chapters) if (chapter.after < position) found = chapter;
  return found;
}

/** Last position that belongs to the chapter; Infinity for the newest. */
export function endOf(chapters: Chapters, chapter: Chapter): number {
  return chapters[chapters.indexOf(chapter) + 1]?.after ?? Number.POSITIVE_INFINITY;
}

export function newest(chapters: Chapters): Chapter {
  const last = chapters.at(-1);
  assert(last, "a buffer has at least one chapter");
  return last;
}

/** Computed once: a start asks for each of a million groups. */
const seeds = new WeakMap<Chapter, number>();

export function seedOf(chapter: Chapter): number {
  let seed = seeds.get(chapter);
  if (seed === undefined) {
    seed = chapter.format === 1 ? FORMAT_1_SEED : frameSeed(chapter.epoch);
    seeds.set(chapter, seed);
  }
  return seed;
}

/**
 * Chapters before a new one that stay although all is released: the mark beside the store may still name one of them, when the
 * power goes before it is written, at this start and some more.
 */
const KEPT = 8;

/** With a new epoch behind the position, without those long past that end at or below what is released. */
export function withChapter(
  chapters: Chapters,
  epoch: Epoch,
  base: number,
  released: number,
): Chapters {
  const kept = chapters.filter((chapter, at) => {
    const end = endOf(chapters, chapter);
    return at >= chapters.length - KEPT || Math.min(end, base) > released;
  });
  return [...kept, { epoch, base, after: base, format: 2 }];
}

export function encodeChapters(chapters: Chapters): string {
  return chapters
    .map(({ epoch, base, after, format }) => `${epoch}:${base}:${after}:${format}`)
    .join(" ");
}

/** @returns undefined where the text is not chapters */
export function decodeChapters(text: string): Chapters | undefined {
  const chapters: Chapter[] = [];
  for (const part of text.split(" ")) {
    const found = /^([0-9a-z]{10}):(-?\d{1,16}):(\d{1,16}):([12])$/.exec(part);
    const epoch = found?.[1] ?? "";
    if (!found || !isEpoch(epoch)) return undefined;
    const [base, after] = [Number(found[2]), Number(found[3])];
    chapters.push({ epoch, base, after, format: found[4] === "1" ? 1 : 2 });
  }
  return chapters;
}

/** Splits `[from, to]` where a chapter ends within it. */
export function splitByChapter(
  chapters: Chapters,
  from: number,
  to: number,
): { readonly chapter: Chapter; readonly from: number; readonly to: number }[] {
  const parts: { chapter: Chapter; from: number; to: number }[] = [];
  for (let at = from; at <= to; ) {
    const chapter = chapterOf(chapters, at);
    const end = Math.min(to, endOf(chapters, chapter));
    parts.push({ chapter, from: at, to: end });
    at = end + 1;
  }
  return parts;
}
