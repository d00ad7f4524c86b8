/** Do our rules page us when they must, and only then, whatever the store's gateway and its network go through? */
import { join } from "node:path";
import { fleet, story } from "tidegate/simulator";
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
  test.each([1, 2, 3])("whatever goes wrong with seed %i", async (seed) => {
    const site = await store.start({ seed });
    await site.advance("30m");
    site.gatewayFault("store", "powerCut", "2m");
    await site.advance("30m");
    site.siteFault("powerCut", "5m");
    await site.advance("30m");
    site.gatewayFault("store", "halfOpen", "10m");
    const run = await site.finish();

    expect([...run.problems, ...run.warnings], story(run)).toEqual([]);
    expect(run.acknowledged).toBe(run.sent);
    expect(run.alerts.filter(({ state }) => state === "firing")).toEqual([]);
  });
});
