import { expect, test } from "vitest";
import { parseRules } from "../../rules/file.ts";
import { RULES_EXAMPLE } from "./rules-example.ts";

test("the example on the page is a rules file", () => {
  expect(parseRules(RULES_EXAMPLE, "rules.yaml")).toMatchObject([
    { name: "freezer-warm", severity: "critical" },
  ]);
});
