/**
 * Which sequences were there before, of millions: they come nearly in their order, so a few ranges for each epoch say it all.
 */

export class SeenSequences {
  /** Sorted, apart from each other, both ends included. */
  readonly #ranges = new Map<string, [from: number, to: number][]>();

  /** Notes it. @returns whether it was there before */
  again(epoch: string, sequence: number): boolean {
    const ranges = this.#ranges.get(epoch) ?? [];
    this.#ranges.set(epoch, ranges);
    let at = ranges.length;
    // From the end: what is new is mostly behind all that was there.
    while (at > 0 && (ranges[at - 1] as [number, number])[0] > sequence) at -= 1;
    const before = ranges[at - 1];
    if (before && sequence <= before[1]) return true;
    const next = ranges[at];
    const touchesBefore = before !== undefined && before[1] === sequence - 1;
    const touchesNext = next !== undefined && next[0] === sequence + 1;
    if (touchesBefore && touchesNext) {
      before[1] = next[1];
      ranges.splice(at, 1);
    } else if (touchesBefore) before[1] = sequence;
    else if (touchesNext) next[0] = sequence;
    else ranges.splice(at, 0, [sequence, sequence]);
    return false;
  }
}
