/**
 * The time by which records expire, in the embedded log and in the read model. Pure.
 *
 * The wall clock may be set at any moment, and what is deleted is gone. So this time follows it back at once, and ahead
 * only where as much time can really have passed: beyond a day more than that it goes at most `MOST_TIMES` as fast as the
 * process's own clock. A clock that is years ahead for an hour costs two and a half days of the oldest records, not all of
 * them; a log that was off for a month catches up within half a day.
 */

/** A clock that shows less was never set: 2020-01-01T00:00:00Z. */
export const UNSET_BEFORE_MS = 1_577_836_800_000;

/** A step ahead that is taken as it comes: people and time zones, a night off, ms. */
export const TAKEN_AT_ONCE_MS = 86_400_000;

const MOST_TIMES = 60;

/**
 * @param last what it was; undefined where nothing was ever kept
 * @param elapsedMs by a clock that nobody sets, since then
 * @returns undefined while no clock was ever set: nothing expires
 */
export function expiryTime(
  last: number | undefined,
  wall: number,
  elapsedMs: number,
): number | undefined {
  if (wall < UNSET_BEFORE_MS) return last;
  if (last === undefined || wall <= last + elapsedMs + TAKEN_AT_ONCE_MS) return wall;
  return last + elapsedMs * MOST_TIMES;
}

/**
 * How many of a partition's first blocks are past their time. A block that was written under a clock that was not set, or
 * that is ahead of now, has no time of its own: it goes with the next one that has.
 * @param times of sending, in order; 0 for a damaged block, which goes at once
 */
export function expired(times: readonly number[], before: number, now: number): number {
  let count = 0;
  for (const [i, time] of times.entries()) {
    const known = time === 0 || (time >= UNSET_BEFORE_MS && time <= now + TAKEN_AT_ONCE_MS);
    if (!known) continue;
    if (time >= before) break;
    count = i + 1;
  }
  return count;
}
