/** The topology of the tests about rebuilds, apart from them: processes that a test kills run it too. */
import { decodeCbor } from "../../events/codec.ts";
import type { RebuildPlan, Topology } from "../port.ts";

interface Sum {
  readonly key: string;
  readonly count: number;
  readonly sum: number;
}

export interface Names {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly changelog: string;
}

/** Count and sum of each key, and a view of them; `times` is what another version of the code would do otherwise. */
export function sums(n: Names, times = 1, size = 0): Topology {
  return {
    name: n.name,
    inputs: n.inputs,
    outputs: [{ topic: n.output, coalesce: true }],
    changelog: n.changelog,
    step(state, input) {
      if (input.kind === "tick") return { state: [], outputs: [] };
      const key = input.record.key ?? "";
      const old = (state.get(key) as Sum | undefined) ?? { key, count: 0, sum: 0 };
      const sum = old.sum + times * (decodeCbor(input.record.value ?? new Uint8Array()) as number);
      const more = size > 0 ? { pad: "x".repeat(size) } : {};
      return { state: [[key, { key, count: old.count + 1, sum, ...more }]], outputs: [] };
    },
    show({ key, now }) {
      const id = `${key}@${JSON.stringify(now)?.length}`;
      const of = {
        topic: n.output,
        key,
        type: "tidegate.device",
        time: 1_700_000_000_000,
      } as const;
      return [{ ...of, id, event: now ?? null }];
    },
  };
}

export function planOf(topology: Topology): RebuildPlan {
  return {
    replay: topology,
    listed: [],
    exchange: ({ made }) => ({
      now: (key) => made.get(key),
      show: (change, commit) => topology.show?.(change, commit) ?? [],
    }),
  };
}
