/** How long the buffer still lasts, and when that is worth a warning, from what it held before. Pure. */

export interface Level {
  /** Monotonic, ms. */
  readonly at: number;
  readonly bytes: number;
  /** What the disk has left; undefined where that was not asked yet. */
  readonly free?: number | undefined;
}

export interface RoomLimits {
  /** The cap as it is now: a disk below its floor lowers it. */
  readonly capacityBytes: number;
  /** With less left on the disk the buffer grows no more; 0 never looks. */
  readonly floorBytes: number;
}

/** Levels nearer to each other say nothing of a rate, ms. */
const SHORTEST_MS = 1000;
/** A burst of less time than this says nothing of a day, ms, */
const TELLS_FROM_MS = 60_000;
/** but at its rate it may be over before that time is: less than this is told at once. */
const URGENT_HOURS = 1 / 6;
/** What others write to the disk comes in bursts: it is judged over this time at least, ms, */
const DISK_SHORTEST_MS = 300_000;
/** and is less than this the store's own breathing, which takes files and gives them back. */
const DISK_NOISE_BYTES = 128 * 1024 * 1024;
/** Of a disk that others fill more slowly than this nobody can say when it will be full. */
const DISK_HORIZON_HOURS = 7 * 24;

const HOUR_MS = 3_600_000;

/**
 * Hours until the buffer is full, by its cap or by the disk's floor, if both go on as they did since the older level.
 * @returns undefined while nothing fills, or where the levels are too close together to tell: less than a minute, unless
 *   it is a matter of minutes
 */
export function hoursLeft(older: Level, now: Level, limits: RoomLimits): number | undefined {
  const elapsed = now.at - older.at;
  if (elapsed < SHORTEST_MS) return undefined;
  const gained = now.bytes - older.bytes;
  const hours = (room: number, taken: number) =>
    taken > 0 ? (Math.max(0, room) * elapsed) / taken / HOUR_MS : Number.POSITIVE_INFINITY;
  let left = hours(limits.capacityBytes - now.bytes, gained);
  const disk = diskRoom(now, limits);
  if (disk !== undefined) {
    left = Math.min(left, hours(disk, gained));
    const taken = (older.free ?? 0) - (now.free ?? 0);
    const tells = elapsed >= DISK_SHORTEST_MS && taken > DISK_NOISE_BYTES;
    const others = tells ? hours(disk, taken) : Number.POSITIVE_INFINITY;
    if (others <= DISK_HORIZON_HOURS) left = Math.min(left, others);
  }
  if (!Number.isFinite(left)) return undefined;
  if (elapsed < TELLS_FROM_MS && left >= URGENT_HOURS) return undefined;
  return Math.round(left * 100) / 100;
}

/** Bytes above the disk's floor; undefined where it is not looked at. */
function diskRoom({ free }: Level, { floorBytes }: RoomLimits): number | undefined {
  return free === undefined || floorBytes === 0 ? undefined : Math.max(0, free - floorBytes);
}

/** Share of the configured cap that can still be filled, 0 to 1, by the cap as it is now and by the disk. */
export function roomShare(now: Level, limits: RoomLimits, configuredBytes: number): number {
  const room = Math.max(0, limits.capacityBytes - now.bytes);
  return Math.min(room, diskRoom(now, limits) ?? room) / configuredBytes;
}

/** Below either of the first the end is near, and it is until both of the second are there again. */
const NEAR = { share: 0.2, hours: 24 } as const;
const FAR = { share: 0.25, hours: 36 } as const;

/** By the same hours that are told: whoever reads that less than a day is left has been warned. */
export function isNearlyFull(before: boolean, share: number, hours: number | undefined): boolean {
  const { share: least, hours: shortest } = before ? FAR : NEAR;
  return share < least || (hours !== undefined && hours < shortest);
}
