/**
 * The memory of packets that have begun and not come whole, over all connections. Each connection may gather one up to the
 * packet limit and stay silent then; a thousand of them would take all the memory of a small machine.
 *
 * Promise: all together never hold more than the limit once a call has returned. Beyond it whoever holds most is closed:
 * half a packet is acknowledged to nobody, and a device with small packets is never the one.
 */

/** Room for a few hundred packets of ordinary size that all come in pieces at once, and for fifty of the largest. */
export const MAX_UNFINISHED_BYTES: number = 32 * 1024 * 1024;

export interface Gatherer {
  /** It holds most of all, and together they hold too much. */
  unfinishedTooMuch(): void;
}

export class Unfinished {
  readonly #limit: number;
  readonly #held = new Map<Gatherer, number>();
  #bytes = 0;

  constructor(limit: number = MAX_UNFINISHED_BYTES) {
    this.#limit = limit;
  }

  /** Over all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What it holds now; 0 when it is done or gone. */
  hold(who: Gatherer, bytes: number): void {
    this.#bytes += bytes - (this.#held.get(who) ?? 0);
    if (bytes === 0) this.#held.delete(who);
    else this.#held.set(who, bytes);
    while (this.#bytes > this.#limit) {
      const largest = this.#largest();
      if (largest === undefined) return;
      this.hold(largest, 0);
      largest.unfinishedTooMuch();
    }
  }

  #largest(): Gatherer | undefined {
    let found: Gatherer | undefined;
    let most = 0;
    for (const [who, bytes] of this.#held) {
      if (bytes <= most) continue;
      found = who;
      most = bytes;
    }
    return found;
  }
}
