import { describe, expect, test } from "vitest";
import { type FleetDefinition, fleet, story } from "./simulator.ts";

const STORE: FleetDefinition = {
  duration: "20m",
  rules: [
    { name: "warm", when: "temperature above -15", for: "2m", device: "freezer-*" },
    { name: "open", when: "door_open above 0" },
    { name: "typo", when: "temprature above 0" },
    { name: "nobody", when: "temperature above 0", device: "frezer-*" },
  ],
  gateways: [{ name: "store", devices: [{ kind: "freezer", count: 2, every: "30s" }] }],
};

describe("a fleet in a test's hands", () => {
  test("what is set is measured, fires and is told in the story", async () => {
    const site = await fleet(STORE).start({ seed: 3 });
    await site.advance("5m");
    site.set("freezer-2", "temperature", -3);
    await site.advance("5m");
    const [pending, firing] = await site.alerts();
    expect([pending?.state, firing?.state]).toEqual(["pending", "firing"]);
    expect(firing?.device).toBe("freezer-2");
    expect(firing?.beganAt).toBeGreaterThanOrEqual(5 * 60_000);
    expect((firing?.at ?? 0) - (firing?.beganAt ?? 0)).toBeGreaterThanOrEqual(2 * 60_000);
    site.set("freezer-2", "temperature", undefined);
    site.gatewayFault("store", "powerCut", "1m");
    const run = await site.finish();
    expect(run.problems).toEqual([]);
    expect(run.alerts.map(({ state }) => state)).toEqual(["pending", "firing", "resolved"]);
    const text = story(run);
    expect(text).toMatch(/warm firing: freezer-2 -3/);
    expect(text).toContain("freezer-2: temperature is set to -3");
    expect(text).toContain("store: gateway power cut for 00:01:00.000");
    expect(text).toMatch(/\n$/);
  });

  test("rules that cannot fire are told, each with why", async () => {
    const { warnings } = await fleet(STORE).run();
    expect(warnings).toEqual([
      "the rule open has looked at nothing: door_open never was a number, and rules look at numbers alone",
      expect.stringMatching(
        /^the rule typo .* no \* has a metric temprature; there are temperature/,
      ),
      "the rule nobody has looked at nothing: no device is called frezer-*",
    ]);
  });

  test("slips are told where they are made", async () => {
    const site = await fleet(STORE).start();
    expect(() => site.set("freezer-9", "temperature", 1)).toThrow(/freezer-1, freezer-2/);
    expect(() => site.set("freezer-1", "temprature", 1)).toThrow(/temperature/);
    expect(() => site.set("freezer-1", "temperature", Number.NaN)).toThrow(/finite number/);
    expect(() => site.gatewayFault("sotre", "linkDown", "1m")).toThrow(/there are store/);
    expect(() => site.gatewayFault("store", "linkdown" as never, "1m")).toThrow(/linkDown/);
    expect(() => site.siteFault("toString" as never, "1m")).toThrow(/processorsKilled/);
    await expect(site.advance("soon")).rejects.toThrow(/30s, 5m or 1h30m/);
    await expect(site.advance("3h")).rejects.toThrow(/duration is over at 00:20:00/);
    const first = site.advance("1m");
    await expect(site.advance("1m")).rejects.toThrow(/await the call before/);
    expect(() => site.set("freezer-1", "temperature", 1)).toThrow(/await the call before/);
    await first;
    await site.finish();
    await expect(site.advance("1m")).rejects.toThrow(/is finished/);
  });
});
