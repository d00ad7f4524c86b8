/**
 * What a start does about a disk in memory that decayed: the rules of level-storage.ts, inspect.ts and salvage.ts over maps,
 * with the same walk, so that a simulation sees what a gateway would do. Files, and what LevelDB makes of them, are not here.
 */
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import { type Chapters, chapterOf, type Owner, seedOf } from "./chapters.core.ts";
import {
  decodeGroup,
  encodeGroup,
  frameBytes,
  salvageGroup,
  summarizeGroup,
} from "./frame.core.ts";
import { GroupIndex } from "./group-index.core.ts";
import { type ReadMark, shortOf } from "./mark.core.ts";
import { closeHoles, type Walked } from "./salvage-walk.ts";

/** The store as far as a start looks at it. */
export interface MemoryStore {
  /** Empty where there is no store. */
  readonly chapters: Chapters;
  readonly released: number;
  readonly groups: ReadonlyMap<number, Buffer>;
}

export interface Looked {
  /** Highest position found. */
  readonly accepted: number;
  /** Of no use where there is damage. */
  readonly groups: GroupIndex;
  readonly damage: readonly string[];
}

export function lookOver(store: MemoryStore, mark: ReadMark | undefined): Looked {
  const { chapters, released } = store;
  const damage: string[] = [];
  const groups = new GroupIndex();
  let expected: number | undefined;
  for (const [first, group] of inTurn(store.groups)) {
    if (first !== (expected ?? Math.min(first, released + 1))) {
      damage.push(`records ${expected ?? released + 1} to ${first - 1} are missing`);
    }
    const { intact, last, kind } = summarizeGroup(first, seedAt(chapters, first), group);
    if (!intact) damage.push(`record ${last + 1} is not what was written`);
    if (damage.length === 0) groups.push(first, last, group.length, kind);
    expected = Math.max(expected ?? 0, last + 1);
  }
  const accepted = expected === undefined ? released : expected - 1;
  const short = mark && shortOf(mark, { chapters, accepted, released });
  if (short) damage.push(short);
  return { accepted, groups, damage };
}

export interface MemorySalvage {
  readonly mark: ReadMark | undefined;
  readonly epoch: Epoch;
  readonly stamp: () => Stamp;
  readonly reason: EpochReason;
  readonly owner?: Owner | undefined;
  readonly origin?: GatewayId | undefined;
}

export interface SalvagedStore extends Walked {
  readonly groups: Map<number, Buffer>;
}

/** @returns a whole store; the damaged one is only read */
export async function salvageMemory(
  store: MemoryStore,
  { mark, ...begin }: MemorySalvage,
): Promise<SalvagedStore> {
  let chapters = mark?.chapters ?? store.chapters;
  let taken = take(store, chapters, mark?.released ?? 0);
  const own = otherChapters(store, chapters, taken.whole);
  if (own) {
    chapters = own;
    taken = take(store, own, 0);
  }
  const found = taken.found.sort(([a, , stray], [b]) => a - b || (stray ? 1 : -1));
  const groups = new Map<number, Buffer>();
  for (const [first, group, stray] of found) if (!stray) groups.set(first, group);
  const storedRelease = store.chapters.length > 0 ? store.released : undefined;
  const walked = await closeHoles(
    { ...begin, mark, chapters, storedRelease },
    {
      async *found() {
        yield* found;
      },
      put: async (first, group) => {
        groups.set(first, group);
      },
      remove: (first) => groups.delete(first),
    },
  );
  return { ...walked, groups };
}

type Found = readonly [first: number, group: Buffer, stray: boolean];

/** Groups that are whole as they are; of others each frame whose checksum holds, alone. */
function take(store: MemoryStore, chapters: Chapters, released: number) {
  const found: Found[] = [];
  let whole = 0;
  if (chapters.length === 0) return { found, whole };
  for (const [first, group] of inTurn(store.groups)) {
    const seed = seedAt(chapters, first);
    const { frames, intact } = decodeGroup(first, seed, group);
    if (intact) {
      whole += 1;
      if ((frames.at(-1)?.position ?? 0) > released) found.push([first, group, false]);
      continue;
    }
    for (const frame of salvageGroup(first, seed, group, Number.POSITIVE_INFINITY)) {
      if (frame.position <= released) continue;
      const begin = frame.position - frame.span + 1;
      found.push([begin, encodeGroup(begin, seed, [frame], frameBytes(frame)), true]);
    }
  }
  return { found, whole };
}

/** The store began an epoch that the mark had not heard of, or it is another store altogether. */
function otherChapters(
  { chapters: own }: MemoryStore,
  tried: Chapters,
  whole: number,
): Chapters | undefined {
  const last = tried.at(-1)?.epoch;
  if (own.some(({ epoch }, i) => epoch === last && i + 1 < own.length)) return own;
  const known = tried.some(({ epoch }) => epoch === own.at(-1)?.epoch);
  return whole === 0 && own.length > 0 && !known ? own : undefined;
}

function seedAt(chapters: Chapters, position: number): number {
  return seedOf(chapterOf(chapters, position));
}

function inTurn(groups: ReadonlyMap<number, Buffer>): (readonly [number, Buffer])[] {
  return [...groups].sort(([a], [b]) => a - b);
}
