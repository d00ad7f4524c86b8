/** What a test failed with, and whether another run failed with the same: it was thrown at the same place. */
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Problem } from "./world/check.ts";

export interface Failure {
  readonly error: unknown;
  /** In words, one or a few lines. */
  readonly words: string;
  /** The same where the same does not hold. */
  readonly place: string;
}

/** The run itself was not as it must be. */
export class Unwell extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(({ check, message }) => `${check}: ${message}`).join("\n"));
    this.name = "Problems";
    this.problems = problems;
  }
}

export function failureOf(error: unknown): Failure {
  const { name = "Error", message = String(error), stack = "" } = error as Partial<Error>;
  const words = `${name}: ${message}`;
  if (error instanceof Unwell) {
    return { error, words, place: `problems ${error.problems[0]?.check}` };
  }
  return { error, words, place: `${name} ${placeIn(stack) ?? message}` };
}

/** Where the simulator itself is: what it throws is told by who called it. */
const OWN = `${dirname(fileURLToPath(import.meta.url))}${sep}`;

/** The first line of the stack that is the test's own. */
function placeIn(stack: string): string | undefined {
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return frames.find((frame) => {
    const own = frame.includes(OWN) && !frame.includes(".test.");
    return !own && !frame.includes("node_modules") && !frame.includes("node:");
  });
}
