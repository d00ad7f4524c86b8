/** What firmware in the field does beside the rules. */
import { describe, expect, test } from "vitest";
import { numbers, ScriptedWorld, START, specOf } from "./test-support/scripted-world.ts";

/** Answers all that was written and not answered, as a broker does at once. */
function answerAll(world: ScriptedWorld): string[] {
  const seen: string[] = [];
  for (let news = world.news(); news.length > 0; news = world.news()) {
    seen.push(...news);
    for (const line of news) {
      const [what, id] = line.split(" ");
      if (what === "connect") world.device.connected(true);
      if (what === "publish") world.device.puback(Number(id));
    }
  }
  return seen;
}

/** Lets time pass with a broker that answers at once. @returns what the device did, with the ms from START */
function run(world: ScriptedWorld, ms: number, stepMs = 10): [number, string][] {
  const seen: [number, string][] = [];
  const until = world.time + ms;
  while (world.time < until) {
    seen.push(...answerAll(world).map((line): [number, string] => [world.time - START, line]));
    world.pass(stepMs);
  }
  return seen;
}

describe("firmware", () => {
  test("that sends twice: the second is a new message of the same reading, right behind", () => {
    const world = new ScriptedWorld(specOf({ behaviour: { duplicates: 0.5 } })).started();
    run(world, 199_500);
    const ids = world.writes.map(({ packet }) => packet.messageId);
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    expect(world.writes.every(({ fresh, packet }) => fresh && !packet.dup)).toBe(true);
    const seconds = world.writes.filter(
      ({ reading }, index) => world.writes[index - 1]?.reading.n === reading.n,
    );
    expect(seconds.length).toBeGreaterThan(70);
    expect(seconds.length).toBeLessThan(130);
    expect(world.writes.length - seconds.length).toBe(200);
    // Told once, however many messages it took.
    expect(numbers(world.acked)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  });

  test("that ignores acknowledgements: the same id with DUP a little later, never one that is open", () => {
    const spec = specOf({ behaviour: { ignoresAcks: 0.4 } });
    const world = new ScriptedWorld(spec).started();
    run(world, 199_500);
    const again = world.writes.filter(({ fresh }) => !fresh);
    expect(again.length).toBeGreaterThan(50);
    expect(again.length).toBeLessThan(110);
    for (const { packet, reading } of again) {
      const first = world.writes.find((one) => one.reading.n === reading.n);
      expect(packet).toEqual({ ...first?.packet, dup: true });
    }
    expect(new Set(again.map(({ reading }) => reading.n)).size).toBe(again.length);
    expect(numbers(world.acked)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  });

  test("that ignores a PUBCOMP: the second sending goes all the way too, over a broken connection as well", () => {
    const spec = specOf({
      qos: 2,
      everyMs: 1e9,
      behaviour: { ignoresAcks: 1, packetIds: 1, window: 1 },
    });
    const world = new ScriptedWorld(spec, { lastsMs: 1e10 }).started();
    world.device.pubrec(1);
    world.device.pubcomp(1);
    world.pass(5000);
    expect(world.news()).toEqual(["connect", "publish 1", "pubrel 1", "publish 1 dup"]);
    world.device.disconnected();
    world.pass(500);
    world.news();
    world.device.connected(true);
    expect(world.news()).toEqual(["pubrel 1"]);
    // Its only id is free again with the PUBCOMP alone.
    world.pass(1e9);
    expect(world.news()).toEqual([]);
    world.device.pubcomp(1);
    expect(world.news()).toEqual(["publish 1"]);
    expect(numbers(world.acked)).toEqual([1]);
  });

  test("whose ids come round does not send again what had an id that was used since", () => {
    // 65,535 ids at 20 a millisecond come round in less than an echo's shortest pause.
    const spec = specOf({
      everyMs: 0.05,
      behaviour: { ignoresAcks: 0.001, maxQueued: 1e6, window: 1000 },
    });
    const world = new ScriptedWorld(spec, { lastsMs: 5000 }).started();
    run(world, 6000, 1);
    expect(world.acked).toHaveLength(100_000);
    const latest = new Map<number, number>();
    let echoes = 0;
    for (const { packet, reading, fresh } of world.writes) {
      if (fresh) latest.set(packet.messageId, reading.n);
      else {
        echoes += 1;
        expect(latest.get(packet.messageId)).toBe(reading.n);
      }
    }
    expect(echoes).toBeGreaterThan(10);
  });

  test("of a battery node: wakes, sends what it gathered, says goodbye", () => {
    const spec = specOf({ everyMs: 10_000, behaviour: { sleep: { everyMs: 60_000 } } });
    const world = new ScriptedWorld(spec);
    world.device.start();
    const seen = run(world, 300_000);
    const connects = seen.filter(([, line]) => line === "connect").map(([at]) => at);
    expect(connects).toHaveLength(5);
    for (const [index, at] of connects.slice(1).entries()) {
      expect(at - (connects[index] ?? 0)).toBe(60_000);
    }
    expect(seen.filter(([, line]) => line === "disconnect")).toHaveLength(5);
    // All at once, within the same moment.
    for (const [at] of seen) expect(connects).toContain(at);
    expect(world.acked.length).toBeGreaterThanOrEqual(25);
  });

  test("of a battery node that gets no answer gives up after a while and keeps everything", () => {
    const spec = specOf({ everyMs: 10_000, behaviour: { sleep: { everyMs: 300_000 } } });
    const world = new ScriptedWorld(spec, { lastsMs: 100_000 });
    world.device.start();
    while (!world.news().includes("connect")) world.pass(10);
    world.device.connected(false);
    const sent = world.writes.length;
    expect(sent).toBeGreaterThan(0);
    world.pass(29_900);
    expect(world.news()).not.toContain("cut");
    world.pass(200);
    expect(world.news()).toContain("cut");
    expect(world.device.unacknowledged).toBeGreaterThanOrEqual(sent);
    run(world, 700_000);
    expect(world.device.done).toBe(true);
    expect(world.acked).toHaveLength(10);
  });

  test("whose connection breaks now and then comes back after a pause", () => {
    const world = new ScriptedWorld(specOf({ behaviour: { reconnectEveryMs: 60_000 } }));
    world.device.start();
    const seen = run(world, 600_000);
    const cuts = seen.filter(([, line]) => line === "cut").length;
    expect(cuts).toBeGreaterThanOrEqual(6);
    expect(cuts).toBeLessThanOrEqual(16);
    expect(seen.filter(([, line]) => line === "connect").length).toBeGreaterThanOrEqual(cuts);
    expect(world.acked.length).toBeGreaterThanOrEqual(599);
  });

  test("that is silent measures nothing and sends nothing, and goes on afterwards", () => {
    const silent = { at: [{ at: 5500, lastsMs: 10_000 }] };
    const world = new ScriptedWorld(specOf({ behaviour: { silent, window: 2 } })).started();
    world.pass(5400);
    world.news();
    world.pass(600);
    expect(world.news()).toEqual([]);
    // An acknowledgement is heard, but nothing follows it.
    world.device.puback(1);
    expect(numbers(world.acked)).toEqual([1]);
    expect(world.device.queued).toBe(4);
    world.pass(9490);
    expect(world.news()).toEqual([]);
    world.pass(20);
    expect(world.news()).toEqual(["publish 3"]);
    world.device.puback(2);
    world.device.puback(3);
    world.pass(1000);
    const measured = new Set<number>();
    run(world, 4600);
    for (const { reading } of world.writes) measured.add((reading.measured - START) / 1000);
    expect([...measured]).toEqual([0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21]);
    expect(world.acked.map(({ n }) => n)).toEqual(world.acked.map((_, index) => index + 1));
  });

  test("that is silent does not connect either", () => {
    const silent = { at: [{ at: 100, lastsMs: 60_000 }] };
    const world = new ScriptedWorld(specOf({ behaviour: { silent } })).started();
    world.pass(50).device.disconnected();
    world.news();
    world.pass(60_000);
    expect(world.news()).toEqual([]);
    world.pass(100);
    expect(world.news()).toEqual(["connect"]);
  });

  test("that has no network measures on, tries nothing, and is back within seconds", () => {
    const backs: number[] = [];
    for (let seed = 1; seed <= 5; seed += 1) {
      const offline = { at: [{ at: 5500, lastsMs: 60_000 }] };
      const world = new ScriptedWorld(specOf({ behaviour: { offline } }), { seed });
      world.device.start();
      const seen = run(world, 80_000);
      const [cut] = seen.find(([, line]) => line === "cut") ?? [];
      expect(cut).toBeGreaterThanOrEqual(5500);
      expect(cut).toBeLessThanOrEqual(5510);
      const connects = seen.filter(([, line]) => line === "connect").map(([at]) => at);
      expect(connects).toHaveLength(2);
      expect(connects[1]).toBeGreaterThanOrEqual(65_500);
      expect(connects[1]).toBeLessThanOrEqual(67_510);
      backs.push(connects[1] ?? 0);
      expect(numbers(world.acked)).toEqual(world.acked.map((_, index) => index + 1));
      expect(world.acked.length).toBeGreaterThanOrEqual(79);
    }
    expect(new Set(backs).size).toBeGreaterThan(1);
  });

  test("whose network goes while it is connecting", () => {
    const offline = { at: [{ at: 100, lastsMs: 10_000 }] };
    const world = new ScriptedWorld(specOf({ behaviour: { offline } }));
    world.device.start();
    world.pass(200);
    expect(world.news()).toEqual(["connect", "cut"]);
    world.pass(12_000);
    expect(world.news()).toEqual(["connect"]);
  });

  test("of a battery node that wakes without a network tries again when it wakes next", () => {
    const offline = { at: [{ at: 0, lastsMs: 100_000 }] };
    const spec = specOf({ behaviour: { offline, sleep: { everyMs: 60_000 }, maxQueued: 1000 } });
    const world = new ScriptedWorld(spec);
    world.device.start();
    const seen = run(world, 240_000, 50);
    const connects = seen.filter(([, line]) => line === "connect").map(([at]) => at);
    expect(connects.length).toBeGreaterThanOrEqual(2);
    for (const at of connects) expect(at).toBeGreaterThanOrEqual(100_000);
    expect(numbers(world.given)).toEqual([]);
  });

  test("without a clock has no time in its payloads; a wrong one is told as it is", () => {
    const payloads = (time: "none" | "wrong", clockOffMs: number) => {
      const world = new ScriptedWorld(specOf({ behaviour: { time, clockOffMs } })).started();
      const [{ packet, reading } = { packet: undefined, reading: undefined }] = world.writes;
      return { sent: JSON.parse(`${packet?.payload}`), reading };
    };
    expect(payloads("none", 0)).toMatchObject({
      sent: { temperature: -18, n: 1 },
      reading: { time: undefined, metrics: { temperature: -18, n: 1 } },
    });
    const year = 365 * 86_400_000;
    expect(payloads("wrong", year).sent).toEqual({ time: START + year, temperature: -18, n: 1 });
    expect(payloads("wrong", year).reading).toMatchObject({ time: START + year, measured: START });
    // Before 2000 the gateway takes it for a metric, not for a time.
    expect(payloads("wrong", -40 * year)).toMatchObject({
      sent: { time: "1986-11-28T00:00:00.000Z" },
      reading: { time: undefined, metrics: { time: "1986-11-28T00:00:00.000Z" } },
    });
  });

  test("that waits so long for an acknowledgement breaks the connection", () => {
    const world = new ScriptedWorld(specOf({ behaviour: { ackTimeoutMs: 20_000 } })).started();
    world.pass(10_000).device.puback(1);
    world.pass(19_900);
    expect(world.news()).not.toContain("cut");
    world.pass(200);
    expect(world.news()).toContain("cut");
  });

  test("measures to the end of the run and is done once all of it arrived", () => {
    const world = new ScriptedWorld(specOf(), { lastsMs: 3000 }).started();
    world.pass(10_000);
    expect(world.writes).toHaveLength(3);
    expect(world.device.done).toBe(false);
    run(world, 1000);
    expect(world.device.done).toBe(true);
    world.device.stop();
    expect(world.news()).toEqual(["disconnect"]);
    world.device.wake();
    world.pass(100_000);
    expect(world.news()).toEqual([]);
  });

  test("says nothing where none of its sensors does, and leaves out what one of them does not say", () => {
    const seconds = (time: number) => (time - START) / 1000;
    const metrics = {
      odd: { unit: "", at: (time: number) => (seconds(time) % 2 === 1 ? 1 : undefined) },
      third: { unit: "", at: (time: number) => (seconds(time) % 3 === 0 ? true : undefined) },
      broken: { unit: "", at: () => Number.NaN },
    };
    const world = new ScriptedWorld(specOf({ metrics, numbered: false })).started();
    run(world, 4500);
    expect(world.writes.map(({ reading: { n, metrics: said } }) => [n, said])).toEqual([
      [1, { third: true }],
      [2, { odd: 1 }],
      [3, { odd: 1, third: true }],
    ]);
  });
});
