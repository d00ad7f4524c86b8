/** The ordered store in memory: for tests, and where nothing is to stay. */
import { ReadModelError } from "./errors.ts";
import type { Entry, KeyRange, OrderedStore, ScanOptions, StoreChanges } from "./store.ts";

export class MemoryStore implements OrderedStore {
  readonly #values = new Map<string, Uint8Array>();
  /** Sorted; undefined while keys were added since it was last asked for. */
  #keys: string[] | undefined;
  #open = false;

  async open(): Promise<void> {
    this.#open = true;
  }

  /** What was written is there again after open(), as on a disk. */
  async close(): Promise<void> {
    this.#open = false;
  }

  async reset(): Promise<void> {
    this.#values.clear();
    this.#keys = undefined;
    this.#open = true;
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.#check();
    return keys.map((key) => this.#values.get(key));
  }

  async *scan(options: ScanOptions): AsyncIterable<readonly Entry[]> {
    this.#check();
    const keys = this.#within(options);
    if (options.reverse) keys.reverse();
    yield keys
      .slice(0, options.limit)
      .map((key) => [key, this.#values.get(key) as Uint8Array] as const);
  }

  async write(changes: StoreChanges): Promise<void> {
    this.#check();
    for (const [key, value] of changes) {
      if (value !== undefined ? !this.#values.has(key) : this.#values.has(key))
        this.#keys = undefined;
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
    }
  }

  async clear(range: KeyRange): Promise<void> {
    this.#check();
    for (const key of this.#within(range)) this.#values.delete(key);
    this.#keys = undefined;
  }

  #within({ gte, lt }: KeyRange): string[] {
    this.#keys ??= [...this.#values.keys()].sort();
    return this.#keys.slice(lowerBound(this.#keys, gte), lowerBound(this.#keys, lt));
  }

  #check(): void {
    if (!this.#open) throw new ReadModelError("closed", "the read model is not open");
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
