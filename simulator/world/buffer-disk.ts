/**
 * A gateway's disk: what was synced outlives the power, what was on its way when it went may be there or not. Writes fail,
 * the disk is full, syncs take their time.
 *
 * Over gateway/buffer's own memory storage, which knows how a write can fail; here is when.
 */
import { type MemoryDisk, MemoryStorage, memoryDisk } from "../../gateway/buffer/memory-storage.ts";
import { BufferError } from "../../gateway/buffer/port.ts";
import type { Change, Opened, Usage } from "../../gateway/buffer/storage.ts";
import type { Known } from "../../gateway/clock.core.ts";
import type { KnownStore } from "../../gateway/clock-file.ts";
import { pause } from "../../time/timers.ts";
import type { Chance } from "./chance.ts";
import type { RunRecord } from "./record.ts";
import type { Scope } from "./virtual-time.ts";

/** What outlives the gateway's process. */
export class GatewayDisk {
  readonly buffer: MemoryDisk = memoryDisk();
  known: Known | undefined;
  failsWrites = false;
  isFull = false;
}

/** A sync, ms: between a good SSD and a bad card. */
const SYNC_MS = { least: 1, most: 25 };
const PLENTY_BYTES = 64 * 1024 ** 3;

export interface DiskUser {
  readonly disk: GatewayDisk;
  readonly timers: Scope;
  readonly chance: Chance;
  readonly record: RunRecord;
}

/** The disk as one process sees it. */
export class SimulatedStorage extends MemoryStorage {
  readonly #user: DiskUser;

  constructor(options: ConstructorParameters<typeof MemoryStorage>[0], user: DiskUser) {
    super(options, user.disk.buffer);
    this.#user = user;
  }

  override async open(): Promise<Opened> {
    const { disk, record } = this.#user;
    await this.#sync();
    if (disk.isFull) {
      record.strike("disk full");
      throw new BufferError("unavailable", "the disk is full");
    }
    return await super.open();
  }

  override async write(change: Change): Promise<void> {
    const { disk, chance, record } = this.#user;
    const early = chance.happens(0.5);
    if (!early) await this.#sync();
    if (disk.isFull) {
      record.strike("disk full");
      this.failures.push("lost");
    } else if (disk.failsWrites && chance.happens(0.4)) {
      record.strike("buffer write error");
      this.failures.push(chance.of(["lost", "kept", "torn"]));
    }
    await super.write(change);
    // It is on the disk, and nobody knows yet.
    if (early) await this.#sync();
  }

  override async confirm(accepted: number): Promise<void> {
    const early = this.#user.chance.happens(0.5);
    if (!early) await this.#sync();
    if (this.#user.disk.failsWrites && this.#user.chance.happens(0.5)) {
      this.#user.record.strike("mark write error");
      this.failMarks = 1;
    }
    await super.confirm(accepted);
    if (early) await this.#sync();
  }

  override async usage(): Promise<Usage> {
    const { diskBytes } = await super.usage();
    return { diskBytes, freeBytes: this.#user.disk.isFull ? 0 : PLENTY_BYTES };
  }

  async #sync(): Promise<void> {
    const { timers, chance } = this.#user;
    await pause(timers, chance.between(SYNC_MS.least, SYNC_MS.most));
  }
}

/** What the gateway knows of time, on the same disk. */
export function knownOn({ disk, timers, chance }: DiskUser): KnownStore {
  return {
    name: "clock.json",
    read: () => disk.known,
    write: async (known) => {
      await pause(timers, chance.between(SYNC_MS.least, SYNC_MS.most));
      if (disk.isFull || disk.failsWrites) throw new Error("the disk refused a write");
      disk.known = known;
    },
  };
}
