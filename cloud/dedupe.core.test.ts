import fc from "fast-check";
import { expect, test } from "vitest";
import {
  add,
  has,
  type Intervals,
  intervalsOf,
  type Seen,
  see,
  size,
  subtract,
  union,
} from "./dedupe.core.ts";

const number = fc.integer({ min: 1, max: 60 });

function naive(set: ReadonlySet<number>): Intervals {
  const out: [number, number][] = [];
  for (const n of [...set].sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else out.push([n, n]);
  }
  return out;
}

function members(set: Intervals): Set<number> {
  const all = new Set<number>();
  for (const [from, to] of set) for (let n = from; n <= to; n++) all.add(n);
  return all;
}

test("seeing any sequences in any order tells first from again, and keeps canonical intervals", () => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: 200 }), (sequence) => {
      const model = new Set<number>();
      let seen: Seen | undefined;
      for (const n of sequence) {
        const next = see(seen, n);
        expect(next === undefined).toBe(model.has(n));
        seen = next ?? seen;
        model.add(n);
        expect(intervalsOf(seen)).toEqual(naive(model));
      }
    }),
  );
});

test("set operations agree with sets of numbers", () => {
  const set = fc.array(number, { maxLength: 40 }).map((list) => naive(new Set(list)));
  fc.assert(
    fc.property(set, set, number, number, (a, b, x, y) => {
      const [from, to] = [Math.min(x, y), Math.max(x, y)];
      const inA = members(a);
      const inB = members(b);
      expect(subtract(a, b)).toEqual(naive(new Set([...inA].filter((n) => !inB.has(n)))));
      expect(union(a, b)).toEqual(naive(new Set([...inA, ...inB])));
      expect(add(a, from, to)).toEqual(naive(new Set([...inA, ...members([[from, to]])])));
      expect(has(a, x)).toBe(inA.has(x));
      expect(size(a)).toBe(inA.size);
    }),
  );
});

test("the next sequence copies no older interval", () => {
  let seen = see(undefined, 1);
  seen = see(seen, 5);
  const older = seen?.older;
  for (let n = 6; n < 100; n++) seen = see(seen, n);
  expect(seen).toEqual({ older: [[1, 1]], from: 5, to: 99 });
  expect(seen?.older).toBe(older);
});
