/**
 * State of one partition of a topology, in memory; the changelog topic is where it lasts. A batch of steps changes it in
 * place, so that each step sees the ones before, and `rollback` undoes what was not committed.
 */
import type { StateChange, StateView } from "../port.ts";

/** A key of the changelog that no state can have: where the positions of the inputs stand. */
export const POSITION_KEY = "\u0000position";

const ABSENT = Symbol("absent");

export class PartitionState implements StateView {
  readonly #values = new Map<string, unknown>();
  /** What keys changed since the last commit had before. */
  readonly #before = new Map<string, unknown>();
  /** All keys in order, once anybody has asked for a prefix. */
  #sorted: string[] | undefined;

  get(key: string): unknown {
    return this.#values.get(key);
  }

  *entries(prefix: string): Generator<readonly [key: string, value: unknown]> {
    this.#sorted ??= [...this.#values.keys()].sort();
    const keys: string[] = [];
    for (let i = this.#lowerBound(prefix); i < this.#sorted.length; i++) {
      const key = this.#sorted[i] as string;
      if (!key.startsWith(prefix)) break;
      keys.push(key);
    }
    for (const key of keys) yield [key, this.#values.get(key)];
  }

  /** Undefined deletes. */
  change(key: string, value: unknown): void {
    if (!this.#before.has(key)) {
      this.#before.set(key, this.#values.has(key) ? this.#values.get(key) : ABSENT);
    }
    this.#put(key, value);
  }

  /** As read from the changelog: nothing to undo. */
  restore(key: string, value: unknown): void {
    this.#put(key, value);
  }

  /** As it was at the last commit. */
  before(key: string): unknown {
    if (!this.#before.has(key)) return this.#values.get(key);
    const value = this.#before.get(key);
    return value === ABSENT ? undefined : value;
  }

  /** What has changed since the last commit. */
  changes(): StateChange[] {
    return [...this.#before].map(([key, value]) => ({
      key,
      was: value === ABSENT ? undefined : value,
      now: this.#values.get(key),
    }));
  }

  committed(): void {
    this.#before.clear();
  }

  rollback(): void {
    for (const [key, value] of this.#before) this.#put(key, value === ABSENT ? undefined : value);
    this.#before.clear();
  }

  clear(): void {
    this.#values.clear();
    this.#before.clear();
    this.#sorted = undefined;
  }

  #put(key: string, value: unknown): void {
    const known = this.#values.has(key);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    if (!this.#sorted || known === (value !== undefined)) return;
    this.#sorted.splice(this.#lowerBound(key), known ? 1 : 0, ...(known ? [] : [key]));
  }

  #lowerBound(key: string): number {
    const sorted = this.#sorted ?? [];
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
