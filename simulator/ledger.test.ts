import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LedgerWriter } from "./ledger.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-ledger-"));
  file = join(folder, "ledger.ndjson");
});
afterEach(() => rm(folder, { recursive: true }));

test("lines are kept back, and are in the file after flush, a full buffer or stop", () => {
  const ledger = new LedgerWriter(file);
  ledger.start();
  ledger.write({ t: "ack", n: 1, at: 5 });
  expect(readFileSync(file, "utf8")).toBe("");
  ledger.flush();
  expect(readFileSync(file, "utf8")).toBe('{"t":"ack","n":1,"at":5}\n');
  for (let n = 2; n < 4000; n += 1) ledger.write({ t: "ack", n, at: 5 });
  const early = readFileSync(file, "utf8").length;
  expect(early).toBeGreaterThan(64 * 1024);
  ledger.stop();
  ledger.stop();
  expect(readFileSync(file, "utf8").length).toBeGreaterThan(early);
  expect(readFileSync(file, "utf8").trimEnd().split("\n")).toHaveLength(3999);
});

test("a process that ends has written them; a new ledger begins anew", () => {
  const ledger = new LedgerWriter(file);
  ledger.start();
  ledger.write({ t: "ack", n: 1, at: 5 });
  const listeners = process.listeners("exit");
  listeners.at(-1)?.(0);
  expect(readFileSync(file, "utf8")).toContain('"n":1');
  ledger.stop();
  expect(process.listeners("exit")).toHaveLength(listeners.length - 1);
  const next = new LedgerWriter(file);
  next.start();
  next.stop();
  expect(readFileSync(file, "utf8")).toBe("");
});

test("a place that cannot be written is told", () => {
  expect(() => new LedgerWriter(join(folder, "none", "ledger")).start()).toThrow(
    /the ledger .* cannot be written: ENOENT.*choose another place/,
  );
});
