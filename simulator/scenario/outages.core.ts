/**
 * Stretches of time in which something is down: those told one by one, and those by chance. Pure: the same seed gives the
 * same stretches, in whatever order and by whomever they are asked for.
 */
import { sfc32 } from "../random.ts";
import type { Outages, Stretch } from "./scenario.ts";

export const NEVER: Outages = Object.freeze({ at: Object.freeze([]) });

/** More would be a mistake in the units, and take the memory of the run. */
const MAX_STRETCHES = 100_000;

/**
 * The pauses between those by chance are exponential, so that two may follow each other closely and a long quiet time may
 * come too, as with everything that fails independently of its past. Their lengths are 0.5 to 1.5 times the given one.
 *
 * @param seed of this one kind of outage of this one thing (childSeed)
 * @returns in order, disjoint, each beginning before `durationMs`; one that overlaps another, or touches it, is one with it
 */
export function stretchesOf(outages: Outages, seed: number, durationMs: number): Stretch[] {
  const found = outages.at.filter(({ at, lastsMs }) => at < durationMs && lastsMs > 0);
  const { random } = outages;
  if (random && random.everyMs > 0 && random.lastsMs > 0) {
    const next = sfc32(seed);
    let at = 0;
    for (let count = 0; count < MAX_STRETCHES; count += 1) {
      at += Math.ceil(-Math.log(1 - next()) * random.everyMs);
      if (!(at < durationMs)) break;
      const lastsMs = Math.max(1, Math.round(random.lastsMs * (0.5 + next())));
      found.push({ at, lastsMs });
      at += lastsMs;
    }
  }
  return merged(found);
}

function merged(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  for (const { at, lastsMs } of stretches.toSorted((a, b) => a.at - b.at)) {
    const last = result.at(-1);
    if (last && at <= last.at + last.lastsMs) {
      const end = Math.max(last.at + last.lastsMs, at + lastsMs);
      result[result.length - 1] = { at: last.at, lastsMs: end - last.at };
    } else result.push({ at, lastsMs });
  }
  return result;
}

/** Asks the stretches in the order of time; each question costs next to nothing. */
export class StretchCursor {
  readonly #stretches: readonly Stretch[];
  #next = 0;

  constructor(stretches: readonly Stretch[]) {
    this.#stretches = stretches;
  }

  /**
   * @param at ms from the beginning of the run; never before the one asked for last
   * @returns when the stretch that is on at that moment ends, or undefined
   */
  endAt(at: number): number | undefined {
    for (;;) {
      const stretch = this.#stretches[this.#next];
      if (!stretch || at < stretch.at) return undefined;
      const end = stretch.at + stretch.lastsMs;
      if (at < end) return end;
      this.#next += 1;
    }
  }

  /** @returns when the next stretch begins, after one asked for with endAt() that is not on; Infinity where none comes */
  get nextAt(): number {
    return this.#stretches[this.#next]?.at ?? Number.POSITIVE_INFINITY;
  }
}
