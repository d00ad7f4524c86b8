/**
 * A disk that decays: what was synced is damaged, gone, or as it was long ago. Each kind is done to the disk as bytes, and what it
 * takes is worked out here from the layout in frame.core.ts's head, by none of the code that salvages: so it can be held
 * against what a gateway then declares.
 */
import type { Chapters } from "../../gateway/buffer/chapters.core.ts";
import { type MemoryDisk, memoryDisk } from "../../gateway/buffer/memory-storage.ts";
import type { Known } from "../../gateway/clock.core.ts";
import type { Range } from "../oracle-ranges.ts";
import { mergedRanges, rangesWithout } from "../oracle-ranges.ts";
import type { GatewayDisk } from "./buffer-disk.ts";
import type { Chance } from "./chance.ts";

export const DECAYS = [
  /** One bit of one record is another. */
  "record damaged",
  /** The store is as it was some writes ago; the mark beside it is not. */
  "tail lost",
  "store lost",
  "mark lost",
  /** The whole data directory, as it was some time ago. */
  "old copy put back",
  /** The whole data directory: the gateway begins anew under its name. */
  "disk lost",
] as const;
export type Decay = (typeof DECAYS)[number];

/** Sequences, by epoch. */
export type Sequences = ReadonlyMap<string, readonly Range[]>;

/** What a decay took. */
export interface Harm {
  readonly kind: Decay;
  /** ms from the beginning of the run. */
  readonly at: number;
  /** Nobody was running: the next start must find it. */
  readonly off: boolean;
  /** What a salvage may declare lost: it is not there any more, and the mark says that it was. */
  readonly lost: Sequences;
  /** What of that must be declared: what stood behind the mark and the last of all need not be. */
  readonly due: Sequences;
  /** What nobody is left to tell of. */
  readonly gone: Sequences;
  /** A start must not take the store as it is. */
  readonly detectable: boolean;
}

/** A data directory, put aside. */
export interface DiskCopy {
  readonly buffer: MemoryDisk;
  readonly known: Known | undefined;
}

export function copyOf({ buffer, known }: Pick<GatewayDisk, "buffer" | "known">): DiskCopy {
  const { mark, groups, notes } = buffer;
  const copied = mark && { ...mark, copied: true };
  return {
    known,
    buffer: {
      ...buffer,
      ...{ groups: new Map(groups), notes: new Map(notes), undo: [], mark: copied },
    },
  };
}

/** Most changes that a lost tail takes back. */
const TAIL = 40;

/**
 * @param copy for `old copy put back`
 * @returns undefined where there is nothing that could be hurt
 */
export function decay(
  kind: Decay,
  disk: GatewayDisk,
  now: { readonly at: number; readonly off: boolean },
  chance: Chance,
  copy: DiskCopy | undefined,
): Harm | undefined {
  const { buffer } = disk;
  const { chapters, mark } = buffer;
  if (chapters.length === 0 || !mark || !buffer.born) return undefined;
  const before = held(buffer);
  const known = mark.chapters.length > chapters.length ? mark.chapters : chapters;
  const none: Sequences = new Map();
  const harm = (
    lost: readonly Range[],
    gone: readonly Range[],
    detectable: boolean,
    due = lost,
  ): Harm => ({
    ...{ kind, ...now, detectable },
    lost: sequencesOf(known, lost),
    due: sequencesOf(known, due),
    gone: sequencesOf(known, gone),
  });
  if (kind === "record damaged") {
    const lost = damageRecord(buffer, chance);
    if (!lost) return undefined;
    // Under a gateway that runs, what is told of it meanwhile is asked for elsewhere.
    const open = !now.off || (lost[1] > mark.accepted && lost[1] === before.at(-1)?.[1]);
    return harm([lost], [], true, open || lost[1] <= buffer.released ? [] : [lost]);
  }
  if (kind === "tail lost") {
    const count = chance.whole(1, Math.min(TAIL, buffer.undo.length));
    if (buffer.undo.length === 0) return undefined;
    for (let i = 0; i < count; i += 1) buffer.undo.pop()?.();
    const from = Math.max(buffer.released, mark.released) + 1;
    const end = last(buffer);
    const wanted: Range[] = from > mark.accepted ? [] : [[from, mark.accepted]];
    const detectable = end < mark.accepted || buffer.released < mark.released;
    return harm(rangesWithout(wanted, held(buffer)), [], detectable);
  }
  if (kind === "store lost") {
    const from = mark.released + 1;
    Object.assign(buffer, { ...memoryDisk(), mark, born: true });
    return harm(from > mark.accepted ? [] : [[from, mark.accepted]], [], true);
  }
  if (kind === "mark lost") {
    buffer.mark = undefined;
    return { kind, ...now, lost: none, due: none, gone: none, detectable: true };
  }
  if (kind === "disk lost") {
    Object.assign(buffer, memoryDisk());
    disk.known = undefined;
    return harm([], before, true);
  }
  if (!copy?.buffer.born) return undefined;
  // Copies may be of lives that ended otherwise: what is in both is told by epoch, not by position.
  const kept = sequencesOf(copy.buffer.chapters, [[1, last(copy.buffer)]]);
  const gone = [...sequencesOf(known, before)].map(
    ([epoch, ranges]) => [epoch, rangesWithout(ranges, kept.get(epoch) ?? [])] as const,
  );
  Object.assign(buffer, copyOf(copy).buffer);
  disk.known = copy.known;
  return { kind, ...now, lost: none, due: none, gone: new Map(gone), detectable: true };
}

/** @returns the positions that the record stood for */
function damageRecord({ groups }: MemoryDisk, chance: Chance): Range | undefined {
  const firsts = [...groups.keys()].sort((a, b) => a - b);
  if (firsts.length === 0) return undefined;
  // Rather one of many records than of one.
  const size = (one: number) => (groups.get(one) as Buffer).length;
  const some = [chance.of(firsts), chance.of(firsts), chance.of(firsts), chance.of(firsts)];
  const first = some.reduce((largest, one) => (size(one) > size(largest) ? one : largest));
  const group = Buffer.from(groups.get(first) as Buffer);
  const at = chance.whole(0, group.length - 1);
  const found = records(first, group).find(({ begin, end }) => begin <= at && at < end);
  group[at] = (group[at] as number) ^ (1 << chance.whole(0, 7));
  groups.set(first, group);
  return found && [found.from, found.to];
}

/** Positions that wait in the store. */
function held(disk: MemoryDisk): Range[] {
  const all = [...disk.groups].map(([first, group]): Range => {
    return [first, records(first, group).at(-1)?.to ?? first];
  });
  return mergedRanges(all).flatMap(([from, to]): Range[] =>
    to > disk.released ? [[Math.max(from, disk.released + 1), to]] : [],
  );
}

/** Highest position in the store, or released from it. */
function last(disk: MemoryDisk): number {
  return held(disk).at(-1)?.[1] ?? disk.released;
}

/** Records of a group that is whole, by their lengths. A declared loss stands for as many positions as its value begins with. */
function records(first: number, group: Buffer) {
  const found: { begin: number; end: number; from: number; to: number }[] = [];
  let from = first;
  for (let begin = 0; begin < group.length; ) {
    const end = begin + 17 + group.readUInt32LE(begin + 4);
    const span = group[begin + 8] === 4 ? group.readDoubleLE(begin + 17) : 1;
    found.push({ begin, end, from, to: from + span - 1 });
    from += span;
    begin = end;
  }
  return found;
}

function sequencesOf(chapters: Chapters, positions: Iterable<Range>): Sequences {
  const found = new Map<string, Range[]>();
  for (const [from, to] of positions) {
    for (const [at, { epoch, base, after }] of chapters.entries()) {
      const end = chapters[at + 1]?.after ?? Number.POSITIVE_INFINITY;
      const [begin, stop] = [Math.max(from, after + 1), Math.min(to, end)];
      // A damaged store may begin before all that it knows of.
      if (begin > stop) continue;
      const list = found.get(epoch) ?? [];
      list.push([begin - base, stop - base]);
      found.set(epoch, list);
    }
  }
  return found;
}
