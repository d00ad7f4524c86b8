/**
 * How much a buffer may hold, and what it gives back: the cap, the floor of free space on its disk, saying when it is
 * full, and asking the storage for the space of what was removed.
 */
import type { Logger } from "pino";
import type { Timer, Timers } from "../../time/timers.ts";
import type { Limits } from "./limits.ts";
import type { FullPolicy } from "./port.ts";
import type { GroupStorage, Usage } from "./storage.ts";

export interface SpaceOptions {
  readonly storage: GroupStorage;
  readonly timers: Timers;
  readonly capacityBytes: number;
  readonly freeFloorBytes: number;
  readonly policy: FullPolicy;
  readonly limits: Limits;
  readonly logger?: Logger;
}

/** Once full, it is called so until there is room again worth speaking of. */
const ROOM_SHARE = 0.95;

export class Space {
  readonly #options: SpaceOptions;
  #timer: Timer | undefined;
  #garbage = 0;
  #compaction: Promise<void> | undefined;
  usage: Usage | undefined;
  full = false;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /** @param onLook is called after each look at the disk: there may be room again */
  async start(onLook: () => void): Promise<void> {
    await this.#look(onLook);
    const { timers, limits } = this.#options;
    this.#timer = timers.setInterval(() => void this.#look(onLook), limits.usageIntervalMs);
    this.#timer.unref?.();
  }

  stop(): void {
    this.#options.timers.clear(this.#timer);
  }

  /** The cap as it is now: where the disk is below its floor, what is held already. */
  capacity(held: number): number {
    const { capacityBytes, freeFloorBytes, limits } = this.#options;
    const low = this.usage !== undefined && this.usage.freeBytes < freeFloorBytes;
    return low ? Math.min(capacityBytes, Math.max(held, limits.floorRoomBytes)) : capacityBytes;
  }

  /** Somebody met the cap. */
  becomeFull(held: number): void {
    if (this.full) return;
    this.full = true;
    const { policy, logger } = this.#options;
    const what =
      policy === "refuse"
        ? "readings are not acknowledged until the log takes some"
        : "the oldest readings give way and are declared lost";
    logger?.warn(
      { bytes: held, capacity: this.capacity(held), free: this.usage?.freeBytes },
      `the buffer is full: ${what}`,
    );
  }

  /** There is so much in it now. */
  holds(held: number): void {
    if (!this.full || held >= this.capacity(held) * ROOM_SHARE) return;
    this.full = false;
    this.#options.logger?.info({ bytes: held }, "the buffer is not full any more");
  }

  /**
   * In the background, once it is worth it: LevelDB frees nothing of what was removed until it rewrites where it stood.
   * @param below everything before this position is removed
   */
  removed(bytes: number, below: number): void {
    this.#garbage += bytes;
    const { storage, limits, logger } = this.#options;
    if (this.#garbage < limits.compactBytes || this.#compaction !== undefined) return;
    this.#garbage = 0;
    this.#compaction = storage
      .compact(below)
      .catch((error: Error) => {
        logger?.warn({ reason: error.message }, "space could not be given back yet");
      })
      .finally(() => {
        this.#compaction = undefined;
      });
  }

  /** The storage must not be closed while it compacts. */
  async settled(): Promise<void> {
    await this.#compaction;
  }

  async #look(onLook: () => void): Promise<void> {
    try {
      this.usage = await this.#options.storage.usage();
      onLook();
    } catch (error) {
      this.#options.logger?.debug({ reason: (error as Error).message }, "the disk cannot be asked");
    }
  }
}
