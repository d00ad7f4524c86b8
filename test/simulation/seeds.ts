/** Seeds of short scenarios, and what a failing one says. */
import { expect } from "vitest";
import { FAULT_KINDS, type FaultKind } from "../../simulator/world/faults.ts";
import { randomScenario } from "../../simulator/world/random-scenario.ts";
import { failureText } from "../../simulator/world/report.ts";
import { shrink } from "../../simulator/world/shrink.ts";
import { simulate } from "../../simulator/world/simulate.ts";

/** Enough for a failure to be told; the long form goes on. */
const SHRINK_RUNS = 40;

export class Seeds {
  readonly #struck = new Set<string>();
  acknowledged = 0;

  async holds(seed: number): Promise<void> {
    const result = await simulate(randomScenario(seed));
    if (!result.ok) {
      const replay = `npm run test:simulation -- --seed ${seed} --count 1`;
      expect.fail(failureText(result, await shrink(result, SHRINK_RUNS), replay));
    }
    this.acknowledged += result.acknowledged;
    for (const kind of Object.keys(result.strikes)) this.#struck.add(kind);
  }

  /** Kinds of faults that have hurt nobody: a link that is down while nobody sends has not. */
  get missing(): readonly string[] {
    const wanted = [...FAULT_KINDS.map(strikeOf), ...BESIDE];
    return wanted.filter((strike) => !this.#struck.has(strike));
  }
}

/** What strikes without being planned one by one. */
const BESIDE = ["mark write error", "message lost", "message twice", "connection broken"];

/** As it is counted when it strikes. */
function strikeOf(kind: FaultKind): string {
  return RENAMED[kind] ?? kind;
}

const RENAMED: Partial<Readonly<Record<FaultKind, string>>> = {
  "buffer write errors": "buffer write error",
  "log write errors": "log write error",
};
