import { describe, expect, test } from "vitest";
import { encodeCbor, encodeEvent } from "../../events/codec.ts";
import { PartitionState } from "../partition-state.ts";
import type { Output, StoredRecord, Topology } from "../port.ts";
import { inputOf, StepError, Steps } from "./steps.core.ts";

function stored(offset: number, over: Partial<StoredRecord> = {}): StoredRecord {
  const value = encodeCbor(offset);
  return { topic: "in", partition: 1, offset, timestamp: 5, key: "k", headers: {}, value, ...over };
}

function out(topic: string, key: string, id: string): Output {
  return { topic, key, id, type: "tidegate.device", time: 1000, event: { id } };
}

function topology(over: Partial<Topology>): Topology {
  return {
    name: "t",
    inputs: ["in", "other"],
    outputs: [
      { topic: "all", coalesce: false },
      { topic: "last", coalesce: true },
    ],
    changelog: "t-changelog.v1",
    step: () => ({ state: [], outputs: [] }),
    ...over,
  };
}

const tick = (time: number, over: Partial<StoredRecord> = {}) =>
  stored(9, {
    key: null,
    headers: { ce_type: "tidegate.tick" },
    value: encodeEvent("tidegate.tick", { time }),
    ...over,
  });

const all = (steps: Steps, state: PartitionState): Output[] => [
  ...steps.outputs(),
  ...[...state.changes()].flatMap((change) => steps.shown(change)),
];

function runSteps(of: Topology, state: PartitionState, records: readonly StoredRecord[]): Output[] {
  const steps = new Steps(of, state);
  steps.take(records);
  return all(steps, state);
}

describe("steps", () => {
  test("see state as the steps before left it; of a coalesced topic the last output of a key stays", () => {
    const state = new PartitionState([], 100_000);
    const counting = topology({
      step: (view, input) => {
        const count = ((view.get("n") as number | undefined) ?? 0) + 1;
        const id = input.kind === "record" ? `${input.record.offset}` : "tick";
        const key = count % 2 ? "odd" : "even";
        return {
          state: [["n", count]],
          outputs: [out("all", key, id), out("last", key, id)],
        };
      },
    });
    const outputs = runSteps(
      counting,
      state,
      [1, 2, 3, 4, 5].map((n) => stored(n)),
    );
    expect(state.get("n")).toBe(5);
    expect(outputs.map((one) => `${one.topic}:${one.id}`)).toEqual([
      "all:1",
      "all:2",
      "all:3",
      "all:4",
      "all:5",
      "last:5",
      "last:4",
    ]);
  });

  test("what is shown of the state is asked for once a commit, with what was and what is", () => {
    const state = new PartitionState([], 100_000);
    const showing = topology({
      step: (view) => ({
        state: [["n", ((view.get("n") as number | undefined) ?? 0) + 1]],
        outputs: [],
      }),
      show: ({ key, was, now }, commit) => {
        expect([commit.was(key), commit.now(key)]).toEqual([was, now]);
        return [out("last", key, `${was}-${now}@${commit.last.offset}`)];
      },
    });
    const ids = (from: number[]) =>
      runSteps(
        showing,
        state,
        from.map((n) => stored(n)),
      ).map((one) => one.id);
    expect(ids([1, 2, 3])).toEqual(["undefined-3@3"]);
    state.committed();
    expect(ids([4])).toEqual(["3-4@4"]);
  });

  test("taken in slices are one commit, and what is held for it is known", () => {
    const state = new PartitionState([], 100_000);
    const steps = new Steps(
      topology({
        tickMs: 10,
        step: (_, input) => {
          const id = input.kind === "record" ? `${input.record.offset}` : "tick";
          return { state: [[id, 1]], outputs: [out("all", "k", id), out("last", "k", id)] };
        },
      }),
      state,
    );
    steps.take([stored(1), stored(2)]);
    expect(steps).toMatchObject({ inputs: 2, records: 2, held: 5 });
    steps.take([tick(7), stored(3)]);
    expect(steps).toMatchObject({ inputs: 4, records: 3, lastTick: 7 });
    expect(all(steps, state).map((one) => `${one.topic}:${one.id}`)).toEqual([
      "all:1",
      "all:2",
      "all:tick",
      "all:3",
      "last:3",
    ]);
  });

  test("that throw say where, and leave nothing behind once the state is loaded anew", async () => {
    const state = new PartitionState([], 100_000);
    const failing = topology({
      step: (_view, input) => {
        if (input.kind === "record" && input.record.offset === 2) throw new Error("planted");
        return { state: [["seen", true]], outputs: [] };
      },
    });
    expect(() => runSteps(failing, state, [stored(1), stored(2)])).toThrow(StepError);
    expect(() => runSteps(failing, state, [stored(2)])).toThrow(/in\/1 offset 2: planted/);
    await state.load();
    expect(state.get("seen")).toBeUndefined();
  });

  test("may put out only what the topology names", () => {
    const stray = topology({ step: () => ({ state: [], outputs: [out("else", "k", "1")] }) });
    expect(() => runSteps(stray, new PartitionState([], 100_000), [stored(1)])).toThrow(/else/);
    const shown = topology({
      step: () => ({ state: [["n", 1]], outputs: [] }),
      show: () => [out("elsewhere", "k", "1")],
    });
    expect(() => runSteps(shown, new PartitionState([], 100_000), [stored(1)])).toThrow(
      /elsewhere/,
    );
  });

  test("see ticks only of their first input, and only where they asked for them", () => {
    const ticking = topology({ tickMs: 100 });
    expect(inputOf(ticking, tick(77))).toEqual({ kind: "tick", partition: 1, offset: 9, time: 77 });
    expect(inputOf(ticking, tick(77, { topic: "other" }))).toBeUndefined();
    expect(inputOf(topology({}), tick(77))).toBeUndefined();
    expect(inputOf(ticking, tick(77, { value: encodeCbor("noon") }))).toBeUndefined();
    expect(inputOf(ticking, stored(3))).toMatchObject({ kind: "record" });
  });
});
