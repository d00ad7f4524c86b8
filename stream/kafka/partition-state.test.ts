import fc from "fast-check";
import { expect, test } from "vitest";
import { PartitionState } from "./partition-state.ts";

type Act =
  | { readonly do: "change"; readonly key: string; readonly value: number | undefined }
  | { readonly do: "commit" | "rollback" };

const key = fc.constantFrom("a", "ab", "abc", "b", "ba", "", "a/1", "a/2", "é");
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      key,
      value: fc.option(fc.nat(), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("commit", "rollback") }) },
);

function put(map: Map<string, number>, name: string, value: number | undefined): void {
  if (value === undefined) map.delete(name);
  else map.set(name, value);
}

test("state is what a plain map would be, with what is not committed undone", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.nat(60), (acts, askFrom) => {
      const state = new PartitionState();
      let committed = new Map<string, number>();
      let current = new Map<string, number>();
      const touched = new Set<string>();
      acts.forEach((one, i) => {
        if (one.do === "change") {
          state.change(one.key, one.value);
          put(current, one.key, one.value);
          touched.add(one.key);
        } else {
          expect(state.changes()).toEqual(
            [...touched].map((key) => ({ key, was: committed.get(key), now: current.get(key) })),
          );
          for (const key of touched) expect(state.before(key)).toBe(committed.get(key));
          if (one.do === "commit") state.committed();
          else state.rollback();
          if (one.do === "commit") committed = new Map(current);
          else current = new Map(committed);
          touched.clear();
        }
        // The order is kept up only from the first question for it on: ask at differing moments.
        if (i < askFrom) return;
        for (const prefix of ["", "a", "a/", "zz"]) {
          const wanted = [...current].filter(([name]) => name.startsWith(prefix));
          expect([...state.entries(prefix)]).toEqual(
            wanted.toSorted(([a], [b]) => (a < b ? -1 : 1)),
          );
        }
      });
      for (const [name, value] of current) expect(state.get(name)).toBe(value);
    }),
  );
});

test("what is restored is not undone", () => {
  const state = new PartitionState();
  state.restore("a", 1);
  state.change("a", 2);
  state.change("b", 3);
  state.rollback();
  expect([...state.entries("")]).toEqual([["a", 1]]);
  state.clear();
  expect([...state.entries("")]).toEqual([]);
});
