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
  /** About what it takes, by how large the value was when it was last seen encoded. */
  bytes: number;
}

/** What an entry takes beside its value; and what a byte of CBOR comes to once it is decoded: mostly numbers, in arrays. */
const ENTRY_BYTES = 100;
const DECODED_BYTES = 4.5;
const bytesOf = (encoded: Uint8Array | null | undefined) =>
  ENTRY_BYTES + DECODED_BYTES * (encoded?.length ?? 0);

export class PartitionState implements StateView {
  readonly #listed: ReadonlyMap<string, SortedKeys>;
  #cacheBytes: number;
  #store: StateStore | undefined;
  /** What is not committed yet, whether or not it is in one of the others. */
  #changed = new Map<string, Entry>();
  /** Two generations of what was looked at, known absence too; the elder is dropped as a whole. */
  #young = new Map<string, Entry>();
  #youngBytes = 0;
  #old = new Map<string, Entry>();
  /** A read of the store failed inside of a step: the store's fault, not the step's. */
  readError: EventLogError | undefined;

  /**
   * @param listed prefixes that entries() is asked for
   * @param cacheBytes of values that are kept decoded, about
   */
  constructor(listed: readonly string[], cacheBytes: number) {
    this.#listed = new Map(listed.map((prefix) => [prefix, new SortedKeys([])]));
    this.#cacheBytes = cacheBytes;
  }

  /** From now on. */
  cacheUpTo(bytes: number): void {
    this.#cacheBytes = bytes;
  }

  /** The store to read from, for as long as the caller holds it open. */
  use(store: StateStore | undefined): void {
    this.#store = store;
  }

  /** As the store has it: forgets everything else, what is not committed too, and learns the keys that are listed. */
  async load(): Promise<void> {
    this.#changed = new Map();
    this.#young = new Map();
    this.#youngBytes = 0;
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

  /** One of them for a store. */
  encode({ key, now }: StateChange): EncodedChange {
    const value = now === undefined ? null : encodeCbor(now);
    const entry = this.#changed.get(key);
    if (entry) {
      const bytes = bytesOf(value);
      // It was looked at since the last commit, so that it stands among the young, or did until a moment ago.
      this.#youngBytes += bytes - entry.bytes;
      entry.bytes = bytes;
    }
    return { key, value };
  }

  /** All of them. */
  encoded(): EncodedChange[] {
    return [...this.#changed.values()].map((change) => this.encode(change));
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
    const entry = this.#old.get(key) ?? this.#changed.get(key) ?? this.#fetch(key);
    if (this.#youngBytes >= this.#cacheBytes / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, entry);
    this.#youngBytes += entry.bytes;
    return entry;
  }

  #fetch(key: string): Entry {
    try {
      const encoded = this.#store?.get(key);
      const value = encoded && decodeCbor(encoded);
      return { key, was: value, now: value, changed: false, bytes: bytesOf(encoded) };
    } catch (error) {
      this.readError = new EventLogError("storage", (error as Error).message, { cause: error });
      throw this.readError;
    }
  }
}
