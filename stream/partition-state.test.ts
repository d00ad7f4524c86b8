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
      fc.constantFrom(0, 2, 6, 1000),
      async (acts, cacheEntries) => {
        const store = new MapStore();
        const state = new PartitionState(["a", "b"], cacheEntries);
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
  const state = new PartitionState(["a/"], 10);
  expect(() => [...state.entries("a/1")]).not.toThrow();
  for (const prefix of ["a", "b/", ""]) {
    expect(() => [...state.entries(prefix)]).toThrow(`entries of "${prefix}"`);
  }
});

test("a read that fails is the store's fault, and stays known until the state is loaded anew", async () => {
  const store = new MapStore();
  store.values.set("k", encodeCbor(7));
  const state = new PartitionState([], 10);
  state.use(store);
  store.failing = true;
  expect(() => state.get("k")).toThrow("the sector is worn out");
  expect(state.readError).toMatchObject({ code: "storage" });
  store.failing = false;
  await state.load();
  expect(state.readError).toBeUndefined();
  expect(state.get("k")).toBe(7);
});
