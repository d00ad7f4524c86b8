/** Draws of one part of a run, all from its seed. */
import { childSeed, sfc32 } from "../random.ts";

export class Chance {
  readonly #next: () => number;

  constructor(seed: number, part: string) {
    this.#next = sfc32(childSeed(seed, part));
  }

  /** In [0, 1). */
  uniform(): number {
    return this.#next();
  }

  between(from: number, to: number): number {
    return from + (to - from) * this.#next();
  }

  /** From, to, both included. */
  whole(from: number, to: number): number {
    return Math.floor(this.between(from, to + 1));
  }

  happens(probability: number): boolean {
    return probability > 0 && this.#next() < probability;
  }

  of<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#next() * choices.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.#next() * 256));
  }
}
