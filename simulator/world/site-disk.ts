/**
 * The disk of the embedded log: an ordered map that outlives its processes. A batch is on it as a whole or not at all; one
 * that was on its way when the power went is there or not.
 *
 * The log's own code runs over it; only LevelDB is not itself. What that does is for tests of real processes.
 */
import type { Level } from "../../stream/embedded/database.ts";
import { pause } from "../../time/timers.ts";
import type { Chance } from "./chance.ts";
import { MemoryDatabase, type Operation, type Range } from "./memory-database.ts";
import type { RunRecord } from "./record.ts";
import type { TopicHistory } from "./topic-history.ts";
import type { Scope } from "./virtual-time.ts";

const SYNC_MS = { least: 1, most: 15 };

export class SiteDisk {
  readonly #data = new MemoryDatabase();
  /** What the process has written and not seen synced, in its order. */
  readonly #unsynced = new Set<() => void>();
  failsWrites = false;
  readonly #chance: Chance;
  readonly #record: RunRecord;
  readonly #history: TopicHistory;

  constructor(chance: Chance, record: RunRecord, history: TopicHistory) {
    this.#chance = chance;
    this.#record = record;
    this.#history = history;
  }

  /** As one process opens it. */
  async open(timers: Scope): Promise<Level> {
    await this.#sync(timers);
    const data = this.#data;
    const handle = {
      get: async (key: Buffer) => data.get(key),
      getSync: (key: Buffer) => data.get(key),
      getMany: async (keys: Buffer[]) => keys.map((key) => data.get(key)),
      put: async (key: Buffer, value: Buffer) =>
        await this.#write(timers, [{ type: "put", key, value }]),
      iterator: (range: Range) => data.scan(range, (key, value) => [key, value]),
      keys: (range: Range) => data.scan(range, (key) => key),
      batch: () => this.#batch(timers),
      compactRange: async () => {},
      close: async () => {},
    };
    return handle as unknown as Level;
  }

  /** The process is gone, the machine is not: what it had written is the kernel's, which brings it to the disk. */
  processGone(): void {
    for (const land of this.#unsynced) land();
    this.#unsynced.clear();
  }

  powerGone(): void {
    this.#unsynced.clear();
  }

  #batch(timers: Scope): object {
    const operations: Operation[] = [];
    const batch = {
      put(key: Buffer, value: Buffer) {
        operations.push({ type: "put", key, value });
        return batch;
      },
      del(key: Buffer) {
        operations.push({ type: "del", key });
        return batch;
      },
      write: async () => await this.#write(timers, operations),
    };
    return batch;
  }

  async #write(timers: Scope, operations: Operation[]): Promise<void> {
    const land = () => {
      const fails = this.failsWrites;
      if (!fails || this.#chance.happens(0.3)) {
        this.#data.apply(operations);
        this.#history.applied(operations);
      }
      return fails;
    };
    let fails: boolean;
    if (this.#chance.happens(0.5)) {
      fails = land();
      await this.#sync(timers);
    } else {
      this.#unsynced.add(land);
      await this.#sync(timers);
      this.#unsynced.delete(land);
      fails = land();
    }
    if (!fails) return;
    this.#record.strike("log write error");
    throw Object.assign(new Error("the disk refused a write"), { code: "LEVEL_IO_ERROR" });
  }

  async #sync(timers: Scope): Promise<void> {
    await pause(timers, this.#chance.between(SYNC_MS.least, SYNC_MS.most));
  }
}
