/**
 * State of one partition of a topology. It stands in the log's own LevelDB under the topology's name and changes in
 * the same batch as outputs and position; the changelog topic holds no copies here, because there is no other machine
 * that would have to restore it.
 *
 * get() reads the database directly when the bounded cache has nothing. The database cannot be iterated
 * synchronously, so entries() goes by the keys in memory: the first call of it asks for them (keysWanted), the
 * runtime loads them and runs the step again, which it may because a step is pure. A topology that never calls
 * entries() holds no keys.
 */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { EventLogError, type StateChange, type StateView } from "../port.ts";
import type { Level } from "./database.ts";
import { after, statePrefix } from "./keys.ts";
import { seal, unseal } from "./seal.ts";
import { SortedKeys } from "./sorted-keys.ts";

/** Thrown by entries() while the keys are not in memory; never reaches anybody but the runtime. */
const KEYS_WANTED = new Error("the state's keys are not loaded yet");

/** Keys read at once while loading. */
const KEYS_PER_READ = 1000;

export class PartitionState implements StateView {
  readonly #prefix: Buffer;
  readonly #cacheEntries: number;
  #level: Level | undefined;
  /** Changes that are not committed yet; undefined deletes. */
  #changed = new Map<string, unknown>();
  /** Two generations of values as committed, undefined for known absence; the elder is dropped as a whole. */
  #young = new Map<string, unknown>();
  #old = new Map<string, unknown>();
  #keys: SortedKeys | undefined;
  /** entries() was called without keys. */
  keysWanted = false;
  /** A read of the database failed inside of a step: the store's fault, not the step's. */
  readError: EventLogError | undefined;

  constructor(topology: string, partition: number, cacheEntries: number) {
    this.#prefix = statePrefix(topology, partition);
    this.#cacheEntries = cacheEntries;
  }

  /** The database to read from, for as long as the caller holds it open. */
  use(level: Level | undefined): void {
    this.#level = level;
  }

  get(key: string): unknown {
    if (this.#changed.has(key)) return this.#changed.get(key);
    if (this.#young.has(key)) return this.#young.get(key);
    const value = this.#old.has(key) ? this.#old.get(key) : this.#fetch(key);
    this.#remember(key, value);
    return value;
  }

  /** As it is on disk. */
  before(key: string): unknown {
    if (this.#young.has(key)) return this.#young.get(key);
    if (this.#old.has(key)) return this.#old.get(key);
    return this.#fetch(key);
  }

  *changed(): Iterable<StateChange> {
    for (const [key, now] of this.#changed) yield { key, was: this.before(key), now };
  }

  entries(prefix: string): Iterable<readonly [key: string, value: unknown]> {
    if (!this.#keys) {
      this.keysWanted = true;
      throw KEYS_WANTED;
    }
    return this.#entries(this.#keys, prefix);
  }

  *#entries(keys: SortedKeys, prefix: string): Iterable<readonly [string, unknown]> {
    for (const key of keys.startingWith(prefix)) yield [key, this.get(key)];
  }

  async loadKeys(level: Level): Promise<void> {
    const keys: string[] = [];
    const iterator = level.keys({ gte: this.#prefix, lt: after(this.#prefix) });
    try {
      for (;;) {
        const some = await iterator.nextv(KEYS_PER_READ);
        if (some.length === 0) break;
        for (const key of some) keys.push(key.toString("utf8", this.#prefix.length));
      }
    } finally {
      await iterator.close();
    }
    const all = new SortedKeys(keys);
    for (const [key, value] of this.#changed) {
      if (value === undefined) all.delete(key);
      else all.add(key);
    }
    this.#keys = all;
    this.keysWanted = false;
  }

  change(key: string, value: unknown): void {
    this.#changed.set(key, value);
    if (value === undefined) this.#keys?.delete(key);
    else this.#keys?.add(key);
  }

  /** The changes as the database takes them. */
  changes(): { puts: (readonly [Buffer, Buffer])[]; deletes: Buffer[] } {
    const puts: (readonly [Buffer, Buffer])[] = [];
    const deletes: Buffer[] = [];
    for (const [key, value] of this.#changed) {
      const at = this.#keyOf(key);
      if (value === undefined) deletes.push(at);
      else puts.push([at, seal(at, encodeCbor(value))]);
    }
    return { puts, deletes };
  }

  /** The changes are on disk. */
  committed(): void {
    for (const [key, value] of this.#changed) this.#remember(key, value);
    this.#changed = new Map();
  }

  /** Back to what is on disk, which is to be read anew: what a failed write left is unknown. */
  discard(): void {
    this.#changed = new Map();
    this.#young = new Map();
    this.#old = new Map();
    this.#keys = undefined;
    this.keysWanted = false;
    this.readError = undefined;
  }

  #keyOf(key: string): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(key)]);
  }

  #remember(key: string, value: unknown): void {
    if (this.#young.size >= this.#cacheEntries / 2 && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  #fetch(key: string): unknown {
    const at = this.#keyOf(key);
    try {
      const value = this.#level?.getSync(at);
      if (value === undefined) return undefined;
      const payload = unseal(at, value);
      if (!payload) throw new Error(`state ${key} is damaged on disk`);
      return decodeCbor(payload);
    } catch (error) {
      this.readError = new EventLogError("storage", (error as Error).message, { cause: error });
      throw this.readError;
    }
  }
}
