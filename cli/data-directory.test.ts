import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeDataDirectory } from "./data-directory.ts";

const directory = mkdtempSync(join(tmpdir(), "tidegate-data-directory-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("is made with the directories above it, and may be there already", () => {
  const path = join(directory, "a", "b");
  makeDataDirectory(path);
  makeDataDirectory(path);
  expect(existsSync(path)).toBe(true);
});

test("behind a plain file, and where no directory can be made, it is refused with the flag", () => {
  const plain = join(directory, "plain");
  writeFileSync(plain, "");
  for (const path of [plain, join(plain, "x", "y")]) {
    expect(() => makeDataDirectory(path)).toThrow(/plain is not a directory\); .*--data-dir/);
  }
  if (process.platform === "linux") {
    expect(() => makeDataDirectory("/proc/x/y")).toThrow(/\/proc\/x.*--data-dir/);
  }
});
