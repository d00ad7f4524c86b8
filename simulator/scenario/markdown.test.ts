import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { FleetDefinition } from "./definition.ts";
import { parseScenario } from "./file.ts";
import { fleet } from "./fleet.ts";
import { scenarioMarkdown } from "./markdown.ts";

const file = join(import.meta.dirname, "../../docs/scenarios.md");

test("docs/scenarios.md is what the schema says (vitest -u writes it)", async () => {
  await expect(scenarioMarkdown()).toMatchFileSnapshot(file);
});

test("its examples are scenarios, and its links lead somewhere", () => {
  const text = readFileSync(file, "utf8");
  const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = ""]) => yaml);
  expect(examples).toHaveLength(1);
  for (const yaml of examples) expect(parseScenario(yaml, "docs").gateways).toHaveLength(1);
  const [, code = ""] = /```ts\nimport .*?\n(.*?)```/s.exec(text) ?? [];
  const plan = new Function("fleet", `${code}; return store;`)((definition: FleetDefinition) =>
    fleet({ ...definition, rules: [] }),
  );
  expect(plan.scenario().gateways[0].devices).toHaveLength(11);
  const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(6);
  for (const link of links) expect(existsSync(join(file, "..", link)), link).toBe(true);
});

test("every key has a line that says what it is", () => {
  const rows = scenarioMarkdown()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.length).toBeGreaterThan(90);
  for (const row of rows.filter((line) => line.split("|").length === 6)) {
    const [, key = "", kind = "", , what = ""] = row.split("|").map((cell) => cell.trim());
    expect(kind, key).not.toBe("");
    expect(what, key).not.toBe("");
  }
});
