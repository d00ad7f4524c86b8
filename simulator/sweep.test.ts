import { describe, expect, test } from "vitest";
import { type FleetDefinition, fleet, SweepError } from "./simulator.ts";

/** Two stores and more that goes wrong than a test needs to fail. */
const STORES: FleetDefinition = {
  name: "stores",
  duration: "30m",
  rules: [{ name: "warm", when: "temperature above -15", for: "2m", device: "*freezer-*" }],
  gateways: [
    {
      name: "store",
      count: 2,
      link: { down: { every: "20m", for: "1m" }, loss: "5%" },
      devices: [
        { kind: "freezer", count: 2, every: "30s", duplicates: "5%" },
        { kind: "room", every: "30s" },
      ],
    },
  ],
  events: [{ at: "5m", for: "8m", device: "store-2-freezer-1", metric: "temperature", set: -3 }],
  site: { log_away: { every: "30m", for: "30s" } },
};

async function failed(run: Promise<unknown>): Promise<SweepError> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SweepError) return error;
  throw new Error(`it was no SweepError but ${String(error)}`);
}

describe("a test with many seeds", () => {
  test("where it holds it says what was tried", async () => {
    const seeds: number[] = [];
    const result = await fleet(STORES).sweep({
      seeds: 3,
      from: 7,
      check: async (site, seed) => {
        seeds.push(seed);
        await site.advance("10m");
        expect(await site.alerts()).not.toEqual([]);
      },
    });
    expect(seeds).toEqual([7, 8, 9]);
    expect(result).toMatchObject({ seeds: 3, fired: 3 });
    expect(result.sent).toBe(result.acknowledged);
    expect(result.sent).toBeGreaterThan(3 * 6 * 55);
    expect(result.strikes["message lost"]).toBeGreaterThan(10);
  });

  test("what fails is made small, and told with its seed and how to see it again", async () => {
    const error = await failed(
      fleet(STORES).sweep({
        seeds: 5,
        shrinkRuns: 60,
        check: async (site, seed) => {
          const { alerts } = await site.finish();
          if (seed < 2) return;
          expect(alerts.filter(({ state }) => state === "firing")).toEqual([]);
        },
      }),
    );
    expect(error.seed).toBe(2);
    expect((error.cause as Error).name).toBe("AssertionError");
    const [whole = "", small = ""] = error.message.split("\n\n");
    expect(whole).toMatch(/^stores fails with seed 2:\n {2}AssertionError: expected/);
    // One gateway, one device, nothing that goes wrong, and about as long as it takes.
    const [lead = "", ...rest] = small.split("\n");
    expect(lead).toMatch(/^The smallest that still fails there, after \d+ runs: 00:0[789]/);
    expect(rest.slice(0, 2)).toEqual([
      "  store-2: store-2-freezer-1",
      "  with nothing that goes wrong by the scenario",
    ]);
    expect(error.message).toMatch(/\n {2}00:07:.* warm firing: store-2-freezer-1 -3\n/);
    expect(error.message).toMatch(
      /\nAgain: start\(\{ seed: 2 \}\), or sweep\(\{ from: 2, seeds: 1, … \}\)$/,
    );
  });

  test("another failure than the first is no smaller one", async () => {
    const error = await failed(
      fleet(STORES).sweep({
        seeds: 1,
        shrinkRuns: 25,
        check: async (site) => {
          // What is smaller has no such device, or ends before.
          site.set("store-1-room-1", "temperature", 30);
          await site.advance("25m");
          expect(site.readings().some(({ metrics }) => metrics.temperature === 30)).toBe(false);
        },
      }),
    );
    expect(error.message).toContain("\n  store-1: store-1-room-1\n");
    expect(error.message).toContain(" runs: 00:30:00.000 of\n");
  });

  test("without a check the run itself has to be well; a slip is told as one", async () => {
    await expect(fleet(STORES).sweep({ seeds: 0 })).rejects.toThrow(/seeds is 0; it must be/);
    const slip = await failed(
      fleet(STORES).sweep({ seeds: 2, shrinkRuns: 0, check: (site) => site.set("x", "y", 1) }),
    );
    expect(slip.message).toContain("RangeError: no device is called x");
    expect(slip.message).toContain("after 0 runs");
    expect(await fleet(STORES).sweep({ seeds: 2, durationMs: 200_000 })).toMatchObject({
      seeds: 2,
    });
  });

  test("a rule that looked at nothing with any seed is no success", async () => {
    const warm = { name: "warm", when: "temperature above -15", device: "nobody-*" };
    const dead: FleetDefinition = { ...STORES, rules: [warm] };
    const error = await failed(fleet(dead).sweep({ seeds: 2, durationMs: 100_000 }));
    expect(error.message).toMatch(
      /^With every one of 2 seeds, so that it was not tried:\n {2}.*nobody-\*/,
    );
  });

  test("what does not fail again is told as that", async () => {
    let calls = 0;
    const error = await failed(
      fleet(STORES).sweep({
        seeds: 1,
        shrinkRuns: 3,
        durationMs: 100_000,
        check: () => {
          calls += 1;
          if (calls === 1) throw new Error("once");
        },
      }),
    );
    expect(error.message).toContain("It did not fail there again with the same seed");
  });
});
