/**
 * Keeps the gateway's own directory of objects within bounds: the oldest are deleted, day by day as their keys have it, so
 * that pictures never take the room that readings need. Objects that were never dated go first.
 */
import { readdir, rm, rmdir, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ObjectStoreError } from "./port.ts";

export interface OwnDirectoryLimits {
  readonly keepBytes: number;
  /** What the disk has to have left; 0 never looks. */
  readonly freeFloorBytes: number;
}

interface Kept {
  readonly path: string;
  readonly bytes: number;
}

/** Files that are looked up in one go; a list of them all would be as long as the disk is large. */
const LIST = 1000;

export class Housekeeping {
  readonly #directory: string;
  readonly #limits: OwnDirectoryLimits;
  /** Of all objects; undefined before they were counted. */
  #bytes: number | undefined;
  #oldest: Kept[] = [];

  constructor(directory: string, limits: OwnDirectoryLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /**
   * Deletes what has to go so that so much can come.
   * @throws ObjectStoreError where it would not help that all of them went
   */
  async makeRoom(bytes: number): Promise<void> {
    this.#bytes ??= await this.#count();
    for (let lack = await this.#lack(bytes); lack > 0; lack = await this.#lack(bytes)) {
      if (this.#oldest.length === 0) this.#oldest = await this.#list();
      const oldest = this.#oldest.shift();
      if (!oldest || lack > this.#bytes) {
        const text = `the disk of ${this.#directory} has too little left above buffer.free_floor_bytes`;
        throw new ObjectStoreError("full", text);
      }
      await rm(oldest.path, { force: true });
      this.#bytes -= oldest.bytes;
      // Only a day without objects can be removed.
      await rmdir(dirname(oldest.path)).catch(() => undefined);
    }
    this.#bytes += bytes;
  }

  /** Bytes that have to go; 0 or less where nothing has. */
  async #lack(bytes: number): Promise<number> {
    const { keepBytes, freeFloorBytes } = this.#limits;
    const held = this.#bytes ?? 0;
    const over = Math.min(held, held + bytes - keepBytes);
    if (freeFloorBytes === 0) return over;
    const { bavail, bsize } = await statfs(this.#directory);
    return Math.max(over, freeFloorBytes + bytes - bavail * bsize);
  }

  async #count(): Promise<number> {
    let total = 0;
    for await (const { bytes } of this.#all()) total += bytes;
    return total;
  }

  async #list(): Promise<Kept[]> {
    const found: Kept[] = [];
    for await (const one of this.#all()) {
      found.push(one);
      if (found.length === LIST) break;
    }
    return found;
  }

  /** Oldest first: by day over all gateways, then by id. */
  async *#all(): AsyncIterable<Kept> {
    const days: { readonly day: string; readonly path: string }[] = [];
    for (const gateway of await readdir(this.#directory)) {
      const path = join(this.#directory, gateway);
      for (const day of await namesIn(path)) days.push({ day, path: join(path, day) });
    }
    const age = (day: string) => (/^\d/.test(day) ? day : "");
    days.sort((a, b) => (age(a.day) < age(b.day) ? -1 : 1));
    for (const { path } of days) {
      for (const name of (await namesIn(path)).sort()) {
        const file = join(path, name);
        const found = await stat(file).catch(() => undefined);
        if (found?.isFile()) yield { path: file, bytes: found.size };
      }
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    // A file among the folders is not ours.
    return [];
  }
}
