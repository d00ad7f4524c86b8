import { join } from "node:path";
import { expect, test } from "vitest";
import type { FleetDefinition } from "./definition.ts";
import { definitionText } from "./definition-text.ts";
import type { RawScenario } from "./schema.ts";

test("definition.ts is what the schema says (vitest -u writes it)", async () => {
  await expect(definitionText()).toMatchFileSnapshot(join(import.meta.dirname, "definition.ts"));
});

test("every key has words", () => {
  const text = definitionText();
  expect(text.match(/^ +readonly /gm)?.length).toBeGreaterThan(100);
  expect(text).not.toMatch(/\/\*\* [. ]*\*\//);
});

type Mutable<Value> = Value extends (...args: never) => unknown
  ? Value
  : Value extends object
    ? { -readonly [Key in keyof Value]: Mutable<Value[Key]> }
    : Value;

test("the types say what the schema's say", () => {
  // The compiler's work.
  const read = (fleet: Mutable<FleetDefinition> & { name: string }): RawScenario => fleet;
  expect(read).toBeTypeOf("function");
});
