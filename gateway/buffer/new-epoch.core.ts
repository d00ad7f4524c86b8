/**
 * A new epoch behind everything that a buffer holds: whenever sequences could repeat. Pure, but for the stamp.
 *
 * Its first event names the epoch before it and the highest sequence known of that, so that the ledger can close it. Where
 * that one is another gateway's it says whose: the original of a copied card may go on with it, so it is nobody's to close.
 */
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import { type Chapters, newest, type Owner, seedOf, withChapter } from "./chapters.core.ts";
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
  /** Whose it is. */
  readonly owner: Owner | undefined;
  /** Under whose id epochs without an owner stand. */
  readonly origin: GatewayId | undefined;
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
  const { owner, origin } = options;
  const whose = before?.owner?.gateway ?? origin;
  const others = before !== undefined && whose !== (owner?.gateway ?? origin);
  const previous = before && {
    ...{ epoch: before.epoch, highest: highest - before.base },
    ...(others && whose !== undefined ? { gateway: whose } : {}),
  };
  const chapters = withChapter(old, epoch, highest, released, owner);
  const cause = { reason: others ? "moved" : reason, ...(previous ? { previous } : {}) } as const;
  const event = epochEvent(stamp, cause);
  const first = highest + 1;
  const group = encodeGroup(first, seedOf(newest(chapters)), [event], frameBytes(event));
  return { chapters, first, group };
}
