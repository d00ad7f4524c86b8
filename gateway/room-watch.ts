/**
 * Watches how much room the buffer has, and says so in time: once when it is nearly full, by its cap or by the disk's
 * floor, and once when that is over. What happens at the cap itself is the buffer's to tell.
 */
import type { Logger } from "pino";
import type { BufferStatus } from "../events/schema.ts";
import type { BufferStats } from "./buffer/port.ts";
import { hoursLeft, isNearlyFull, type Level, roomShare } from "./status.core.ts";

export interface RoomWatchOptions {
  readonly stats: () => BufferStats;
  /** Monotonic, ms. */
  readonly uptime: () => number;
  /** The cap of the configuration. */
  readonly capacityBytes: number;
  readonly floorBytes: number;
  readonly logger: Logger;
}

export interface Room {
  /** Until it is full; undefined while it does not fill. */
  readonly hoursLeft: number | undefined;
  readonly isNearlyFull: boolean;
}

/** The rate at which the buffer fills is judged over this time. */
const WINDOW_MS = 600_000;

export class RoomWatch {
  readonly #options: RoomWatchOptions;
  #levels: Level[] = [];
  #room: Room = { hoursLeft: undefined, isNearlyFull: false };

  constructor(options: RoomWatchOptions) {
    this.#options = options;
  }

  /** As it was when look() was last called; one that has become full since then is not told to have room. */
  get room(): Room {
    if (!this.#room.isNearlyFull && this.#options.stats().state === "full") this.look();
    return this.#room;
  }

  /** To be called now and then. */
  look(): void {
    const { stats, uptime, capacityBytes: configured, floorBytes, logger } = this.#options;
    const { bytes, freeBytes: free, capacityBytes, state, policy } = stats();
    // What a store holds that cannot be opened is not known.
    if (state === "recovering" || state === "closed") return;
    const now: Level = { at: uptime(), bytes, free };
    this.#levels = this.#levels.filter((level) => now.at - level.at <= WINDOW_MS);
    this.#levels.push(now);
    const oldest = this.#levels[0] ?? now;
    const limits = { capacityBytes, floorBytes };
    const share = roomShare(now, limits, configured);
    const hours = hoursLeft(oldest, now, limits);
    const before = this.#room.isNearlyFull;
    const near = state === "full" || isNearlyFull(before, share, hours);
    this.#room = { hoursLeft: hours, isNearlyFull: near };
    if (near === before) return;
    const about = {
      room_percent: Math.round(share * 100),
      ...(hours === undefined ? {} : { hours_left: hours }),
      bytes,
      capacity: configured,
      ...(free === undefined ? {} : { free, floor: floorBytes }),
    };
    const then =
      policy === "refuse" ? "acknowledgements are held back" : "the oldest readings give way";
    // That it is full the buffer has said itself.
    if (state === "full") return;
    if (near) logger.warn(about, `the buffer is nearly full: when it is full, ${then}`);
    else logger.info(about, "the buffer has room again");
  }
}

/** The buffer in the gateway's status. */
export function bufferStatus(stats: BufferStats, room: Room, floorBytes: number): BufferStatus {
  const { state, trouble, policy, waiting, diskBytes, freeBytes, lost, recoveries } = stats;
  return {
    state: state === "closed" ? "recovering" : state,
    policy,
    near_full: room.isNearlyFull,
    waiting,
    ...(trouble === undefined ? {} : { trouble }),
    ...(diskBytes === undefined ? {} : { disk_bytes: diskBytes }),
    ...(freeBytes === undefined ? {} : { free_bytes: freeBytes }),
    floor_bytes: floorBytes,
    lost,
    recoveries,
  };
}
