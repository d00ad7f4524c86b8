/**
 * Latencies in little room: counts in buckets that grow by 2 %, so that a quantile is right to 2 % whatever the number
 * of messages. Below 0.1 ms everything is one bucket, above 100 s as well.
 */

const SMALLEST_MS = 0.1;
const GROWTH = Math.log(1.02);
const BUCKETS = Math.ceil(Math.log(1e6) / GROWTH) + 1;

export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  add(ms: number): void {
    const bucket = Math.ceil(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / GROWTH);
    const index = Math.min(BUCKETS - 1, bucket);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
  }

  /** @param share 0.5 for the median. @returns ms, undefined where there is none yet */
  quantile(share: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = Math.max(1, Math.ceil(share * this.#total));
    for (const [index, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return SMALLEST_MS * Math.exp(index * GROWTH);
    }
    return undefined;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
