/** Payloads on a disk in virtual time: a write takes its time, fails, or is cut off; what was removed may come back. */
import type { LargePayload } from "../../events/schema.ts";
import { MemoryFiles } from "../../gateway/payloads/memory-files.ts";
import { MemoryStore } from "../../gateway/payloads/memory-store.ts";
import { ObjectStoreError, type StoreObject } from "../../gateway/payloads/port.ts";
import type { GatewayDisk } from "../../simulator/world/buffer-disk.ts";
import type { Chance } from "../../simulator/world/chance.ts";
import type { Scope } from "../../simulator/world/virtual-time.ts";
import { pause } from "../../time/timers.ts";

/** What outlives the gateway's process. */
export class PayloadDisk {
  readonly files = new Map<string, Buffer>();
  /** Removed, and not surely so before the machine has had a while. */
  readonly removed = new Map<string, Buffer>();

  powerGone(chance: Chance): void {
    for (const [id, file] of this.removed) if (chance.happens(0.5)) this.files.set(id, file);
    this.removed.clear();
  }
}

export class SimulatedFiles extends MemoryFiles {
  readonly #disk: PayloadDisk;
  readonly #machine: GatewayDisk;
  readonly #timers: Scope;
  readonly #chance: Chance;

  constructor(disk: PayloadDisk, machine: GatewayDisk, timers: Scope, chance: Chance) {
    super(disk.files);
    this.#disk = disk;
    this.#machine = machine;
    this.#timers = timers;
    this.#chance = chance;
  }

  override async write(
    id: string,
    payload: Uint8Array,
    describe: (sha256: string) => LargePayload,
    wanted: () => boolean,
  ): Promise<LargePayload | undefined> {
    const sync = () => pause(this.#timers, this.#chance.between(1, 40));
    // The bytes, under a name that nobody looks for: cut off here, nothing is there.
    await sync();
    if (this.#machine.isFull) throw new Error("ENOSPC: no space left on device");
    if (this.#machine.failsWrites && this.#chance.happens(0.5)) throw new Error("EIO: i/o error");
    if (!wanted()) return undefined;
    // The rename: from here on it is there, or is not, until the directory is synced.
    if (this.#chance.happens(0.5)) await sync();
    const event = await super.write(id, payload, describe, wanted);
    await sync();
    return event;
  }

  override async remove(id: string): Promise<void> {
    const file = this.disk.get(id);
    if (file) this.#disk.removed.set(id, file);
    await super.remove(id);
    this.#timers.setTimeout(() => this.#disk.removed.delete(id), 5000);
  }

  override async freeBytes(): Promise<number> {
    return this.#machine.isFull ? 0 : 1e12;
  }
}

/** A store on another machine: it answers late, not at all, or loses its answer. */
export class SimulatedStore extends MemoryStore {
  readonly #timers: Scope;
  readonly #chance: Chance;
  readonly #isAway: () => boolean;

  constructor(objects: Map<string, Buffer>, timers: Scope, chance: Chance, isAway: () => boolean) {
    super(objects);
    this.#timers = timers;
    this.#chance = chance;
    this.#isAway = isAway;
  }

  override async put(object: StoreObject, signal: AbortSignal): Promise<void> {
    await this.#travel(signal);
    await super.put(object, signal);
    await this.#travel(signal);
  }

  override async get(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    await this.#travel(signal);
    return await super.get(key, signal);
  }

  async #travel(signal: AbortSignal): Promise<void> {
    await pause(this.#timers, this.#chance.between(5, 400), signal);
    if (this.#isAway() || this.#chance.happens(0.02)) {
      throw new ObjectStoreError("unreachable", "the object store cannot be reached");
    }
  }
}
