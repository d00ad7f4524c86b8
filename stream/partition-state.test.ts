import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeCbor } from "../events/codec.ts";
import { PartitionState, type StateStore } from "./partition-state.ts";

type Act =
  | { readonly do: "change"; readonly key: string; readonly value: number | undefined }
  | { readonly do: "commit" | "reload" };

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
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("commit", "reload") }),
  },
);

class MapStore implements StateStore {
  readonly values = new Map<string, Uint8Array>();
  failing = false;

  get(name: string): Uint8Array | undefined {
    if (this.failing) throw new Error("the sector is worn out");
    return this.values.get(name);
  }

  async *keys(prefix: string): AsyncGenerator<readonly string[]> {
    for (const name of this.values.keys()) if (name.startsWith(prefix)) yield [name];
  }
}

function put(map: Map<string, number>, name: string, value: number | undefined): void {
  if (value === undefined) map.delete(name);
  else map.set(name, value);
}

test("state is what a plain map would be, whatever is cached, with what is not committed undone", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { maxLength: 60 }),
      fc.constantFrom(0, 200, 600, 100_000),
      async (acts, cacheBytes) => {
        const store = new MapStore();
        const state = new PartitionState(["a", "b"], cacheBytes);
        state.use(store);
        await state.load();
        let committed = new Map<string, number>();
        let current = new Map<string, number>();
        const touched = new Set<string>();
        for (const one of acts) {
          if (one.do === "change") {
            state.change(one.key, one.value);
            put(current, one.key, one.value);
            touched.add(one.key);
          } else {
            expect([...state.changes()]).toMatchObject(
              [...touched].map((name) => ({
                key: name,
                was: committed.get(name),
                now: current.get(name),
              })),
            );
            if (one.do === "commit") {
              for (const { key: name, value } of state.encoded()) {
                if (value === null) store.values.delete(name);
                else store.values.set(name, value);
              }
              state.committed();
            } else await state.load();
            if (one.do === "commit") committed = new Map(current);
            else current = new Map(committed);
            touched.clear();
          }
          for (const prefix of ["a", "a/", "b", "ab"]) {
            const wanted = [...current].filter(([name]) => name.startsWith(prefix));
            expect([...state.entries(prefix)]).toEqual(
              wanted.toSorted(([a], [b]) => (a < b ? -1 : 1)),
            );
          }
        }
        for (const [name, value] of current) expect(state.get(name)).toBe(value);
        for (const [name, value] of committed) expect(state.before(name)).toBe(value);
      },
    ),
  );
});

test("what is not listed cannot be listed", () => {
  const state = new PartitionState(["a/"], 1000);
  expect(() => [...state.entries("a/1")]).not.toThrow();
  for (const prefix of ["a", "b/", ""]) {
    expect(() => [...state.entries(prefix)]).toThrow(`entries of "${prefix}"`);
  }
});

test("a read that fails is the store's fault, and stays known until the state is loaded anew", async () => {
  const store = new MapStore();
  store.values.set("k", encodeCbor(7));
  const state = new PartitionState([], 1000);
  state.use(store);
  store.failing = true;
  expect(() => state.get("k")).toThrow("the sector is worn out");
  expect(state.readError).toMatchObject({ code: "storage" });
  store.failing = false;
  await state.load();
  expect(state.readError).toBeUndefined();
  expect(state.get("k")).toBe(7);
});

test("what is kept decoded is bounded by its bytes, and what is large is not kept for being one value", () => {
  const store = new MapStore();
  const reads: string[] = [];
  const large = "x".repeat(1000);
  for (const name of ["a", "b", "c"]) store.values.set(name, encodeCbor(large));
  const counting: StateStore = {
    get: (name) => {
      reads.push(name);
      return store.get(name);
    },
    keys: (prefix) => store.keys(prefix),
  };
  const look = (cacheBytes: number, names: readonly string[]) => {
    reads.length = 0;
    const state = new PartitionState([], cacheBytes);
    state.use(counting);
    for (const name of names) expect(state.get(name)).toBe(large);
    return reads.join("");
  };
  expect(look(40_000, ["a", "b", "c", "a", "b", "c"])).toBe("abc");
  expect(look(9_000, ["a", "b", "c", "a", "b", "c"])).toBe("abcabc");
  // What grew by a change counts as it is since it was encoded for its commit.
  reads.length = 0;
  const state = new PartitionState([], 9_000);
  state.use(counting);
  for (const name of ["x", "y", "z"]) {
    state.change(name, large);
    state.encoded();
    state.committed();
  }
  reads.length = 0;
  state.get("x");
  expect(reads).toEqual(["x"]);
});
