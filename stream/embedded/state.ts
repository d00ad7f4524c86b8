/**
 * State of one partition of a topology in the log's own LevelDB, under the topology's name. It changes in the same batch
 * as outputs and position; the changelog topic holds no copies here, because there is no other machine that would have
 * to restore it.
 */
import type { EncodedChange, OrderedState, StateEntry } from "../partition-state.ts";
import { seal, unseal } from "../seal.ts";
import type { Level } from "./database.ts";
import { after, statePrefix } from "./keys.ts";

/** Keys read at once while loading. */
const KEYS_PER_READ = 1000;
/** Entries read at once while walking over all: a pack of windows is some KB. */
const ENTRIES_PER_READ = 200;

export class LevelState implements OrderedState {
  readonly #level: Level;
  readonly #prefix: Buffer;

  constructor(level: Level, topology: string, partition: number) {
    this.#level = level;
    this.#prefix = statePrefix(topology, partition);
  }

  get(key: string): Uint8Array | undefined {
    const at = keyOf(this.#prefix, key);
    const value = this.#level.getSync(at);
    if (value === undefined) return undefined;
    const payload = unseal(at, value);
    if (!payload) throw new Error(`state ${key} is damaged on disk`);
    return payload;
  }

  async *keys(prefix: string): AsyncGenerator<readonly string[]> {
    const from = keyOf(this.#prefix, prefix);
    const iterator = this.#level.keys({ gte: from, lt: after(from) });
    try {
      for (;;) {
        const some = await iterator.nextv(KEYS_PER_READ);
        if (some.length === 0) break;
        yield some.map((key) => key.toString("utf8", this.#prefix.length));
      }
    } finally {
      await iterator.close();
    }
  }

  async *entries(): AsyncGenerator<readonly StateEntry[]> {
    const prefix = this.#prefix;
    const iterator = this.#level.iterator({ gte: prefix, lt: after(prefix) });
    try {
      for (;;) {
        const some = await iterator.nextv(ENTRIES_PER_READ);
        if (some.length === 0) break;
        yield some.map(([key, value]) => {
          const name = key.subarray(prefix.length);
          const payload = unseal(key, value);
          if (!payload) throw new Error(`state ${name.toString()} is damaged on disk`);
          return [name, payload] as const;
        });
      }
    } finally {
      await iterator.close();
    }
  }
}

/** The changes as the database takes them. */
export function sealed(
  topology: string,
  partition: number,
  changes: readonly EncodedChange[],
): { puts: (readonly [Buffer, Buffer])[]; deletes: Buffer[] } {
  const prefix = statePrefix(topology, partition);
  const puts: (readonly [Buffer, Buffer])[] = [];
  const deletes: Buffer[] = [];
  for (const { key, value } of changes) {
    const at = keyOf(prefix, key);
    if (value === null) deletes.push(at);
    else puts.push([at, seal(at, value)]);
  }
  return { puts, deletes };
}

function keyOf(prefix: Buffer, key: string): Buffer {
  return Buffer.concat([prefix, Buffer.from(key)]);
}
