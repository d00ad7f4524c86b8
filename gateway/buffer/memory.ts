/** The buffer in memory, for tests and simulations: the real one, over a disk that is a map and fails by order. */
import type { Epoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import type { Timers } from "../../time/timers.ts";
import { GroupCommitBuffer } from "./group-commit-buffer.ts";
import type { Limits } from "./limits.ts";
import { type MemoryDisk, MemoryStorage, memoryDisk } from "./memory-storage.ts";
import type { FullPolicy } from "./port.ts";

export interface MemoryBufferOptions {
  readonly firstEpoch: Epoch;
  readonly capacityBytes: number;
  readonly policy?: FullPolicy;
  readonly diskBytes?: number;
  readonly freeFloorBytes?: number;
  readonly commitWindowMs?: number;
  readonly stamp?: () => Stamp;
  readonly timers?: Timers;
  readonly limits?: Partial<Limits>;
}

export type { MemoryDisk };
export { memoryDisk };

/** The moment where nobody asks for another. */
const STILL: Stamp = { received: 1, clock: "synced", boot: "memory", uptime: 1 };

export class MemoryBuffer extends GroupCommitBuffer {
  readonly storage: MemoryStorage;

  constructor(options: MemoryBufferOptions, disk: MemoryDisk = memoryDisk()) {
    const { firstEpoch, capacityBytes, policy = "refuse", stamp = () => STILL, limits } = options;
    const size = options.diskBytes === undefined ? {} : { diskBytes: options.diskBytes };
    const storage = new MemoryStorage({ firstEpoch, stamp, ...size }, disk);
    super({
      storage,
      capacityBytes,
      policy,
      freeFloorBytes: options.freeFloorBytes ?? 0,
      commitWindowMs: options.commitWindowMs ?? 0,
      stamp,
      ...(options.timers ? { timers: options.timers } : {}),
      limits: { reopenDelayMs: 1, idleReleaseMs: 0, usageIntervalMs: 1_000_000, ...limits },
    });
    this.storage = storage;
  }
}
