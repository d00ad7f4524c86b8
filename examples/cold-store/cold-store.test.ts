/** Do our rules page us when they must, and only then, whatever the store's gateway and its network go through? */
import { join } from "node:path";
import { fleet, type MetricMoment, story } from "tidegate/simulator";
import { describe, expect, test } from "vitest";

const store = fleet({
  duration: "4h",
  rules: join(import.meta.dirname, "rules.yaml"),
  gateways: [
    {
      name: "store",
      devices: [
        { kind: "freezer", count: 6, every: "60s" },
        { kind: "door", count: 2, every: "60s" },
      ],
    },
  ],
});

const MINUTE = 60_000;

describe("a freezer that fails", () => {
  test("pages once, ten minutes later, and says when it is over", async () => {
    const site = await store.start({ seed: 1 });
    await site.advance("1h");
    site.set("freezer-2", "temperature", -9);
    await site.advance("30m");
    site.set("freezer-2", "temperature", undefined);
    const run = await site.finish();

    expect([...run.problems, ...run.warnings], story(run)).toEqual([]);
    const changes = run.alerts.filter(({ rule }) => rule === "freezer-warm");
    expect(changes.map(({ device, state }) => `${device} ${state}`)).toEqual([
      "freezer-2 pending",
      "freezer-2 firing",
      "freezer-2 resolved",
    ]);
    const firing = changes.find(({ state }) => state === "firing");
    expect(firing?.beganAt).toBeLessThan(61 * MINUTE);
    expect(firing?.at).toBeGreaterThanOrEqual((firing?.beganAt ?? 0) + 10 * MINUTE);
    expect(firing?.at).toBeLessThan(73 * MINUTE);
  });

  test("is known behind a dead link too, but nobody is woken for what is over", async () => {
    const site = await store.start({ seed: 2 });
    site.gatewayFault("store", "linkDown", "3h");
    await site.advance("30m");
    site.set("freezer-1", "temperature", -9);
    await site.advance("20m");
    site.set("freezer-1", "temperature", undefined);
    const run = await site.finish();

    expect([...run.problems, ...run.warnings], story(run)).toEqual([]);
    const fired = run.alerts.filter(({ state }) => state === "firing");
    expect(fired.map(({ device, historical }) => ({ device, historical }))).toEqual([
      { device: "freezer-1", historical: true },
    ]);
  });
});

describe("a quiet day pages nobody", () => {
  test("whatever goes wrong with any seed", async () => {
    const tried = await store.sweep({
      seeds: 3,
      check: async (site) => {
        await site.advance("30m");
        site.gatewayFault("store", "powerCut", "2m");
        site.link("store", { latency: "1s", jitter: "1s", loss: "10%" });
        await site.advance("30m");
        site.siteFault("powerCut", "5m");
        await site.advance("30m");
        site.gatewayFault("store", "halfOpen", "10m");
        const run = await site.finish();

        expect(run.warnings, story(run)).toEqual([]);
        expect(run.acknowledged).toBe(run.sent);
        expect(run.alerts.filter(({ state }) => state === "firing")).toEqual([]);
      },
    });
    // What never struck was never tried.
    expect(tried.strikes["message lost"]).toBeGreaterThan(0);
    expect(tried.strikes["site power cut"]).toBe(3);
  });
});

describe("a sensor of our own", () => {
  /** Falls by 0.4 V an hour, a little differently on each door. */
  const battery = (_: number, { elapsedMs, chance }: MetricMoment) =>
    3 - (0.4 * elapsedMs) / 3_600_000 - 0.01 * chance();
  const doors = fleet({
    duration: "3h",
    rules: join(import.meta.dirname, "rules.yaml"),
    gateways: [
      { name: "store", devices: [{ name: "door", count: 2, every: "60s", metrics: { battery } }] },
    ],
  });

  test("its battery is told of when it is low, and while it is not, not", async () => {
    const site = await doors.start({ seed: 4 });
    await site.advance("1h");
    expect(await site.alerts()).toEqual([]);
    const low = async () => (await site.alerts()).length === 2;
    const at = await site.advanceUntil(low, { atMost: "1h" });
    expect(at).toBeGreaterThan(70 * MINUTE);
    expect(at).toBeLessThan(80 * MINUTE);
    const run = await site.finish();
    expect(run.problems, story(run)).toEqual([]);
  });

  test("the gateway's clock that somebody sets is no matter: doors have a time of their own", async () => {
    const site = await doors.start({ seed: 5 });
    await site.advance("30m");
    site.clockJump("store", "-1d");
    const run = await site.finish();

    expect(run.problems, story(run)).toEqual([]);
    // There are no freezers here for the other rule.
    expect(run.warnings).toEqual([expect.stringContaining("freezer-warm has looked at nothing")]);
    const late = run.readings.filter(({ time = 0, sentAt }) => sentAt - time > MINUTE);
    expect(late).toEqual([]);
    expect(run.alerts.map(({ state, historical }) => ({ state, historical }))).toEqual([
      { state: "firing", historical: false },
      { state: "firing", historical: false },
    ]);
  });
});
