/**
 * A gateway's disk: what was synced outlives the power, what was on its way when it went may be there or not. Writes fail,
 * the disk is full, syncs take their time, and what it holds decays (decay.ts).
 *
 * Over gateway/buffer's own memory storage, which knows how a write can fail and what a start does about damage; here is when.
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
  /** What a process has written and not seen synced, in its order. */
  readonly #unsynced = new Set<() => void>();
  /** Openings that found something wrong: when, ms from the beginning of the run. */
  readonly findings: number[] = [];
  /** Openings that came to their end. */
  opened = 0;

  /** @param land what the write does once it is on the disk */
  async syncing(land: () => void, sync: () => Promise<void>): Promise<void> {
    this.#unsynced.add(land);
    await sync();
    this.#unsynced.delete(land);
  }

  /** The process is gone, the machine is not: what it had written is the kernel's, which brings it to the disk. */
  processGone(): void {
    for (const land of this.#unsynced) land();
    this.#unsynced.clear();
  }

  powerGone(): void {
    this.#unsynced.clear();
  }
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
    const { disk, record, timers } = this.#user;
    await this.#sync();
    if (disk.isFull) {
      record.strike("disk full");
      throw new BufferError("unavailable", "the disk is full");
    }
    const opened = await super.open();
    disk.opened += 1;
    if (opened.damage) disk.findings.push(timers.now());
    return opened;
  }

  protected override async between(): Promise<void> {
    if (this.#user.disk.buffer.born) await this.#sync();
  }

  override async write(change: Change): Promise<void> {
    const { disk, chance, record } = this.#user;
    const land = async () => {
      if (disk.isFull) {
        record.strike("disk full");
        this.failures.push("lost");
      } else if (disk.failsWrites && chance.happens(0.4)) {
        record.strike("buffer write error");
        this.failures.push(chance.of(["lost", "kept", "torn"]));
      }
      await super.write(change);
    };
    if (chance.happens(0.5)) {
      await land();
      // It is on the disk, and nobody knows yet.
      await this.#sync();
    } else {
      await disk.syncing(
        () => void land().catch(() => undefined),
        () => this.#sync(),
      );
      await land();
    }
  }

  override async confirm(accepted: number, released: number): Promise<void> {
    const { disk, chance, record } = this.#user;
    const land = async () => {
      if (disk.failsWrites && chance.happens(0.5)) {
        record.strike("mark write error");
        this.failMarks = 1;
      }
      await super.confirm(accepted, released);
    };
    if (chance.happens(0.5)) {
      await land();
      await this.#sync();
    } else {
      await disk.syncing(
        () => void land().catch(() => undefined),
        () => this.#sync(),
      );
      await land();
    }
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
