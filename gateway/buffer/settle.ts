/**
 * What is under way, and what became of it after a write that failed: what of it is on the disk all the same. A salvage may have saved a part of a group, in groups
 * of another shape, so each event is looked for in its place.
 */
import { chapterOf, seedOf } from "./chapters.core.ts";
import { decodeGroup } from "./frame.core.ts";
import type { BufferError, NewEvent } from "./port.ts";
import type { GroupStorage, Opened } from "./storage.ts";
import type { Item } from "./waiting-room.ts";

/** Who waits for a release. */
export interface Releasing {
  readonly upTo: number;
  resolve(): void;
  reject(error: BufferError): void;
}

/** A group between the moment that it was taken and the moment that its callers know. */
export interface Group {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly items: readonly Item[];
  readonly releases: readonly Releasing[];
}

/** The events that the store holds from one position to another, both included, by position. */
export async function eventsStored(
  storage: GroupStorage,
  { groups, chapters }: Opened,
  first: number,
  last: number,
): Promise<ReadonlyMap<number, NewEvent>> {
  const found = new Map<number, NewEvent>();
  const begin = groups.at(groups.find(first))?.first ?? last + 1;
  if (begin > last) return found;
  for await (const [at, group] of storage.groups(begin)) {
    if (at > last) break;
    for (const frame of decodeGroup(at, seedOf(chapterOf(chapters, at)), group).frames) {
      if (frame.position >= first && frame.position <= last) found.set(frame.position, frame);
    }
  }
  return found;
}

export function sameEvent(wanted: NewEvent, found: NewEvent | undefined): boolean {
  return (
    found !== undefined &&
    found.type === wanted.type &&
    found.time === wanted.time &&
    Buffer.compare(found.value, wanted.value) === 0
  );
}
