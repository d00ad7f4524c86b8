/** What bounds a buffer beside its settings, each with its reason. */

export interface Limits {
  /** Room above the cap for the gateway's own events, so that a full buffer can still say that it is full. */
  readonly reservedBytes: number;
  /** What may wait to be written, in bytes; beyond it callers are refused. They hold it in memory until then. */
  readonly heldBytes: number;
  /** A group is closed at this size: larger ones gain nothing and hold up the acknowledgements before them. */
  readonly groupBytes: number;
  /** Removed bytes after which the storage is asked for their space; less is not worth the writing. */
  readonly compactBytes: number;
  /** Between looks at the disk, ms. */
  readonly usageIntervalMs: number;
  /** Between tries to open a store that cannot be opened, ms: a full disk is not to be hammered. */
  readonly reopenDelayMs: number;
  /**
   * Between the beginnings of two commits, ms, where more than one caller shares them. A commit costs the same however
   * few it serves: without a pace a busy buffer writes as often as the disk lets it, for a millisecond that nobody notices.
   */
  readonly paceMs: number;
  /**
   * How long a release waits for the next group when nothing is left to send, ms. Nobody waits for it then, and a commit
   * of its own for each batch would double what an idle link writes to the card.
   */
  readonly idleReleaseMs: number;
  /** What a buffer may hold although the disk is below its floor: enough to keep forwarding alive. */
  readonly floorRoomBytes: number;
}

const MiB = 1024 * 1024;

export const LIMITS: Limits = {
  reservedBytes: MiB,
  heldBytes: 16 * MiB,
  groupBytes: MiB,
  compactBytes: 16 * MiB,
  usageIntervalMs: 2000,
  reopenDelayMs: 1000,
  paceMs: 2,
  idleReleaseMs: 200,
  floorRoomBytes: 4 * MiB,
};
