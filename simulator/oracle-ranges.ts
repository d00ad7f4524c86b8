/**
 * Ranges of whole numbers for the oracles, in the plainest way: sort, then walk. It shares no code with the intervals of
 * the product's processing.
 */

/** `[from, to]`, both included. */
export type Range = readonly [from: number, to: number];

/** Sorted, and what overlaps or touches made one. */
export function mergedRanges(ranges: Iterable<Range>): Range[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** What of `whole` is in none of the others. */
export function rangesWithout(whole: Iterable<Range>, others: Iterable<Range>): Range[] {
  const holes = mergedRanges(others);
  const left: Range[] = [];
  let first = 0;
  for (const [from, to] of mergedRanges(whole)) {
    let next = from;
    // Holes that end before this range end before all that follow.
    while ((holes[first]?.[1] ?? Number.POSITIVE_INFINITY) < from) first += 1;
    for (let at = first; at < holes.length; at += 1) {
      const [start, end] = holes[at] as Range;
      if (start > to) break;
      if (start > next) left.push([next, start - 1]);
      next = Math.max(next, end + 1);
    }
    if (next <= to) left.push([next, to]);
  }
  return left;
}

/** How many numbers are in ranges that do not overlap. */
export function countIn(ranges: Iterable<Range>): number {
  let total = 0;
  for (const [from, to] of ranges) total += to - from + 1;
  return total;
}
