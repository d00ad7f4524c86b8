/**
 * The directory of a rebuild: the states beside the live ones. It is one rebuild's at a time, goes when that ends, and what a
 * killed one left there goes before the next begins or when the log is opened. It never takes the disk's last bytes,
 * which are a gateway's buffer's.
 */
import { existsSync } from "node:fs";
import { rm, statfs } from "node:fs/promises";
import { type LocalState, StoredStates } from "../local-state.ts";
import { EventLogError } from "../port.ts";

/** How often the room is looked at, ms. */
const LOOK_MS = 1000;

export class Scratch {
  readonly #directory: string;
  readonly #minFreeBytes: number;
  readonly #states: StoredStates;
  #looked = Number.NEGATIVE_INFINITY;

  private constructor(directory: string, minFreeBytes: number) {
    this.#directory = directory;
    this.#minFreeBytes = minFreeBytes;
    this.#states = new StoredStates(directory);
  }

  /** @throws EventLogError `in_use` where another rebuild has it, `storage` */
  static async open(directory: string, minFreeBytes: number): Promise<Scratch> {
    const scratch = new Scratch(directory, minFreeBytes);
    await scratch.#open();
    return scratch;
  }

  /** Removes what a killed rebuild left; leaves one that runs alone. */
  static async sweep(directory: string): Promise<void> {
    if (!existsSync(directory)) return;
    const left = new StoredStates(directory);
    try {
      await left.open();
    } catch {
      return;
    }
    await left.close();
    await rm(directory, { recursive: true, force: true });
  }

  of(name: "live" | "made", partition: number): LocalState {
    return this.#states.of(name, partition);
  }

  /** To be asked now and then while much is written. @throws EventLogError `storage` */
  async checkRoom(): Promise<void> {
    const now = performance.now();
    if (now - this.#looked < LOOK_MS) return;
    this.#looked = now;
    const { bavail, bsize } = await statfs(this.#directory);
    const free = bavail * bsize;
    if (free >= this.#minFreeBytes) return;
    throw new EventLogError(
      "storage",
      `the rebuild ends: only ${mib(free)} MiB are free on the disk of ${this.#directory}, and it leaves ${mib(this.#minFreeBytes)} to the others; nothing was changed that was not reported as switched. Make room, or name a --data-dir on another disk`,
    );
  }

  async remove(): Promise<void> {
    await this.#states.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #open(): Promise<void> {
    try {
      // What is there is a killed one's.
      await Scratch.sweep(this.#directory);
      await this.#states.open();
      await this.checkRoom();
    } catch (error) {
      const known = error instanceof EventLogError ? error : undefined;
      if (known?.code === "in_use") {
        throw new EventLogError(
          "in_use",
          `another rebuild is running: it has ${this.#directory}. Wait for its end`,
          { cause: error },
        );
      }
      await this.remove().catch(() => {});
      throw error;
    }
  }
}

const mib = (bytes: number) => Math.round(bytes / 1024 ** 2);
