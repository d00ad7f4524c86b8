/**
 * What buffer.ts needs of a disk: groups of events by their first position, written in one synced step, and a mark of
 * how far was acknowledged. Two implementations: gateway/buffer/level-storage.ts and gateway/buffer/memory-storage.ts.
 *
 * open() gives back a store that is whole: what had to be given up is declared in its place, and a new epoch was begun
 * behind it. It never needs a person.
 */
import type { Epoch } from "../../events/ids.ts";
import type { EpochReason } from "../../events/schema.ts";
import type { Chapters } from "./chapters.core.ts";
import type { GroupIndex } from "./group-index.core.ts";
import type { Note } from "./port.ts";

/** One step: all of it is on disk or nothing. */
export interface Change {
  readonly put: readonly { readonly first: number; readonly group: Buffer }[];
  /** First positions of groups that go. */
  readonly remove: readonly number[];
  /** The new cursor; undefined leaves it. */
  readonly released: number | undefined;
  readonly notes: readonly Note[];
}

/** What an opening found and had to do about it. */
export interface Damage {
  /** What was wrong, in words. */
  readonly found: readonly string[];
  readonly reason: EpochReason;
  readonly previous: Epoch | undefined;
  /** Positions declared lost. */
  readonly lost: readonly (readonly [from: number, to: number])[];
  /** Events that were saved from the damaged store. */
  readonly saved: number;
  /** Where the damaged original is kept; undefined where there was none. */
  readonly quarantine: string | undefined;
}

export interface Opened {
  readonly chapters: Chapters;
  /** Highest position in the store. */
  readonly accepted: number;
  /** Highest position released. */
  readonly released: number;
  readonly groups: GroupIndex;
  readonly damage: Damage | undefined;
}

export interface Usage {
  /** What the store takes on its disk. */
  readonly diskBytes: number;
  /** What the disk has left for us. */
  readonly freeBytes: number;
}

export interface GroupStorage {
  /**
   * Opens, checks and, where it must, salvages. Again after close().
   * @throws BufferError `in_use`, `unwritable`, `format`: a person must act; `unavailable`: the disk fails or is full,
   *   and trying again later may help
   */
  open(): Promise<Opened>;
  /** Resolves when the change is on disk. After a failure nothing may be written before close() and open(). */
  write(change: Change): Promise<void>;
  /** Resolves when the mark is on disk: everything up to `accepted` may be acknowledged then. One at a time. */
  confirm(accepted: number, released: number): Promise<void>;
  /** Groups in order, from the one whose first position is given. */
  groups(from: number): AsyncIterable<readonly [first: number, group: Uint8Array]>;
  noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]>;
  /** Gives the space of removed groups below the position back to the disk. */
  compact(below: number): Promise<void>;
  usage(): Promise<Usage>;
  /** @param clean nothing was left half done: the mark may say how far was released, too */
  close(clean: boolean): Promise<void>;
  /** Lets go of the directory for good, after the last close(). */
  end(): Promise<void>;
}
