/** A set of strings in order, kept in runs so that adding one among a million moves a few hundred. */

/** A run is split beyond this. */
const RUN_LENGTH = 512;

/** First index in `run` whose item is not below `key`. */
function lowerBound(run: readonly string[], key: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((run[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class SortedKeys {
  /** None is empty, but the only one may be. */
  readonly #runs: string[][] = [];

  constructor(keys: readonly string[]) {
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    for (let i = 0; i < sorted.length; i += RUN_LENGTH / 2) {
      this.#runs.push(sorted.slice(i, i + RUN_LENGTH / 2));
    }
    if (this.#runs.length === 0) this.#runs.push([]);
  }

  clear(): void {
    this.#runs.splice(0, this.#runs.length, []);
  }

  /** Index of the run that has the key or would take it: the first whose last item is not below it. */
  #runOf(key: string): number {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.at(-1) as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(key: string): void {
    const at = this.#runOf(key);
    const run = this.#runs[at] as string[];
    const i = lowerBound(run, key);
    if (run[i] === key) return;
    run.splice(i, 0, key);
    if (run.length > RUN_LENGTH) this.#runs.splice(at + 1, 0, run.splice(RUN_LENGTH / 2));
  }

  delete(key: string): void {
    const at = this.#runOf(key);
    const run = this.#runs[at] as string[];
    const i = lowerBound(run, key);
    if (run[i] !== key) return;
    run.splice(i, 1);
    if (run.length === 0 && this.#runs.length > 1) this.#runs.splice(at, 1);
  }

  /** Keys that start with the prefix, in order. The set must not change meanwhile. */
  *startingWith(prefix: string): Iterable<string> {
    for (const key of this.from(prefix)) {
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  /** Keys from this one on, in order. The set must not change meanwhile. */
  *from(least: string): Iterable<string> {
    let at = this.#runOf(least);
    let i = lowerBound(this.#runs[at] as string[], least);
    for (; at < this.#runs.length; at++, i = 0) {
      const run = this.#runs[at] as string[];
      for (; i < run.length; i++) yield run[i] as string;
    }
  }
}
