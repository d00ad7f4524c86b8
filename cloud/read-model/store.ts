/**
 * What the read model needs of a store: text keys in order, bytes as values, batches that are written whole or not at
 * all. LevelDB keeps it on disk, memory-store.ts in memory for tests and short lives.
 */

/** `[gte, lt)` in the order of UTF-8 bytes, which for the keys used here is the order of the text. */
export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

export interface ScanOptions extends KeyRange {
  readonly reverse?: boolean;
  /** Most entries; all without it. */
  readonly limit?: number;
}

export type Entry = readonly [key: string, value: Uint8Array];

/** An undefined value deletes. */
export type StoreChanges = ReadonlyMap<string, Uint8Array | undefined>;

export interface OrderedStore {
  /** Idempotent. @throws ReadModelError `in_use`, `storage` */
  open(): Promise<void>;
  close(): Promise<void>;
  /** Throws away everything. The store is open afterwards. */
  reset(): Promise<void>;
  /** Values in the order of the keys. @throws ReadModelError `closed`, `storage` */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Entries in order, some at a time. */
  scan(options: ScanOptions): AsyncIterable<readonly Entry[]>;
  /** Whole or not at all. */
  write(changes: StoreChanges): Promise<void>;
  clear(range: KeyRange): Promise<void>;
}

/** All keys that begin with the prefix. */
export function startingWith(prefix: string): KeyRange {
  return { gte: prefix, lt: `${prefix}\u{10FFFF}` };
}
