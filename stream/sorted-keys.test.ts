import fc from "fast-check";
import { expect, test } from "vitest";
import { SortedKeys } from "./sorted-keys.ts";

const key = fc.string({ unit: fc.constantFrom("a", "b", "/", "é", "😀"), maxLength: 4 });
const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

test("it is a sorted set, however it is changed", () => {
  fc.assert(
    fc.property(
      fc.array(key),
      fc.array(fc.tuple(fc.boolean(), key)),
      key,
      (first, changes, prefix) => {
        const model = new Set(first);
        const keys = new SortedKeys([...model]);
        for (const [add, one] of changes) {
          if (add) model.add(one);
          else model.delete(one);
          if (add) keys.add(one);
          else keys.delete(one);
        }
        const wanted = [...model].filter((one) => one.startsWith(prefix)).toSorted(order);
        expect([...keys.startingWith(prefix)]).toEqual(wanted);
      },
    ),
  );
});

test("many keys are split into runs and stay in order", () => {
  const all = Array.from({ length: 5000 }, (_, i) => `k/${(i * 7919) % 5000}`);
  const keys = new SortedKeys(all.slice(0, 1000));
  for (const one of all.slice(1000)) keys.add(one);
  expect([...keys.startingWith("")]).toEqual(all.toSorted(order));
  for (const one of all.filter((_, i) => i % 3 > 0)) keys.delete(one);
  const left = all.filter((_, i) => i % 3 === 0);
  expect([...keys.startingWith("k/1")]).toEqual(
    left.filter((one) => one.startsWith("k/1")).toSorted(order),
  );
  for (const one of left) keys.delete(one);
  expect([...keys.startingWith("")]).toEqual([]);
  keys.add("again");
  expect([...keys.startingWith("a")]).toEqual(["again"]);
});
