/**
 * A processor's copy of its state on this machine, so that it need not be in memory and a restart reads only the tail of
 * the changelog. The changelog in Kafka is the truth: what stands here was committed there before.
 *
 * Each write holds the changes of a commit and a checkpoint: which record of the changelog they go up to, and what that
 * record holds. Writes are not fsynced. After a power cut the copy is a little behind, changes and checkpoint alike, and
 * goes on from there. A checkpoint is only believed if the changelog still has that very record: a topic that was made
 * anew, or a copy of other times, is found out, and the state is read from the start.
 *
 * Keys: changelog `/` partition `/c` → checkpoint as CBOR; changelog `/` partition `/s` key → value. All sealed (seal.ts),
 * because LevelDB gives back damaged values without an error.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { ClassicLevel } from "classic-level";
import { decodeCbor, encodeCbor } from "../events/codec.ts";
import type { EncodedChange, OrderedState, StateEntry } from "./partition-state.ts";
import { EventLogError } from "./port.ts";
import { seal, unseal } from "./seal.ts";

/** How far the copy goes. */
export interface Checkpoint {
  /** Offset in the changelog of the last record applied, which says where the inputs are. */
  readonly offset: number;
  /** Its value. */
  readonly positions: Uint8Array;
  /** When it was written, ms since 1970. */
  readonly at: number;
}

/** The copy of one partition of one topology. */
export interface LocalState extends OrderedState {
  checkpoint(): Promise<Checkpoint | undefined>;
  /** Changes that are gathered until they may be written. */
  begin(): StateWrite;
  clear(): Promise<void>;
}

/** Ends with write() or discard(). */
export interface StateWrite {
  /** Null deletes. */
  set(key: string, value: Uint8Array | null): void;
  /** All at once. Without a checkpoint the one before stays, which what is written must not contradict. */
  write(checkpoint?: Checkpoint): Promise<void>;
  discard(): Promise<void>;
}

/** Some changes by themselves. */
export async function writeChanges(
  state: LocalState,
  changes: readonly EncodedChange[],
): Promise<void> {
  const write = state.begin();
  for (const { key, value } of changes) write.set(key, value);
  await write.write();
}

export interface LocalStates {
  /** Idempotent. @throws EventLogError `in_use`, `storage` */
  open(): Promise<void>;
  close(): Promise<void>;
  of(changelog: string, partition: number): LocalState;
}

/** Copies that end with the process. */
export class MemoryStates implements LocalStates {
  readonly #states = new Map<string, MemoryState>();

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  of(changelog: string, partition: number): LocalState {
    const name = `${changelog}/${partition}`;
    const state = this.#states.get(name) ?? new MemoryState();
    this.#states.set(name, state);
    return state;
  }
}

class MemoryState implements LocalState {
  readonly #values = new Map<string, Uint8Array>();
  #checkpoint: Checkpoint | undefined;

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  async *keys(prefix: string): AsyncGenerator<readonly string[]> {
    yield [...this.#values.keys()].filter((key) => key.startsWith(prefix));
  }

  async *entries(): AsyncGenerator<readonly StateEntry[]> {
    const all = [...this.#values].map(([key, value]) => [Buffer.from(key), value] as const);
    yield all.sort(([a], [b]) => Buffer.compare(a, b));
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    return this.#checkpoint;
  }

  begin(): StateWrite {
    const changes = new Map<string, Uint8Array | null>();
    return {
      set: (key, value) => changes.set(key, value),
      write: async (checkpoint) => {
        for (const [key, value] of changes) {
          if (value === null) this.#values.delete(key);
          else this.#values.set(key, value);
        }
        this.#checkpoint = checkpoint ?? this.#checkpoint;
      },
      discard: async () => changes.clear(),
    };
  }

  async clear(): Promise<void> {
    this.#values.clear();
    this.#checkpoint = undefined;
  }
}

type Level = ClassicLevel<Buffer, Buffer>;

/** Memtable, bytes: larger ones mean fewer, larger tables to merge. Two of them may be held. */
const WRITE_BUFFER_BYTES = 16 * 1024 ** 2;
/** Cache of uncompressed blocks, bytes. */
const CACHE_BYTES = 8 * 1024 ** 2;
/** Keys read at once while listing. */
const KEYS_PER_READ = 1000;
/** Entries read at once while walking over all: a pack of windows is some KB. */
const ENTRIES_PER_READ = 200;

/** Copies on disk, of all topologies of a program in one LevelDB. */
export class StoredStates implements LocalStates {
  readonly #directory: string;
  #level: Level | undefined;
  #opening: Promise<void> | undefined;

  /** @param directory of its own; made where it does not exist, emptied where LevelDB cannot make sense of it */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(): Promise<void> {
    if (this.#level) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async #open(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true });
      // LevelDB takes a store without CURRENT for a new one, and keeps of the old what stands in its log.
      const names = await readdir(this.#directory);
      if (names.length > 0 && !names.includes("CURRENT")) await this.#remove();
      this.#level = await this.#openLevel();
    } catch (error) {
      const { cause = error } = error as { cause?: NodeJS.ErrnoException };
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === "LEVEL_LOCKED") {
        throw new EventLogError(
          "in_use",
          `another process has the processors' state in ${this.#directory} open; stop that one, or give this one another --data-dir`,
          { cause: error },
        );
      }
      if (!damaged(cause as Error)) throw this.#fault("opened", cause);
      await this.#remove();
      this.#level = await this.#openLevel().catch((again: unknown) => {
        throw this.#fault("opened", again);
      });
    }
  }

  async close(): Promise<void> {
    const level = this.#level;
    this.#level = undefined;
    await level?.close();
  }

  of(changelog: string, partition: number): LocalState {
    const name = `${changelog}/${partition}/`;
    const checkpointKey = Buffer.from(`${name}c`);
    const prefix = `${name}s`;
    const keyOf = (key: string) => Buffer.from(prefix + key);
    const read = (at: Buffer, what: string) => {
      const value = this.#opened().getSync(at);
      if (value === undefined) return undefined;
      const payload = unseal(at, value);
      if (!payload) throw new Error(`${what} of ${changelog}/${partition} is damaged on disk`);
      return payload;
    };
    return {
      get: (key) => read(keyOf(key), `state ${key}`),
      keys: (below) => this.#keys(keyOf(below), prefix.length),
      entries: () => this.#entries(Buffer.from(prefix), `state of ${changelog}/${partition}`),
      checkpoint: async () => {
        try {
          const value = read(checkpointKey, "the checkpoint");
          return value && (decodeCbor(value) as Checkpoint);
        } catch (error) {
          throw this.#fault("read", error);
        }
      },
      begin: () => {
        // Its memory is LevelDB's own: what is held for a commit is no work for the collector.
        const batch = this.#opened().batch();
        return {
          set: (key, value) => {
            const at = keyOf(key);
            if (value === null) batch.del(at);
            else batch.put(at, seal(at, value));
          },
          write: async (checkpoint) => {
            if (checkpoint) batch.put(checkpointKey, seal(checkpointKey, encodeCbor(checkpoint)));
            await batch.write().catch((error: unknown) => {
              throw this.#fault("written", error);
            });
          },
          discard: async () => await batch.close(),
        };
      },
      clear: async () => {
        // The checkpoint first: without one, what is left says nothing.
        const level = this.#opened();
        try {
          await level.del(checkpointKey);
          await level.clear({ gte: Buffer.from(prefix), lt: Buffer.from(`${name}t`) });
        } catch (error) {
          throw this.#fault("cleared", error);
        }
      },
    };
  }

  async #remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true });
  }

  async #openLevel(): Promise<Level> {
    const level: Level = new ClassicLevel(this.#directory, {
      keyEncoding: "buffer",
      valueEncoding: "buffer",
      writeBufferSize: WRITE_BUFFER_BYTES,
      cacheSize: CACHE_BYTES,
    });
    await level.open();
    return level;
  }

  async *#keys(from: Buffer, prefixLength: number): AsyncGenerator<readonly string[]> {
    const until = Buffer.concat([from, Buffer.alloc(8, 0xff)]);
    const iterator = this.#opened().keys({ gte: from, lt: until });
    try {
      for (;;) {
        const some = await iterator.nextv(KEYS_PER_READ);
        if (some.length === 0) return;
        yield some.map((key) => key.toString("utf8", prefixLength));
      }
    } finally {
      await iterator.close();
    }
  }

  async *#entries(prefix: Buffer, what: string): AsyncGenerator<readonly StateEntry[]> {
    const lt = Buffer.concat([prefix, Buffer.alloc(8, 0xff)]);
    const iterator = this.#opened().iterator({ gte: prefix, lt });
    try {
      for (;;) {
        const some = await iterator.nextv(ENTRIES_PER_READ);
        if (some.length === 0) return;
        yield some.map(([key, value]) => {
          const payload = unseal(key, value);
          if (!payload) throw new Error(`${what} is damaged on disk`);
          return [key.subarray(prefix.length), payload] as const;
        });
      }
    } finally {
      await iterator.close();
    }
  }

  #opened(): Level {
    if (!this.#level) throw new EventLogError("closed", "the processors' state is not open");
    return this.#level;
  }

  #fault(done: string, error: unknown): EventLogError {
    const message = `the processors' state in ${this.#directory} cannot be ${done}: ${(error as Error).message}`;
    return new EventLogError("storage", message, { cause: error });
  }
}

/** Whether LevelDB complains of what is on the disk and not of the disk. */
function damaged(error: Error & { code?: string }): boolean {
  return (
    error.code === "LEVEL_CORRUPTION" ||
    /corrupt|missing files|checksum|no such file/i.test(error.message)
  );
}
