/**
 * The epochs that a buffer holds, oldest first, whose they are, and how their sequences lie on its positions. Pure.
 *
 * An epoch belongs to one gateway on one board. A buffer that finds itself on another board, or under another id, begins an
 * epoch for that owner before it takes anything in: two copies of a card never count on one epoch.
 *
 * A chapter holds the positions behind `after`, and `sequence = position - base`. Both are the same where the buffer saw
 * the epoch begin. Chapters are never changed, only added; those whose events are all released are forgotten when a new
 * one is added, but for the last few.
 */
import assert from "node:assert";
import { type Epoch, type GatewayId, isEpoch, isGatewayId } from "../../events/ids.ts";
import { FORMAT_1_SEED, frameSeed } from "./frame.core.ts";

export interface Owner {
  readonly gateway: GatewayId;
  /** Name of the hardware. */
  readonly board: string;
}

export function sameOwner(a: Owner | undefined, b: Owner | undefined): boolean {
  return a?.gateway === b?.gateway && a?.board === b?.board;
}

export interface Chapter {
  readonly epoch: Epoch;
  readonly base: number;
  readonly after: number;
  /** Format of its frames' checksums. */
  readonly format: 1 | 2;
  /** Undefined for the gateway and the board that the buffer was made for. */
  readonly owner?: Owner;
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
  owner?: Owner,
): Chapters {
  const kept = chapters.filter((chapter, at) => {
    const end = endOf(chapters, chapter);
    return at >= chapters.length - KEPT || Math.min(end, base) > released;
  });
  const chapter = { epoch, base, after: base, format: 2 } as const;
  return [...kept, owner ? { ...chapter, owner } : chapter];
}

export function encodeChapters(chapters: Chapters): string {
  return chapters
    .map(({ epoch, base, after, format, owner }) => {
      const whose = owner ? `:${owner.gateway}:${owner.board}` : "";
      return `${epoch}:${base}:${after}:${format}${whose}`;
    })
    .join(" ");
}

const CHAPTER =
  /^([0-9a-z]{10}):(-?\d{1,16}):(\d{1,16}):([12])(?::([A-Za-z0-9_.-]{1,64}):([0-9a-z]{1,16}))?$/;

/** @returns undefined where the text is not chapters */
export function decodeChapters(text: string): Chapters | undefined {
  const chapters: Chapter[] = [];
  for (const part of text.split(" ")) {
    const found = CHAPTER.exec(part);
    const epoch = found?.[1] ?? "";
    if (!found || !isEpoch(epoch)) return undefined;
    const [base, after] = [Number(found[2]), Number(found[3])];
    const chapter = { epoch, base, after, format: found[4] === "1" ? 1 : 2 } as const;
    const [gateway, board] = [found[5], found[6]];
    if (gateway === undefined || board === undefined) chapters.push(chapter);
    else if (isGatewayId(gateway)) chapters.push({ ...chapter, owner: { gateway, board } });
    else return undefined;
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
