/** How long the buffer still lasts, from what it held before. Pure. */

export interface Level {
  /** Monotonic, ms. */
  readonly at: number;
  readonly bytes: number;
}

/**
 * Hours until the buffer is full if it goes on filling as it did since the older level.
 * @returns undefined while it does not fill, or where the levels are too close together to tell
 */
export function hoursLeft(older: Level, now: Level, capacityBytes: number): number | undefined {
  const elapsed = now.at - older.at;
  const gained = now.bytes - older.bytes;
  if (elapsed < 1000 || gained <= 0) return undefined;
  const hours = ((capacityBytes - now.bytes) * elapsed) / gained / 3_600_000;
  return Math.max(0, Math.round(hours * 100) / 100);
}
