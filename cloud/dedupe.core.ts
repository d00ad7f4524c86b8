/**
 * Which sequences of an epoch were seen, as intervals: what tells a duplicate from a first arrival with state of the
 * size of the holes, not of the readings. Pure; every value here is immutable.
 *
 * A journal comes in order and without holes, so nearly always the next sequence extends the newest interval. That
 * one stands apart: extending it copies two numbers and nothing else. The older intervals are an array that is copied
 * only when a hole opens, shrinks or closes.
 */

/** `[from, to]`, both included. */
export type Interval = readonly [from: number, to: number];

/** Sorted, apart from each other by at least one missing number. */
export type Intervals = readonly Interval[];

export interface Seen {
  readonly older: Intervals;
  /** The newest interval: above all older ones. */
  readonly from: number;
  readonly to: number;
}

/** @returns undefined where the sequence was seen before */
export function see(seen: Seen | undefined, sequence: number): Seen | undefined {
  if (!seen) return { older: [], from: sequence, to: sequence };
  const { older, from, to } = seen;
  if (sequence === to + 1) return { older, from, to: sequence };
  if (sequence > to) return { older: [...older, [from, to]], from: sequence, to: sequence };
  if (sequence >= from) return undefined;
  if (has(older, sequence)) return undefined;
  const filled = add(older, sequence, sequence);
  // The hole below the newest interval may just have closed.
  const last = filled.at(-1);
  if (last && last[1] === from - 1) return { older: filled.slice(0, -1), from: last[0], to };
  return { older: filled, from, to };
}

export function intervalsOf(seen: Seen | undefined): Intervals {
  return seen ? [...seen.older, [seen.from, seen.to]] : [];
}

/** Index of the first interval that ends at or above the number. */
function indexOf(set: Intervals, number: number): number {
  let low = 0;
  let high = set.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((set[middle] as Interval)[1] < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function has(set: Intervals, number: number): boolean {
  const found = set[indexOf(set, number)];
  return found !== undefined && found[0] <= number;
}

/** The set with from..to in it, what touches made one. */
export function add(set: Intervals, from: number, to: number): Intervals {
  const first = indexOf(set, from - 1);
  let after = first;
  let low = from;
  let high = to;
  for (; after < set.length; after++) {
    const [start, end] = set[after] as Interval;
    if (start > to + 1) break;
    low = Math.min(low, start);
    high = Math.max(high, end);
  }
  return [...set.slice(0, first), [low, high], ...set.slice(after)];
}

/** What is in the first set and not in the second. */
export function subtract(set: Intervals, other: Intervals): Intervals {
  if (other.length === 0) return set;
  const left: Interval[] = [];
  for (const [from, to] of set) {
    let next = from;
    for (let i = indexOf(other, from); i < other.length; i++) {
      const [start, end] = other[i] as Interval;
      if (start > to) break;
      if (start > next) left.push([next, start - 1]);
      next = Math.max(next, end + 1);
    }
    if (next <= to) left.push([next, to]);
  }
  return left;
}

export function union(a: Intervals, b: Intervals): Intervals {
  if (b.length === 0) return a;
  return b.reduce<Intervals>((set, [from, to]) => add(set, from, to), a);
}

/** How many numbers are in the set. */
export function size(set: Intervals): number {
  let total = 0;
  for (const [from, to] of set) total += to - from + 1;
  return total;
}
