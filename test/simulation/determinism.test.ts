/** The same seed makes the same run, to the last line of its timeline and the last timer; another one does not. */
import { expect, test } from "vitest";
import { randomScenario } from "../../simulator/world/random-scenario.ts";
import { simulate } from "../../simulator/world/simulate.ts";

test("a run is told by its seed", async () => {
  const [first, second, other] = [
    await simulate(randomScenario(27)),
    await simulate(randomScenario(27)),
    await simulate(randomScenario(28)),
  ];
  expect(first.timeline.length).toBeGreaterThan(5);
  const { scenario: _, ...one } = first;
  const { scenario: __, ...two } = second;
  expect(two).toEqual(one);
  expect(other.turns).not.toBe(first.turns);
});
