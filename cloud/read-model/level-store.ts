/**
 * The ordered store on LevelDB.
 *
 * It holds a view that can be filled again from the topics. So a write is not fsynced (after a power cut the store is a
 * little behind, positions and data alike, and reads on from there), and a store that cannot be opened because it is
 * damaged is thrown away. One that another process has open, or that must not be touched, is an error.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { ReadModelError } from "./errors.ts";
import type { Entry, KeyRange, OrderedStore, ScanOptions, StoreChanges } from "./store.ts";

/** Memtable, bytes: larger ones mean fewer tables to merge on a card. Two of them may be held. */
const WRITE_BUFFER_BYTES = 8 * 1024 ** 2;
const CACHE_BYTES = 16 * 1024 ** 2;
/** Entries fetched at once: the native call blocks nobody for long, and the answer is small. */
const ENTRIES_PER_READ = 1000;

type Level = ClassicLevel<string, Uint8Array>;

export interface LevelStoreOptions {
  /** Of this read model alone; made where it does not exist. */
  readonly directory: string;
  readonly onDiscarded?: (reason: string) => void;
}

export class LevelStore implements OrderedStore {
  readonly #options: LevelStoreOptions;
  /** A directory of its own, so that throwing the store away touches nothing else. */
  readonly #location: string;
  #level: Level | undefined;

  constructor(options: LevelStoreOptions) {
    this.#options = options;
    this.#location = join(options.directory, "db");
  }

  async open(): Promise<void> {
    if (this.#level) return;
    try {
      await mkdir(this.#options.directory, { recursive: true });
      this.#level = await this.#openLevel();
    } catch (error) {
      if (!isDamage(error)) throw this.#told("open", error);
      this.#options.onDiscarded?.(reasonOf(error));
      await this.#remove();
      this.#level = await this.#openLevel().catch((again: unknown) => {
        throw this.#told("open", again);
      });
    }
  }

  async close(): Promise<void> {
    const level = this.#level;
    this.#level = undefined;
    await level?.close();
  }

  async reset(): Promise<void> {
    await this.close();
    await this.#remove();
    await this.open();
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#do("read", (level) => level.getMany([...keys]));
  }

  async *scan({
    gte,
    lt,
    reverse = false,
    limit = -1,
  }: ScanOptions): AsyncIterable<readonly Entry[]> {
    const iterator = this.#opened().iterator({ gte, lt, reverse, limit });
    try {
      for (;;) {
        const entries = await iterator.nextv(ENTRIES_PER_READ);
        if (entries.length === 0) return;
        yield entries;
      }
    } catch (error) {
      throw this.#told("read", error);
    } finally {
      await iterator.close();
    }
  }

  async write(changes: StoreChanges): Promise<void> {
    await this.#do("write", async (level) => {
      // Chained: an array batch costs about 7 µs more for each entry.
      const batch = level.batch();
      for (const [key, value] of changes) {
        if (value === undefined) batch.del(key);
        else batch.put(key, value);
      }
      await batch.write({ sync: false });
    });
  }

  async clear(range: KeyRange): Promise<void> {
    await this.#do("write", (level) => level.clear(range));
  }

  async #openLevel(): Promise<Level> {
    const level: Level = new ClassicLevel(this.#location, {
      keyEncoding: "utf8",
      valueEncoding: "view",
      createIfMissing: true,
      writeBufferSize: WRITE_BUFFER_BYTES,
      cacheSize: CACHE_BYTES,
    });
    await level.open();
    return level;
  }

  async #remove(): Promise<void> {
    await rm(this.#location, { recursive: true, force: true });
  }

  #opened(): Level {
    if (!this.#level) throw new ReadModelError("closed", "the read model is not open");
    return this.#level;
  }

  async #do<T>(doing: string, action: (level: Level) => Promise<T>): Promise<T> {
    const level = this.#opened();
    try {
      return await action(level);
    } catch (error) {
      throw this.#told(doing, error);
    }
  }

  #told(doing: string, error: unknown): ReadModelError {
    if (error instanceof ReadModelError) return error;
    const { directory } = this.#options;
    if (codeOf(error) === "LEVEL_LOCKED") {
      return new ReadModelError(
        "in_use",
        `the read model in ${directory} is open in another process; stop that one, or give this one another --data-dir`,
        { cause: error },
      );
    }
    const { code } = error as NodeJS.ErrnoException;
    const hint =
      code === "EACCES" || code === "EPERM" || code === "EROFS"
        ? "; make it writable for this user, or give another data directory"
        : "";
    return new ReadModelError(
      "storage",
      `cannot ${doing} the read model in ${directory}: ${reasonOf(error)}${hint}`,
      { cause: error },
    );
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { cause?: { code?: string } }).cause?.code;
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { message?: string }; message?: string };
  return cause?.message ?? message ?? String(error);
}

/** LevelDB says of a damaged store that it is corrupt, or that a file of it is missing. */
function isDamage(error: unknown): boolean {
  return codeOf(error) === "LEVEL_CORRUPTION" || /Corruption|missing files/.test(reasonOf(error));
}
