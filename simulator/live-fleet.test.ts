import { describe, expect, test } from "vitest";
import { type FleetDefinition, fleet, type MetricMoment, story } from "./simulator.ts";

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
    await site.advance("2m");
    site.gatewayFault("store", "killed", "10s");
    await site.advance("1m");
    site.gatewayFault("store", "restarted", "10s");
    const run = await site.finish();
    expect(run.problems).toEqual([]);
    expect(run.alerts.map(({ state }) => state)).toEqual(["pending", "firing", "resolved"]);
    const text = story(run);
    expect(text).toMatch(/warm firing: freezer-2 -3/);
    expect(text).toContain("freezer-2: temperature is set to -3");
    expect(text).toContain("store: gateway power cut for 00:01:00.000");
    expect(text).toMatch(/\n$/);
  });

  test("time passes until something is so, and what does not come is told", async () => {
    const site = await fleet(STORE).start({ seed: 3 });
    site.set("freezer-1", "temperature", -3);
    const firing = async () => (await site.alerts()).some(({ state }) => state === "firing");
    const at = await site.advanceUntil(firing, { atMost: "10m" });
    const [, fired] = await site.alerts();
    expect(at).toBeGreaterThanOrEqual(fired?.at ?? Number.POSITIVE_INFINITY);
    expect(at - (fired?.at ?? 0)).toBeLessThan(5000);
    expect(await site.advanceUntil(() => true, { atMost: 0 })).toBe(site.now);
    const never = site.advanceUntil(() => site.now < 0, { atMost: "30s", every: "7s" });
    await expect(never).rejects.toThrow(/^not so from 00:0.* to 00:0.*: \(\) => site\.now < 0$/);
    await expect(site.advanceUntil(() => false, { atMost: "1m", every: 0 })).rejects.toThrow(
      /every/,
    );
    await expect(site.advanceUntil(() => false, { atMost: "5h" })).rejects.toThrow(
      /duration is over/,
    );
    expect((await site.finish()).problems).toEqual([]);
  });

  test("a site without power says what it said before", async () => {
    const site = await fleet(STORE).start({ seed: 3 });
    expect(await site.alerts()).toEqual([]);
    await site.advance("1m");
    site.set("freezer-1", "temperature", -3);
    await site.advance("1m");
    expect(await site.alerts()).toHaveLength(1);
    site.siteFault("powerCut", "5m");
    await site.advance("4m");
    expect(await site.alerts()).toHaveLength(1);
    await site.advance("5m");
    expect(await site.alerts()).toHaveLength(2);
    expect((await site.finish()).problems).toEqual([]);
  });

  test("the readings: what was sent, when, how often, and when it was acknowledged", async () => {
    const site = await fleet(STORE).start({ seed: 5 });
    await site.advance("5m");
    site.set("freezer-2", "temperature", -3);
    const before = site.readings();
    expect(before.length).toBeGreaterThan(15);
    const run = await site.finish();
    expect(run.readings.slice(0, before.length).map(({ n }) => n)).toEqual(
      before.map(({ n }) => n),
    );
    expect(run.readings).toHaveLength(run.sent);
    const own = run.readings.filter(({ device }) => device === "freezer-2");
    expect(own.map(({ n }) => n)).toEqual(own.map((_, at) => at + 1));
    for (const { gateway, time = 0, metrics, sentAt, sendings, acknowledgedAt = 0 } of own) {
      expect(gateway).toBe("store");
      expect(metrics.temperature === -3).toBe(time > 5 * 60_000);
      expect(sentAt - time).toBeLessThan(1000);
      expect(sendings).toBe(1);
      expect(acknowledgedAt).toBeGreaterThan(sentAt);
    }
  });

  test("a link gets worse, goes, and comes back", async () => {
    const firing = (late: readonly { state: string; historical: boolean }[]) =>
      late.filter(({ state }) => state === "firing").map(({ historical }) => historical);
    const plan = fleet({ ...STORE, duration: "3h" });
    const site = await plan.start({ seed: 3 });
    site.link("store", { latency: "1s", jitter: "2s", loss: "30%", duplicates: 0.2 });
    await site.advance("20m");
    site.link("store", { down: true });
    site.set("freezer-1", "temperature", -3);
    await site.advance("70m");
    expect(await site.alerts()).toEqual([]);
    site.link("store", { down: false });
    await site.advance("5m");
    expect(firing(await site.alerts())).toEqual([true, false]);
    site.link("store", undefined);
    site.link("store", { loss: "100%" });
    const run = await site.finish();
    expect(run.problems).toEqual([]);
    expect(run.acknowledged).toBe(run.sent);
    expect(run.strikes["message twice"]).toBeGreaterThan(10);
    expect(run.strikes["message lost"]).toBeGreaterThan(50);
    expect(story(run)).toContain('store: its link is {"down":true}');
    expect(plan.scenario().gateways[0]?.link.loss).toBe(0);
  });

  test("a clock is set, and readings without a time of their own have the wrong one for a minute", async () => {
    const [gateway] = STORE.gateways;
    const timeless = gateway?.devices?.map((group) => ({ ...group, time: "none" as const })) ?? [];
    const site = await fleet({
      ...STORE,
      gateways: [{ name: "store", devices: timeless }],
    }).start({ seed: 3 });
    await site.advance("5m");
    site.clockJump("store", "-3h");
    await site.advance("5m");
    site.clockJump("store", 30_000);
    const run = await site.finish();
    expect(run.problems).toEqual([]);
    expect(run.strikes["clock jump"]).toBe(2);
    const windows = run.rollups.map(({ window }) => window - run.scenario.start);
    expect(Math.min(...windows)).toBeLessThan(-2 * 3_600_000);
    expect(story(run)).toContain("its clock is set back by 03:00:00.000");
  });

  test.each([3, 4])("many devices behind a slow link are no fault, seed %i", async (seed) => {
    const run = await fleet({
      duration: "2m",
      gateways: [
        {
          name: "g",
          link: { latency: "90ms", jitter: "60ms" },
          devices: [{ kind: "freezer", count: 60, every: "1s" }],
        },
      ],
    }).run({ seed });
    expect(run.problems).toEqual([]);
  });

  test("of too many alerts the story tells those that fired", async () => {
    const open = (time: number, { elapsedMs }: MetricMoment) =>
      elapsedMs < 2_400_000 ? Math.floor(time / 20_000) % 2 : 1;
    const run = await fleet({
      duration: "1h",
      rules: [{ name: "open", when: "open above 0", for: "2m" }],
      gateways: [{ name: "g", devices: [{ name: "door", every: "10s", metrics: { open } }] }],
    }).run();
    expect(run.alerts.length).toBeGreaterThan(100);
    const told = story(run)
      .split("\n")
      .filter((line) => / open (pending|firing|resolved): /.test(line));
    expect(told.map((line) => line.trim().split(" ")[2])).toEqual(["pending:", "firing:"]);
    expect(story(run)).toMatch(/\n {2}and 1\d\d more\n/);
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
    expect(() => site.link("sotre", { down: true })).toThrow(/there are store/);
    expect(() => site.link("store", { los: 1 } as never)).toThrow(
      /a link has no los; it has latency/,
    );
    expect(() => site.link("store", { loss: "20" })).toThrow(/loss is "20"; it must be a share/);
    expect(() => site.link("store", { latency: -5 })).toThrow(
      /latency is -5; it must be a duration/,
    );
    expect(() => site.clockJump("store", "soon")).toThrow(/by is "soon"; it must be a duration/);
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
