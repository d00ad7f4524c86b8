import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRunFile, runFilePart } from "./run-file.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-run-"));
});
afterEach(() => rm(directory, { recursive: true }));

const said: string[] = [];
const logger = pino({ level: "warn" }, { write: (line) => said.push(line) });
const run = { pid: process.pid, http: "http://127.0.0.1:1", program: "gateway" } as const;

test("a process says where it answers while it runs", async () => {
  const part = runFilePart(directory, () => run, logger);
  await part.start();
  expect(readRunFile(directory)).toEqual(run);
  await part.stop();
  expect(readRunFile(directory)).toBeUndefined();
  expect(said).toEqual([]);
});

test("a disk that takes no file stops nothing, and that is said", async () => {
  await mkdir(join(directory, "run.json"));
  await runFilePart(directory, () => run, logger).start();
  expect(said).toHaveLength(1);
  expect(said[0]).toContain("run.json cannot be written");
});

test("a file that a killed process left behind names nobody, although another one has its number by now", async () => {
  await runFilePart(directory, () => run, logger).start();
  const file = join(directory, "run.json");
  const { begun, ...rest } = JSON.parse(readFileSync(file, "utf8")) as { begun: string };
  expect(begun).toMatch(/^[0-9a-f-]{36} \d+$/);
  const [boot = "", ticks = ""] = begun.split(" ");
  for (const other of [`${boot} ${Number(ticks) - 1}`, `${boot.replace(/^./, "x")} ${ticks}`]) {
    writeFileSync(file, JSON.stringify({ ...rest, begun: other }));
    expect(readRunFile(directory)).toBeUndefined();
  }
  // One of an earlier version says less, and is believed.
  writeFileSync(file, JSON.stringify(rest));
  expect(readRunFile(directory)).toEqual(run);
});
