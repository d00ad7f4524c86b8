/** Whatever somebody writes, it is a scenario or it has faults with places: nothing else is ever thrown. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseScenario, ScenarioError } from "./file.ts";
import { listScenarios } from "./library.ts";

const texts = listScenarios().map(({ file }) => readFileSync(file, "utf8"));
/** What a typing error puts in the place of a word. */
const words = [
  "",
  "null",
  "0",
  "-1",
  "1e99",
  "true",
  "[]",
  "{}",
  "[1]",
  "{ a: 1 }",
  "*",
  "'*'",
  "10",
  "10s",
  "999d",
  "101%",
  "50%",
  "freezer",
  "temperature",
  "{n}",
  "__proto__",
  ":",
  "- ",
  "\t",
  "never",
  "🧊",
  "1h",
  "at",
  "every",
  "for",
];

/** Every second one is what stands between two words. */
function tokensOf(text: string): string[] {
  return text.replaceAll(/ *#.*/g, "").split(/([\s,{}[\]:]+)/);
}

test("without an error they are what they were", () => {
  for (const text of texts) {
    const tokens = tokensOf(text);
    expect(tokens.length).toBeGreaterThan(100);
    expect(parseScenario(tokens.join(""), "x.yaml").gateways.length).toBeGreaterThan(0);
  }
});

test("typing errors of every kind in the shipped scenarios", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.array(
        fc.record({
          place: fc.nat(),
          word: fc.constantFrom(...words),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      (text, changes) => {
        const tokens = tokensOf(text);
        const count = (tokens.length + 1) / 2;
        for (const { place, word } of changes) tokens[2 * (place % count)] = word;
        try {
          const scenario = parseScenario(tokens.join(""), "x.yaml");
          for (const { metrics } of scenario.gateways.flatMap(({ devices }) => devices)) {
            for (const { at } of Object.values(metrics)) {
              const value = at(scenario.start + 3_600_000);
              if (typeof value === "number") expect(value).not.toBeNaN();
            }
          }
        } catch (error) {
          if (!(error instanceof ScenarioError)) throw error;
          expect(error.faults.length).toBeGreaterThan(0);
          for (const fault of error.faults) expect(fault).toMatch(/^x\.yaml:\d+:\d+: \S/);
          expect(error.message).not.toMatch(/undefined|\[object|NaN/);
        }
      },
    ),
    { numRuns: 150 },
  );
});
