/** Large payloads in virtual time: nothing that was acknowledged is ever nowhere, and what is planted is found. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { PAYLOAD_MUTATIONS } from "./payload-mutations.ts";
import { judge, type Known } from "./payload-oracle.ts";
import { runPayloads } from "./payload-site.ts";

const run = promisify(execFile);
const SEEDS = 30;

test(`${SEEDS} seeds: pictures through power cuts, full disks, harmed files, decay and a store that is away`, async () => {
  const struck = new Map<string, number>();
  let stored = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { problems, strikes, ...figures } = await runPayloads(seed);
    expect(problems, `seed ${seed} of runPayloads()`).toEqual([]);
    for (const [kind, times] of strikes) struck.set(kind, (struck.get(kind) ?? 0) + times);
    stored += figures.stored;
  }
  // A run in which nothing happens proves nothing.
  expect(stored).toBeGreaterThan(100 * SEEDS);
  expect([...struck.keys()].sort()).toEqual([
    "disk full",
    "file harmed",
    "killed",
    "power cut",
    "record damaged",
    "restarted",
    "store away",
    "store lost",
    "tail lost",
    "write errors",
  ]);
});

test("the same seed is the same run", async () => {
  expect(await runPayloads(7)).toEqual(await runPayloads(7));
});

test.concurrent.each(PAYLOAD_MUTATIONS)("$name: within $seeds seeds", async ({ name, seeds }) => {
  const hook = join(import.meta.dirname, "mutate.ts");
  const child = join(import.meta.dirname, "find-payloads.child.ts");
  const { stdout } = await run(process.execPath, ["--import", hook, child, String(seeds)], {
    env: { ...process.env, MUTATION: name },
  });
  expect(stdout, "no seed failed").toMatch(/^\{"seed":\d+,"how":"/);
});

test("the judge finds what is missing, changed, doubled or not told", () => {
  const picture = Buffer.from("picture");
  const sha256 = "a".repeat(64);
  const stamp = { received: 1, clock: "synced", boot: "b", uptime: 1 } as const;
  const about = { device: "d", topic: "t", size: 7, sha256, key: "k", ref: "r" };
  const told = { ...stamp, ...about, payload: "1" };
  const good: Known = {
    acknowledged: new Set([sha256]),
    told: { payloads: [told], stored: [{ ...told, accepted: 1 }], lost: [], losses: 0 },
    objects: new Map([["k", picture]]),
    harmed: new Map(),
    decayed: false,
    givesWay: false,
    digest: (bytes) => (bytes.equals(picture) ? sha256 : "other"),
  };
  const lost = { ...stamp, payload: "1", sha256, reason: "damage" } as const;
  expect(judge(good)).toEqual([]);
  const faults: readonly Partial<Known>[] = [
    { objects: new Map() },
    { objects: new Map([["k", Buffer.from("other")]]) },
    { told: { ...good.told, stored: [] } },
    { told: { ...good.told, payloads: [], stored: [] } },
    { told: { ...good.told, stored: [...good.told.stored, ...good.told.stored] } },
    { told: { ...good.told, lost: [lost] } },
    { told: { ...good.told, stored: [], lost: [lost] } },
    { told: { ...good.told, stored: [], lost: [{ ...lost, reason: "full" }] } },
  ];
  for (const fault of faults) expect(judge({ ...good, ...fault })).not.toEqual([]);
});
