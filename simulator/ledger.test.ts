import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Rule } from "../rules/rule.ts";
import { LedgerWriter } from "./ledger.ts";
import { parseLedger } from "./oracle-ledger.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-ledger-"));
  file = join(folder, "ledger.ndjson");
});
afterEach(() => rm(folder, { recursive: true }));

const HEADER = { t: "ledger", kind: "fleet", options: {}, at: 1000 } as const;

test("what is written is what the oracle reads", () => {
  const ledger = new LedgerWriter(file);
  ledger.start();
  const rules = [{ name: "warm" }] as unknown as Rule[];
  ledger.write({ ...HEADER, kind: "scenario", scenario: "cold-chain", seed: 7, rules });
  const odd = { "a b": 1.5, ü: true, '"': "x\ny" };
  ledger.write({ t: "sent", n: 1, at: 1010, d: "a", time: 1009, m: { v: 1 } });
  ledger.write({ t: "sent", n: 2, at: 1011, d: "ü", time: undefined, measured: 1008, m: odd });
  ledger.write({ t: "ack", n: 1, at: 1012 });
  ledger.write({ t: "ack", n: 2, at: 1012 });
  ledger.write({ t: "resent", n: 1, at: 1013 });
  ledger.write({ t: "again", n: 1, at: 1014 });
  ledger.write({ t: "sent", n: 3, at: 1015, d: "a", time: 900, measured: 1014, m: {} });
  ledger.write({ t: "dropped", d: "a", at: 1016, count: 3 });
  ledger.write({ t: "end", at: 1020, sent: 3, acknowledged: 2 });
  ledger.stop();
  const text = readFileSync(file, "utf8");
  expect(text).toContain('["a",12,1,2]\n');
  expect(parseLedger(text)).toEqual({
    kind: "scenario",
    scenario: "cold-chain",
    seed: 7,
    rules: [{ name: "warm" }],
    from: 1000,
    to: 1020,
    complete: true,
    dropped: 3,
    messages: [
      { device: "a", at: 1010, time: 1009, metrics: { v: 1 }, writes: 3, acknowledged: true },
      { device: "ü", at: 1011, time: undefined, metrics: odd, writes: 1, acknowledged: true },
      { device: "a", at: 1015, time: 900, metrics: {}, writes: 1, acknowledged: false },
    ],
  });
});

test("lines are kept back, and are in the file after flush, a full buffer or stop", () => {
  const ledger = new LedgerWriter(file);
  ledger.start();
  ledger.write(HEADER);
  ledger.write({ t: "ack", n: 1, at: 1005 });
  expect(readFileSync(file, "utf8")).toBe("");
  ledger.flush();
  expect(readFileSync(file, "utf8")).toMatch(/\n\["a",5,1\]\n$/);
  for (let n = 2; n < 9000; n += 1) ledger.write({ t: "ack", n, at: 1000 + n });
  const early = readFileSync(file, "utf8").length;
  expect(early).toBeGreaterThan(64 * 1024);
  ledger.stop();
  ledger.stop();
  expect(readFileSync(file, "utf8").length).toBeGreaterThan(early);
  expect(readFileSync(file, "utf8").trimEnd().split("\n")).toHaveLength(9000);
});

test("a process that ends has written them; a new ledger begins anew", () => {
  const ledger = new LedgerWriter(file);
  ledger.start();
  ledger.write({ t: "ack", n: 1, at: 5 });
  const listeners = process.listeners("exit");
  listeners.at(-1)?.(0);
  expect(readFileSync(file, "utf8")).toBe('["a",5,1]\n');
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
