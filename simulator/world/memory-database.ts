/**
 * An ordered map of bytes that answers as LevelDB's binding does, as far as the embedded log asks. A log of a day has a few
 * million entries and is written entry by entry: memory-level, whose tree copies a path for every one of them, took eight times
 * as long and several times the memory.
 *
 * Keys are strings of one character a byte, which compare as their bytes do.
 */
import { SortedKeys } from "../../stream/sorted-keys.ts";

export interface Range {
  readonly gte: Buffer;
  readonly lt: Buffer;
  readonly limit?: number;
}

export type Operation =
  | { readonly type: "put"; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: "del"; readonly key: Buffer };

export class MemoryDatabase {
  readonly #keys = new SortedKeys([]);
  readonly #values = new Map<string, Buffer>();

  get(key: Buffer): Buffer | undefined {
    return this.#values.get(key.toString("latin1"));
  }

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const key = operation.key.toString("latin1");
      if (operation.type === "del") {
        if (this.#values.delete(key)) this.#keys.delete(key);
      } else {
        if (!this.#values.has(key)) this.#keys.add(key);
        this.#values.set(key, operation.value);
      }
    }
  }

  /** Goes on behind the last key that it gave, whatever came and went meanwhile. */
  scan<T>(
    { gte, lt, limit = Number.POSITIVE_INFINITY }: Range,
    make: (key: Buffer, value: Buffer) => T,
  ): Scan<T> {
    const end = lt.toString("latin1");
    let from = gte.toString("latin1");
    let left = limit;
    const nextv = async (count: number): Promise<T[]> => {
      const found: T[] = [];
      for (const key of this.#keys.from(from)) {
        if (key >= end || found.length >= count || left <= 0) break;
        left -= 1;
        found.push(make(Buffer.from(key, "latin1"), this.#values.get(key) as Buffer));
        // The least key above it.
        from = `${key}\u0000`;
      }
      return found;
    };
    const next = async () => (await nextv(1))[0];
    return { next, nextv, all: () => nextv(Number.POSITIVE_INFINITY), close: async () => {} };
  }
}

export interface Scan<T> {
  /** Undefined behind the last. */
  next(): Promise<T | undefined>;
  nextv(count: number): Promise<T[]>;
  all(): Promise<T[]>;
  close(): Promise<void>;
}
