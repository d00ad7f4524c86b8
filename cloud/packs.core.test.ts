import fc from "fast-check";
import { expect, test } from "vitest";
import { type Aggregate, indexes, lookUp, merged, type Pack, packed } from "./packs.core.ts";

test("a pack is a map from index to aggregate, and never changed in place", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(59), fc.integer())), (puts) => {
      const model = new Map<number, Aggregate>();
      let pack: Pack | undefined;
      for (const [index, value] of puts) {
        const aggregate: Aggregate = [1, value, value, value];
        const before = pack && [...pack];
        const next = packed(pack && Object.freeze(pack), index, aggregate);
        expect(pack).toEqual(before);
        pack = next;
        model.set(index, aggregate);
      }
      expect(indexes(pack ?? []).toSorted()).toEqual([...model.keys()].toSorted());
      for (let index = 0; index < 60; index++)
        expect(lookUp(pack, index)).toEqual(model.get(index));
    }),
  );
});

test("merging counts, bounds and sums", () => {
  const all = [3, -1, 7].reduce<Aggregate | undefined>(merged, undefined);
  expect(all).toEqual([3, -1, 7, 9]);
});
