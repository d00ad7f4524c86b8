import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { LedgerWriter } from "./ledger.ts";
import { LedgerParts } from "./ledger-parts.ts";
import { readLedger } from "./oracle-ledger.ts";
import { sfc32 } from "./random.ts";

const directory = mkdtempSync(join(tmpdir(), "tidegate-parts-"));
afterAll(() => rm(directory, { recursive: true }));
const path = (name: string) => join(directory, name);

/** Everything that a ledger can say, in the order of chance. */
function written(name: string, { ends }: { readonly ends: boolean }): string {
  const writer = new LedgerWriter(path(name));
  const random = sfc32(5);
  writer.start();
  const rules = [{ name: "r" }] as never;
  writer.write({
    t: "ledger",
    kind: "scenario",
    scenario: "s",
    seed: 3,
    rules,
    options: {},
    at: 1000,
  });
  for (let n = 1; n <= 900; n += 1) {
    const at = 1000 + n * 7;
    const device = `d${Math.floor(random() * 20)}`;
    const m = random() < 0.5 ? { v: n } : { v: n, open: random() < 0.5, word: "ä\n" };
    const time = random() < 0.2 ? undefined : at - 3;
    writer.write({ t: "sent", n, at, d: device, time, m });
    const earlier = 1 + Math.floor(random() * n);
    if (random() < 0.2) writer.write({ t: random() < 0.5 ? "again" : "resent", n: earlier, at });
    if (random() < 0.1) writer.write({ t: "dropped", at, d: device, count: 2 });
    if (random() < 0.9) writer.write({ t: "ack", n: earlier, at });
  }
  if (ends) writer.write({ t: "end", at: 99_000, sent: 900, acknowledged: 1 });
  writer.stop();
  return path(name);
}

test.each([true, false])("in parts it says what it says as a whole (ended: %s)", (ends) => {
  const file = written(`ledger-${ends}`, { ends });
  const { messages, ...head } = readLedger(file);
  const options = { directory: mkdtempSync(path("t-")), partMessages: 100, pieceBytes: 2000 };
  const parts = new LedgerParts(file, options);
  expect(parts.head).toEqual(head);
  expect(parts.count).toBeGreaterThan(5);
  expect(parts.deviceCount).toBe(20);
  const seen = new Set<string>();
  const all = Array.from({ length: parts.count }, (_, part) => {
    const own = parts.messages(part);
    for (const { device } of own) expect(parts.partOf(device)).toBe(part);
    const devices = new Set(own.map(({ device }) => device));
    for (const device of devices) expect(seen.has(device)).toBe(false);
    for (const device of devices) seen.add(device);
    return own;
  }).flat();
  const text = (one: object) => JSON.stringify(one);
  expect(all.map(text).sort()).toEqual(messages.map(text).sort());
  expect(parts.partOf("stranger")).toBeUndefined();
});

test("what is no ledger, or speaks of what was never sent, is told", () => {
  const options = { directory: mkdtempSync(path("t-")) };
  writeFileSync(path("none"), "");
  expect(() => new LedgerParts(path("none"), options)).toThrow("not a ledger of version 2");
  writeFileSync(path("odd"), `{"t":"ledger","version":2,"kind":"fleet","at":5}\n["a",1,7]\n`);
  expect(() => new LedgerParts(path("odd"), options)).toThrow("ledger: message 7 was never sent");
});
