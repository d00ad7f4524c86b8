/**
 * State of one partition of a topology, over whatever store it lasts in. A batch of steps changes it in memory, so that
 * each step sees the ones before; the runtime writes the changes in its commit, or loads the state anew.
 *
 * get() reads the store directly where the bounded cache has nothing. The store cannot be iterated while a step waits, so
 * the keys below the prefixes that the topology lists are in memory, in order, from load() on.
 */
import { decodeCbor, encodeCbor } from "../events/codec.ts";
import { EventLogError, type StateChange, type StateView } from "./port.ts";
import { SortedKeys } from "./sorted-keys.ts";

/** One partition's part of an ordered store; values are CBOR. */
export interface StateStore {
  /** @throws where it cannot be read, or what is there is damaged */
  get(key: string): Uint8Array | undefined;
  /** Keys that begin with the prefix, in any order. */
  keys(prefix: string): AsyncIterable<readonly string[]>;
}

export type StateEntry = readonly [key: Buffer, value: Uint8Array];

/** A store that can be walked over as a whole. */
export interface OrderedState extends StateStore {
  /** Everything, in the order of the keys' bytes, some at a time. */
  entries(): AsyncIterable<readonly StateEntry[]>;
}

/** A changed key as a store takes it; null deletes. */
export interface EncodedChange {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A key's value as committed and as it is now; undefined where there is none. Each step asks for several: one look finds both. */
interface Entry {
  readonly key: string;
  was: unknown;
  now: unknown;
  changed: boolean;
}

export class PartitionState implements StateView {
  readonly #listed: ReadonlyMap<string, SortedKeys>;
  #cacheEntries: number;
  #store: StateStore | undefined;
  /** What is not committed yet, whether or not it is in one of the others. */
  #changed = new Map<string, Entry>();
  /** Two generations of what was looked at, known absence too; the elder is dropped as a whole. */
  #young = new Map<string, Entry>();
  #old = new Map<string, Entry>();
  /** A read of the store failed inside of a step: the store's fault, not the step's. */
  readError: EventLogError | undefined;

  /**
   * @param listed prefixes that entries() is asked for
   * @param cacheEntries values kept decoded, about
   */
  constructor(listed: readonly string[], cacheEntries: number) {
    this.#listed = new Map(listed.map((prefix) => [prefix, new SortedKeys([])]));
    this.#cacheEntries = cacheEntries;
  }

  /** Values kept decoded from now on, about. */
  cacheUpTo(entries: number): void {
    this.#cacheEntries = entries;
  }

  /** The store to read from, for as long as the caller holds it open. */
  use(store: StateStore | undefined): void {
    this.#store = store;
  }

  /** As the store has it: forgets everything else, what is not committed too, and learns the keys that are listed. */
  async load(): Promise<void> {
    this.#changed = new Map();
    this.#young = new Map();
    this.#old = new Map();
    this.readError = undefined;
    for (const [prefix, keys] of this.#listed) {
      keys.clear();
      for await (const some of this.#store?.keys(prefix) ?? [])
        for (const key of some) keys.add(key);
    }
  }

  get(key: string): unknown {
    return this.#entry(key).now;
  }

  /** As it was at the last commit. */
  before(key: string): unknown {
    return this.#entry(key).was;
  }

  *entries(prefix: string): Generator<readonly [key: string, value: unknown]> {
    for (const [listed, keys] of this.#listed) {
      if (!prefix.startsWith(listed)) continue;
      for (const key of [...keys.startingWith(prefix)]) yield [key, this.get(key)];
      return;
    }
    throw new Error(`entries of "${prefix}", which the topology does not list`);
  }

  /** Undefined deletes. */
  change(key: string, value: unknown): void {
    const entry = this.#entry(key);
    entry.now = value;
    if (!entry.changed) {
      entry.changed = true;
      this.#changed.set(key, entry);
    }
    if (this.#listed.size > 0) this.#list(key, value !== undefined);
  }

  get changedKeys(): number {
    return this.#changed.size;
  }

  /** What has changed since the last commit. */
  changes(): Iterable<StateChange> {
    return this.#changed.values();
  }

  /** The same for a store. */
  encoded(): EncodedChange[] {
    return [...this.#changed.values()].map(({ key, now }) => ({
      key,
      value: now === undefined ? null : encodeCbor(now),
    }));
  }

  /** The changes are in the store. */
  committed(): void {
    for (const entry of this.#changed.values()) {
      entry.was = entry.now;
      entry.changed = false;
    }
    this.#changed = new Map();
  }

  #list(key: string, there: boolean): void {
    for (const [prefix, keys] of this.#listed) {
      if (!key.startsWith(prefix)) continue;
      if (there) keys.add(key);
      else keys.delete(key);
    }
  }

  #entry(key: string): Entry {
    const young = this.#young.get(key);
    if (young) return young;
    let entry = this.#old.get(key) ?? this.#changed.get(key);
    if (!entry) {
      const value = this.#fetch(key);
      entry = { key, was: value, now: value, changed: false };
    }
    if (this.#young.size >= this.#cacheEntries / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, entry);
    return entry;
  }

  #fetch(key: string): unknown {
    try {
      const value = this.#store?.get(key);
      return value === undefined ? undefined : decodeCbor(value);
    } catch (error) {
      this.readError = new EventLogError("storage", (error as Error).message, { cause: error });
      throw this.readError;
    }
  }
}
