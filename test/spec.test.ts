/** Every clause of docs/spec has a test that names it, and no test names a clause that is not there. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./program.ts";

const CLAUSE = /\b[A-Z]+-[1-9][0-9]*\b/g;

function testFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    // Conformance suites are tests too, run by those of each implementation.
    return /(\.test|conformance)\.ts$/.test(entry.name) ? [path] : [];
  });
}

/** Clauses in the titles of tests: `test("[ACK-1] …")`, `test("[ACK-1, ACK-2] …")`. */
function clausesNamed(text: string): string[] {
  return [...text.matchAll(/\[((?:[A-Z]+-[1-9][0-9]*(?:, )?)+)\]/g)].flatMap(
    ([, clauses = ""]) => clauses.match(CLAUSE) ?? [],
  );
}

test.each([["buffer.md", ["gateway", "test"]]] as const)(
  "each clause of docs/spec/%s has a test",
  (document, folders) => {
    const text = readFileSync(join(root, "docs", "spec", document), "utf8");
    const clauses = [...text.matchAll(/^- \*\*([A-Z]+-[1-9][0-9]*)\*\*/gm)].map(([, name]) => name);
    expect(clauses.length).toBeGreaterThan(10);
    expect(new Set(clauses).size).toBe(clauses.length);
    const named = new Set(
      folders
        .flatMap((folder) => testFiles(join(root, folder)))
        .filter((path) => !path.endsWith("spec.test.ts"))
        .flatMap((path) => clausesNamed(readFileSync(path, "utf8"))),
    );
    expect({ untested: clauses.filter((clause) => !named.has(clause ?? "")) }).toEqual({
      untested: [],
    });
    const unknown = [...named].filter((clause) => !clauses.includes(clause));
    expect({ unknown }).toEqual({ unknown: [] });
  },
);
