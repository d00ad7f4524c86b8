/** The rule of redelivery.core.ts and the QoS 2 handshakes on the wire, over connections and restarts. */
import type { Packet } from "mqtt-packet";
import { afterEach, describe, expect, test } from "vitest";
import { cleanups, Device, reading, startBroker, subscribe } from "./test-support/device.ts";
import type { HeldDisk } from "./test-support/held-buffer.ts";

const after = cleanups();
afterEach(() => after.run());

async function started(disk?: HeldDisk) {
  const broker = await startBroker(disk);
  after.add(() => broker.stop());
  const connected = async (clean = false, id = "c") => {
    const device = new Device(broker.broker.port);
    after.add(() => device.socket.destroy());
    const connack = await device.connectAs(id, { clean });
    const present = connack.cmd === "connack" && connack.sessionPresent;
    return Object.assign(device, { present });
  };
  /** The broker's process ends without a word, and another one begins on its disk. */
  const restarted = async () => {
    await broker.stop();
    return await started(broker.buffer.disk);
  };
  return { ...broker, connected, restarted };
}

const again = (value: number, options = {}): Packet => reading(value, { dup: true, ...options });

/** Publishes so many readings one by one, each acknowledged. */
async function say(device: Device, ...values: number[]): Promise<void> {
  for (const value of values) {
    device.send(reading(value));
    expect(await device.told(1)).toEqual([`puback ${value}`]);
  }
}

describe("QoS 1, sent again after a lost PUBACK", () => {
  test("is stored once, and acknowledged again", async () => {
    const { broker, connected, readings } = await started();
    await say(await connected(), 1, 2, 3);
    const device = await connected();
    expect(device.present).toBe(true);
    device.send(again(3), reading(4));
    expect(await device.told(2)).toEqual(["puback 3", "puback 4"]);
    expect(readings()).toEqual([1, 2, 3, 4]);
    expect(broker.stats().repeats).toBe(1);
  });

  test("is stored once over a restart too", async () => {
    const first = await started();
    await say(await first.connected(), 1, 2, 3);
    const second = await first.restarted();
    const device = await second.connected();
    expect(device.present).toBe(true);
    device.send(again(2), again(3), reading(4));
    expect(await device.told(3)).toEqual(["puback 2", "puback 3", "puback 4"]);
    expect(second.readings()).toEqual([1, 2, 3, 4]);
  });

  test.each([
    ["its PUBACK seen", true],
    ["its PUBACK not seen", false],
  ])("is stored once where it was the first message of its session, %s", async (_, seen) => {
    const { broker, buffer, connected, readings } = await started();
    const before = await connected();
    before.send(reading(1));
    if (seen) expect(await before.told(1)).toEqual(["puback 1"]);
    else await buffer.until(() => buffer.disk.events.length === 1);
    before.socket.destroy();
    const device = await connected();
    expect(device.present).toBe(true);
    device.send(again(1), reading(2));
    expect(await device.told(2)).toEqual(["puback 1", "puback 2"]);
    expect(readings()).toEqual([1, 2]);
    expect(broker.stats().repeats).toBe(1);
  });

  test("is stored once where it was the first message of its session, over a restart", async () => {
    const first = await started();
    await say(await first.connected(), 1);
    const second = await first.restarted();
    const device = await second.connected();
    expect(device.present).toBe(true);
    device.send(again(1), reading(2));
    expect(await device.told(2)).toEqual(["puback 1", "puback 2"]);
    expect(second.readings()).toEqual([1, 2]);
  });

  test("waits for the first one while that is on its way to the disk", async () => {
    const { buffer, connected, readings } = await started();
    const before = await connected();
    buffer.hold = true;
    before.send(reading(1));
    await buffer.until(() => buffer.held === 1);
    before.socket.destroy();
    const device = await connected();
    device.send(again(1));
    expect(await device.ping()).toBe("pingresp");
    expect(buffer.held).toBe(1);
    buffer.letGo();
    expect(await device.told(1)).toEqual(["puback 1"]);
    expect(readings()).toEqual([1]);
  });

  test("is new where the first one was refused", async () => {
    const { buffer, connected, readings } = await started();
    const before = await connected();
    await say(before, 1, 2);
    buffer.refuse = 1;
    before.send(reading(3));
    await before.whenClosed();
    const device = await connected();
    device.send(again(3));
    expect(await device.told(1)).toEqual(["puback 3"]);
    expect(readings()).toEqual([1, 2, 3]);
  });

  test.each<[string, Packet]>([
    ["with other content", again(9, { messageId: 3 })],
    ["on another topic", again(3, { topic: "sensors/e" })],
    ["without DUP", reading(3)],
    ["under another id", again(3, { messageId: 4 })],
  ])("is new %s", async (_, packet) => {
    const { connected, buffer } = await started();
    await say(await connected(), 1, 2, 3);
    const device = await connected();
    device.send(packet);
    expect((await device.told(1))[0]).toMatch("puback");
    expect(buffer.disk.events).toHaveLength(4);
  });

  test("is new in a clean session, and after one", async () => {
    const { connected, buffer } = await started();
    await say(await connected(true), 1, 2, 3);
    const clean = await connected(true);
    clean.send(again(3));
    await clean.told(1);
    expect(buffer.disk.events).toHaveLength(4);
    // A clean session costs nothing and leaves nothing.
    expect([...buffer.disk.notes.keys()]).toEqual([]);
    await say(await connected(), 1, 2, 3);
    await connected(true);
    const kept = await connected();
    expect(kept.present).toBe(false);
    kept.send(again(3));
    await kept.told(1);
    expect(buffer.disk.events).toHaveLength(8);
  });

  test("is new where it came over an earlier connection than the one before", async () => {
    const { connected, buffer } = await started();
    await say(await connected(), 1, 2, 3);
    await say(await connected(), 4);
    const device = await connected();
    device.send(again(3));
    await device.told(1);
    expect(buffer.disk.events).toHaveLength(5);
  });

  test("is stored once however often it is sent again, over connections on which nothing else came", async () => {
    const first = await started();
    await say(await first.connected(), 1, 2, 3);
    await first.connected();
    for (let i = 0; i < 2; i += 1) {
      const device = await first.connected();
      device.send(again(3));
      expect(await device.told(1)).toEqual(["puback 3"]);
    }
    await first.buffer.until(() => first.buffer.held === 0);
    const second = await first.restarted();
    const device = await second.connected();
    device.send(again(3));
    expect(await device.told(1)).toEqual(["puback 3"]);
    expect(second.readings()).toEqual([1, 2, 3]);
  });

  test("is new for a device that always takes the same id", async () => {
    const { connected, readings } = await started();
    const before = await connected();
    for (let i = 0; i < 3; i += 1) await say(before, 1);
    const device = await connected();
    device.send(again(1));
    await device.told(1);
    expect(readings()).toEqual([1, 1, 1, 1]);
  });

  test("reaches subscribers once", async () => {
    const { connected } = await started();
    const listener = await connected(true, "listener");
    listener.send(subscribe(1, "sensors/#", 1));
    await listener.told(1);
    await say(await connected(), 1, 2, 3);
    const device = await connected();
    device.send(again(3), reading(4));
    await device.told(2);
    expect(await listener.told(4)).toEqual(
      [1, 2, 3, 4].map((value) => `publish sensors/d ${value} qos1`),
    );
  });
});

describe("QoS 2", () => {
  const exactlyOnce = (value: number, options = {}): Packet =>
    reading(value, { qos: 2, ...options });
  const dup = { dup: true };

  test("sent again before its PUBREL is stored and delivered once, in one chunk too", async () => {
    const { connected, readings } = await started();
    const listener = await connected(true, "listener");
    listener.send(subscribe(1, "sensors/#", 0));
    await listener.told(1);
    const device = await connected();
    device.send(exactlyOnce(7), exactlyOnce(7, dup));
    expect(await device.told(2)).toEqual(["pubrec 7", "pubrec 7"]);
    device.send({ cmd: "pubrel", messageId: 7 });
    expect(await device.told(1)).toEqual(["pubcomp 7"]);
    expect(readings()).toEqual([7]);
    device.send(exactlyOnce(8, { messageId: 7 }));
    expect(await device.told(1)).toEqual(["pubrec 7"]);
    expect(readings()).toEqual([7, 8]);
    expect(await listener.told(2)).toEqual([
      "publish sensors/d 7 qos0",
      "publish sensors/d 8 qos0",
    ]);
  });

  test("sent again over a new connection is stored once", async () => {
    const { connected, readings } = await started();
    const before = await connected();
    before.send(exactlyOnce(7));
    expect(await before.told(1)).toEqual(["pubrec 7"]);
    before.socket.destroy();
    const device = await connected();
    expect(device.present).toBe(true);
    device.send(exactlyOnce(7, dup));
    expect(await device.told(1)).toEqual(["pubrec 7"]);
    expect(readings()).toEqual([7]);
  });

  test("sent again after a restart is stored once; its PUBREL gets its PUBCOMP and ends it", async () => {
    const first = await started();
    const before = await first.connected();
    before.send(exactlyOnce(7), exactlyOnce(8));
    expect(await before.told(2)).toEqual(["pubrec 7", "pubrec 8"]);
    const second = await first.restarted();
    const device = await second.connected();
    expect(device.present).toBe(true);
    device.send(exactlyOnce(7, dup), { cmd: "pubrel", messageId: 8 });
    expect((await device.told(2)).sort()).toEqual(["pubcomp 8", "pubrec 7"]);
    device.send({ cmd: "pubrel", messageId: 7 });
    expect(await device.told(1)).toEqual(["pubcomp 7"]);
    expect(second.readings()).toEqual([7, 8]);
    // The deletion is on disk before the PUBCOMP: after another restart the ids are free.
    const third = await second.restarted();
    const late = await third.connected();
    late.send(exactlyOnce(7, dup));
    await late.told(1);
    expect(third.readings()).toEqual([7, 8, 7]);
  });

  test("is on disk before the PUBREC, its id with it, and the id is gone from it before the PUBCOMP", async () => {
    const { buffer, connected } = await started();
    const device = await connected();
    buffer.hold = true;
    device.send(exactlyOnce(7));
    await buffer.until(() => buffer.held === 1);
    expect(await device.ping()).toBe("pingresp");
    const ids = () => [...buffer.disk.notes.keys()].filter((key) => key.startsWith("2/"));
    expect(ids()).toEqual([]);
    buffer.letGo();
    expect(await device.told(1)).toEqual(["pubrec 7"]);
    expect(ids()).toHaveLength(1);
    device.send({ cmd: "pubrel", messageId: 7 });
    // Twice, because the first may be answered before aedes has looked at the PUBREL.
    expect([await device.ping(), await device.ping()]).toEqual(["pingresp", "pingresp"]);
    expect(ids()).toHaveLength(1);
    buffer.hold = false;
    buffer.letGo();
    expect(await device.told(1)).toEqual(["pubcomp 7"]);
    expect(ids()).toEqual([]);
  });

  test("under an id that is open: a rebooted device's message is new, and DUP with other content too", async () => {
    const { connected, readings } = await started();
    const before = await connected();
    before.send(exactlyOnce(1));
    await before.told(1);
    before.socket.destroy();
    const rebooted = await connected();
    rebooted.send(exactlyOnce(2, { messageId: 1 }));
    expect(await rebooted.told(1)).toEqual(["pubrec 1"]);
    rebooted.send(exactlyOnce(2, { messageId: 1, dup: true }));
    expect(await rebooted.told(1)).toEqual(["pubrec 1"]);
    rebooted.send(exactlyOnce(3, { messageId: 1, dup: true }));
    expect(await rebooted.told(1)).toEqual(["pubrec 1"]);
    expect(readings()).toEqual([1, 2, 3]);
  });

  test("a PUBREL for an id that nobody knows gets its PUBCOMP", async () => {
    const device = await (await started()).connected();
    device.send({ cmd: "pubrel", messageId: 77 });
    expect(await device.told(1)).toEqual(["pubcomp 77"]);
  });
});

describe("persistent sessions over a restart", () => {
  test("are present exactly where they are held", async () => {
    const first = await started();
    expect((await first.connected(false, "new")).present).toBe(false);
    expect((await first.connected(false, "new")).present).toBe(true);
    await say(await first.connected(false, "publisher"), 1);
    await first.connected(false, "ended");
    await first.connected(true, "ended");
    const second = await first.restarted();
    expect((await second.connected(false, "publisher")).present).toBe(true);
    expect((await second.connected(false, "ended")).present).toBe(false);
    expect((await second.connected(false, "stranger")).present).toBe(false);
    expect((await second.connected(true, "publisher")).present).toBe(false);
  });

  test("keep their subscriptions, with their QoS, and lose those that ended", async () => {
    const first = await started();
    const before = await first.connected(false, "listener");
    before.send(subscribe(1, "sensors/a", 1), subscribe(2, "home/#", 0), subscribe(3, "gone", 1));
    expect(await before.told(3)).toEqual(["suback 1", "suback 2", "suback 3"]);
    before.send({ cmd: "unsubscribe", messageId: 4, unsubscriptions: ["gone"] });
    expect(await before.told(1)).toEqual(["unsuback 4"]);
    const second = await first.restarted();
    const publisher = await second.connected(true, "publisher");
    // While it is away, what it subscribes to at QoS 1 is kept for it.
    publisher.send(reading(1, { topic: "sensors/a" }), reading(2, { topic: "gone" }));
    await publisher.told(2);
    const listener = await second.connected(false, "listener");
    expect(await listener.told(1)).toEqual(["publish sensors/a 1 qos1"]);
    publisher.send(reading(3, { topic: "home/x" }), reading(4, { topic: "sensors/a" }));
    expect((await listener.told(2)).sort()).toEqual([
      "publish home/x 3 qos0",
      "publish sensors/a 4 qos1",
    ]);
  });

  test.each([
    ["1001 subscriptions", (i: number) => `${i}`],
    ["filters of more than 64 KiB", (i: number) => `${i}/${"x".repeat(66)}`],
  ])("with %s are refused by closing", async (_, filter) => {
    const { connected } = await started();
    const many = (from: number, to: number): Packet => ({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: Array.from({ length: to - from }, (_, i) => ({
        topic: filter(from + i),
        qos: 1 as const,
      })),
    });
    const listener = await connected();
    listener.send(many(0, 900));
    expect(await listener.told(1)).toEqual(["suback 1"]);
    listener.send(many(900, 1001));
    await listener.whenClosed();
    // A clean session is not written anywhere.
    const clean = await connected(true, "clean");
    clean.send(many(0, 900), many(900, 1001));
    expect(await clean.told(2)).toEqual(["suback 1", "suback 1"]);
  });

  test("the SUBACK comes after the subscription is on disk", async () => {
    const { buffer, connected } = await started();
    const listener = await connected();
    buffer.hold = true;
    listener.send(subscribe(1, "sensors/a", 1));
    expect([await listener.ping(), await listener.ping()]).toEqual(["pingresp", "pingresp"]);
    buffer.hold = false;
    buffer.letGo();
    expect(await listener.told(1)).toEqual(["suback 1"]);
  });
});
