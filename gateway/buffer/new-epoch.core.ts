/**
 * A new epoch behind everything that a buffer holds: whenever sequences could repeat. Pure, but for the stamp.
 *
 * Its first event names the epoch before it and the highest sequence known of that, so that the ledger can close it.
 */
import type { Epoch } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import { type Chapters, newest, seedOf, withChapter } from "./chapters.core.ts";
import { encodeGroup, frameBytes } from "./frame.core.ts";
import { epochEvent } from "./own-events.ts";

export interface NewEpoch {
  /** Those that the buffer held; empty where nothing is known of any. */
  readonly chapters: Chapters;
  /** Highest position that is in the store or declared lost. */
  readonly highest: number;
  readonly released: number;
  readonly epoch: Epoch;
  readonly reason: EpochReason;
  readonly stamp: Stamp;
}

export interface Begun {
  readonly chapters: Chapters;
  /** Position of the event that opens the epoch, and the group that holds it. */
  readonly first: number;
  readonly group: Buffer;
}

export function beginEpoch(options: NewEpoch): Begun {
  const { chapters: old, highest, released, epoch, reason, stamp } = options;
  const before = old.at(-1);
  const previous = before && { epoch: before.epoch, highest: highest - before.base };
  const chapters = withChapter(old, epoch, highest, released);
  const event = epochEvent(stamp, { reason, ...(previous ? { previous } : {}) });
  const first = highest + 1;
  const group = encodeGroup(first, seedOf(newest(chapters)), [event], frameBytes(event));
  return { chapters, first, group };
}
