/** The simulation finds the bugs that are planted, each within a stated number of seeds. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { MUTATIONS } from "./mutations.ts";

const run = promisify(execFile);

test.concurrent.each(MUTATIONS)("$name: within $seeds seeds", async ({ name, seeds, decay }) => {
  const hook = join(import.meta.dirname, "mutate.ts");
  const child = join(import.meta.dirname, "find.child.ts");
  const { stdout } = await run(
    process.execPath,
    ["--import", hook, child, String(seeds), String(decay ?? 0.2)],
    {
      env: { ...process.env, MUTATION: name },
    },
  );
  expect(stdout, "no seed failed").toMatch(/^\{"seed":\d+,"how":"/);
});

test.each(["0.2", "1"])("without a planted bug nothing is found, decay %s", async (decay) => {
  const child = join(import.meta.dirname, "find.child.ts");
  const { stdout } = await run(process.execPath, [child, "10", decay]);
  expect(stdout).toBe("");
});
