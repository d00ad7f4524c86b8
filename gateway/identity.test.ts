import { mkdtempSync } from "node:fs";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadIdentity, saveIdentity } from "./identity.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-identity-"));
});
afterEach(async () => {
  await chmod(directory, 0o700);
  await rm(directory, { recursive: true });
});

test("an id is made at the first start and stays", async () => {
  const made = await loadIdentity(join(directory, "new", "deep"));
  expect(made.gateway).toMatch(/^gw-[0-9a-z]{8}$/);
  expect(made.bufferMade).toBe(false);
  expect(await loadIdentity(join(directory, "new", "deep"))).toEqual(made);
});

test("two first starts make two ids", async () => {
  const [a, b] = [
    await loadIdentity(join(directory, "a")),
    await loadIdentity(join(directory, "b")),
  ];
  expect(a.gateway).not.toBe(b.gateway);
});

test("that the buffer was made is remembered", async () => {
  const made = await loadIdentity(directory, "plant-7");
  await saveIdentity(directory, { ...made, bufferMade: true });
  expect(await loadIdentity(directory)).toEqual({ gateway: "plant-7", bufferMade: true });
});

test("another id for the same data is refused: its readings would change their owner", async () => {
  await loadIdentity(directory, "plant-7");
  await expect(loadIdentity(directory, "plant-8")).rejects.toMatchObject({
    code: "other_gateway",
    message: expect.stringContaining("--data-dir"),
  });
});

test("a broken file is an error that names it and leaves it as it is", async () => {
  await writeFile(join(directory, "gateway.json"), "{");
  await expect(loadIdentity(directory)).rejects.toMatchObject({
    code: "unreadable",
    message: expect.stringContaining("gateway.json"),
  });
  expect(await readFile(join(directory, "gateway.json"), "utf8")).toBe("{");
});

test("a directory that cannot be written is named with what to do", async () => {
  await writeFile(join(directory, "file"), "");
  await expect(loadIdentity(join(directory, "file", "x"))).rejects.toMatchObject({
    code: "unwritable",
    message: expect.stringContaining("--data-dir"),
  });
});
