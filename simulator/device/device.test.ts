import { describe, expect, test } from "vitest";
import { numbers, ScriptedWorld, START, specOf } from "./test-support/scripted-world.ts";

describe("a device", () => {
  test("measures at its times, and sends flat JSON with time and number", () => {
    const spec = specOf({ phaseMs: 250, metrics: { t: { unit: "", at: (time) => time - START } } });
    const world = new ScriptedWorld(spec).started().pass(2300);
    expect(world.told).toEqual(["connect", "publish 1", "publish 2", "publish 3"]);
    expect(
      world.writes.map(({ packet }) => [packet.topic, JSON.parse(`${packet.payload}`)]),
    ).toEqual(
      [250, 1250, 2250].map((at, index) => [
        "sensors/freezer-1",
        { time: START + at, t: at, n: index + 1 },
      ]),
    );
    expect(world.writes.every(({ fresh }) => fresh)).toBe(true);
    expect(world.writes[1]?.reading).toMatchObject({
      n: 2,
      time: START + 1250,
      measured: START + 1250,
    });
  });

  test("goes no further than its window, and on with each acknowledgement", () => {
    const world = new ScriptedWorld(specOf({ behaviour: { window: 2 } })).started().pass(4500);
    expect(world.news()).toEqual(["connect", "publish 1", "publish 2"]);
    expect(world.device.queued).toBe(3);
    world.device.puback(1);
    expect(world.news()).toEqual(["publish 3"]);
    world.device.puback(1);
    world.device.puback(77);
    expect(world.news()).toEqual([]);
    expect(numbers(world.acked)).toEqual([1]);
  });

  test("keeps what it measures without a connection, and gives up the oldest beyond its memory", () => {
    const world = new ScriptedWorld(specOf({ behaviour: { maxQueued: 3, window: 10 } })).started();
    world.pass(500).device.disconnected();
    // At 0 s one was sent; 1 to 6 s wait for the connection.
    while (world.time < START + 6500) {
      world.pass(100);
      if (world.news().includes("connect")) world.device.disconnected();
    }
    expect(numbers(world.given)).toEqual([2, 3, 4]);
    expect(world.device).toMatchObject({ queued: 3, unacknowledged: 1, online: false });
    world.pass(30_000);
    expect(world.news()).toContain("connect");
  });

  test("a resumed session sends again what is open, in order, with DUP and the same id, before anything new", () => {
    const world = new ScriptedWorld(specOf()).started().pass(2500);
    world.device.puback(2);
    world.device.disconnected();
    world.pass(900);
    expect(world.news().at(-1)).toBe("connect");
    world.device.connected(true);
    expect(world.news()).toEqual(["publish 1 dup", "publish 3 dup", "publish 4"]);
    expect(world.writes.map(({ reading, fresh }) => [reading.n, fresh])).toEqual([
      [1, true],
      [2, true],
      [3, true],
      [1, false],
      [3, false],
      [4, true],
    ]);
    expect(world.writes[3]?.packet.payload).toEqual(world.writes[0]?.packet.payload);
  });

  test.each([
    ["a lost session", true],
    ["a clean session", false],
  ])("%s: the same readings go as new messages with new ids", (_, persistent) => {
    const world = new ScriptedWorld(specOf({ persistent })).started().pass(2500);
    expect(world.clean).toBe(!persistent);
    world.device.puback(2);
    world.device.disconnected();
    world.pass(900);
    world.news();
    world.device.connected(false);
    expect(world.news()).toEqual(["publish 4", "publish 5", "publish 6"]);
    expect(world.writes.slice(3).map(({ reading, fresh }) => [reading.n, fresh])).toEqual([
      [1, true],
      [3, true],
      [4, true],
    ]);
  });

  test("QoS 2: acknowledged with the PUBREC, its PUBREL is sent again, its id is taken until the PUBCOMP", () => {
    const world = new ScriptedWorld(specOf({ qos: 2, behaviour: { window: 2 } })).started();
    world.pass(1500).device.pubrec(2);
    expect(world.news()).toEqual(["connect", "publish 1", "publish 2", "pubrel 2"]);
    expect(numbers(world.acked)).toEqual([2]);
    world.pass(1000);
    expect(world.news()).toEqual([]);
    world.device.disconnected();
    world.pass(900);
    world.news();
    world.device.connected(true);
    expect(world.news()).toEqual(["pubrel 2", "publish 1 dup"]);
    world.device.pubcomp(2);
    expect(world.news()).toEqual(["publish 3"]);
    world.device.pubrec(1);
    world.device.pubrec(1);
    expect(world.news()).toEqual(["pubrel 1", "pubrel 1"]);
    expect(numbers(world.acked)).toEqual([2, 1]);
  });

  test("QoS 0: over with the writing", () => {
    const world = new ScriptedWorld(specOf({ qos: 0, behaviour: { window: 1 } })).started();
    world.pass(2500);
    expect(world.news()).toEqual(["connect", "publish 0", "publish 0", "publish 0"]);
    expect(world.device).toMatchObject({ queued: 0, unacknowledged: 0 });
    expect(world.acked).toEqual([]);
  });

  test("pauses between tries grow and are spread", () => {
    const firsts = new Set<number>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const world = new ScriptedWorld(specOf({ everyMs: 1e9 }), { seed });
      world.device.start();
      const pauses: number[] = [];
      for (let tries = 0; tries < 9; tries += 1) {
        const before = world.time;
        world.news();
        world.device.disconnected();
        while (!world.news().includes("connect")) world.pass(1);
        pauses.push(world.time - before);
      }
      for (const [index, pause] of pauses.entries()) {
        const full = Math.min(30_000, 500 * 2 ** index);
        expect(pause).toBeGreaterThanOrEqual(full / 2);
        expect(pause).toBeLessThanOrEqual(full);
      }
      firsts.add(pauses[0] ?? 0);
    }
    expect(firsts.size).toBeGreaterThan(10);
  });
});
