/** docs/testing.md, as somebody would follow it: its code is run as it stands there. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { fleet, story } from "./simulator.ts";

const text = readFileSync(join(import.meta.dirname, "../docs/testing.md"), "utf8");
const directory = mkdtempSync(join(tmpdir(), "tidegate-doc-"));
afterAll(() => rm(directory, { recursive: true }));

const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(
    ([, code = ""]) => code,
  );

test("its code does what it says", async () => {
  const [rules = ""] = blocks("yaml");
  writeFileSync(join(directory, "rules.yaml"), rules);
  const code = blocks("ts")
    .join("\n")
    .replace(/^import .*$/gm, "")
    .replaceAll("import.meta.dirname", JSON.stringify(directory))
    // Fifty are for somebody's own night.
    .replace("seeds: 50", "seeds: 3");
  const found: [name: string, run: () => Promise<void>][] = [];
  const collect = (name: string, run: () => Promise<void>) => found.push([name, run]);
  const javascript = stripTypeScriptTypes(`(async () => {${code}\nreturn { slow, plant };})`);
  const make = new Function("fleet", "story", "expect", "test", "join", `return ${javascript}`);
  const { slow, plant } = await make(fleet, story, expect, collect, join)();
  for (const [, run] of found) await run();
  expect(found.map(([name]) => name)).toEqual([
    "a freezer that fails pages once",
    "a quiet day pages nobody, whatever the network does",
  ]);
  expect(slow).toEqual([]);
  expect(plant.scenario().gateways[0].devices).toHaveLength(3);
});

test("its tables name what there is, and all of it", async () => {
  const site = await fleet({ gateways: [{ name: "g" }] }).start();
  const prototype = Object.getPrototypeOf(site);
  const methods = Object.getOwnPropertyNames(prototype).filter(
    (name) => typeof Object.getOwnPropertyDescriptor(prototype, name)?.value === "function",
  );
  for (const name of methods) {
    if (name === "constructor" || name === "start") continue;
    expect(text, name).toContain(`site.${name}(`);
  }
});
