/** What a kind of fault is: needs of the machine, and a round that strikes faults and judges what is left. */
import type { Ground, Need } from "./machine.ts";
import type { Verdict } from "./oracle.ts";

export interface Round {
  readonly ground: Ground;
  /** In [0, 1), from the seed. */
  readonly random: () => number;
  /** The short form strikes a few faults, the long one more and longer. */
  readonly short: boolean;
}

export interface Outcome {
  /** Faults struck in this round. */
  readonly faults: number;
  readonly verdicts: readonly Verdict[];
}

export interface Kind {
  readonly name: string;
  readonly needs: readonly Need[];
  /** @throws Error where the program does not do what it promises while the fault lasts */
  run(round: Round): Promise<Outcome>;
}

/** A whole number in [from, to]. */
export function between(random: () => number, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

export function oneOf<T>(random: () => number, choices: readonly T[]): T {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new Error("nothing to choose from");
  return choice;
}
