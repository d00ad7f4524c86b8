import { once } from "node:events";
import type { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Packet } from "mqtt-packet";
import { afterEach, describe, expect, test } from "vitest";
import { Budget, MAX_IN_FLIGHT, MAX_IN_FLIGHT_OF_CONNECTION } from "./budget.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { LargePackets } from "./large-packets.ts";
import type { Publish } from "./publish.ts";
import { PublishRights } from "./publish-rights.ts";
import {
  bytesOf,
  cleanups,
  connectPacket,
  Device,
  reading,
  short,
  startBroker,
  subscribe,
} from "./test-support/device.ts";
import { MAX_UNFINISHED_BYTES, Unfinished } from "./unfinished.ts";

const after = cleanups();
afterEach(() => after.run());

async function started(maxPayloadBytes?: number) {
  const broker = await startBroker(undefined, maxPayloadBytes);
  after.add(() => broker.stop());
  const device = () => {
    const made = new Device(broker.broker.port);
    after.add(() => made.socket.destroy());
    return made;
  };
  const connected = async (id = "c", options = {}) => {
    const made = device();
    await made.connectAs(id, options);
    return made;
  };
  return { ...broker, device, connected };
}

const ordinary = (messageId: number, qos: 0 | 1 | 2 = 1): Packet =>
  reading(messageId, { topic: "home/lamp", qos });

describe("acknowledgements", () => {
  test("come in the order of the publishes, whichever way those went [MQTT-4.6.0-2]", async () => {
    const { buffer, connected } = await started();
    const sensor = await connected();
    buffer.hold = true;
    sensor.send(reading(1), ordinary(2), reading(3), ordinary(4), reading(5));
    await buffer.until(() => buffer.held === 3);
    // The ordinary ones could be acknowledged now, but what came before them could not.
    expect(await sensor.ping()).toBe("pingresp");
    buffer.letGo(1);
    expect(await sensor.told(2)).toEqual(["puback 1", "puback 2"]);
    expect(await sensor.ping()).toBe("pingresp");
    buffer.letGo();
    expect(await sensor.told(3)).toEqual(["puback 3", "puback 4", "puback 5"]);
  });

  test("of QoS 2 keep their order too, among readings and others [MQTT-4.6.0-3]", async () => {
    const { buffer, connected, readings } = await started();
    const sensor = await connected();
    buffer.hold = true;
    sensor.send(reading(1, { qos: 2 }), ordinary(2, 2), reading(3, { qos: 2 }));
    await buffer.until(() => buffer.held === 2);
    expect(await sensor.ping()).toBe("pingresp");
    buffer.letGo();
    expect(await sensor.told(3)).toEqual(["pubrec 1", "pubrec 2", "pubrec 3"]);
    expect(readings()).toEqual([1, 3]);
  });

  test("readings of all QoS stand in the journal in the order in which they came", async () => {
    const { connected, readings, buffer } = await started();
    const sensor = await connected();
    const packets: Packet[] = [];
    for (let i = 1; i <= 60; i += 1) {
      const qos = ([1, 2, 0, 2, 1] as const)[i % 5] ?? 0;
      packets.push(reading(i, { qos, retain: i % 7 === 0 }));
    }
    sensor.send(...packets);
    await buffer.until(() => buffer.disk.events.length === 60);
    expect(readings()).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  test("all of one commit go out in one piece", async () => {
    const { buffer, connected } = await started();
    const sensor = await connected();
    const chunks: Buffer[] = [];
    sensor.socket.on("data", (chunk) => chunks.push(chunk));
    buffer.hold = true;
    sensor.send(...Array.from({ length: 500 }, (_, i) => reading(i + 1)));
    await buffer.until(() => buffer.held === 500);
    buffer.letGo();
    await sensor.told(500);
    expect(chunks.map(({ length }) => length)).toEqual([2000]);
  });
});

describe("a stream", () => {
  test("cut into single bytes is the same", async () => {
    const { connected, readings } = await started();
    const sensor = await connected();
    for (const byte of bytesOf(reading(1), ordinary(2), reading(3, { qos: 2 }), reading(4))) {
      sensor.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await sensor.told(4)).sort()).toEqual(["puback 1", "puback 2", "puback 4", "pubrec 3"]);
    expect(readings()).toEqual([1, 3, 4]);
  });

  test("may go on behind CONNECT at once", async () => {
    const { device, readings } = await started();
    const sensor = device();
    sensor.send(connectPacket("c"), reading(1), ordinary(2), reading(3), { cmd: "pingreq" });
    expect((await sensor.told(5)).sort()).toEqual([
      "connack",
      "pingresp",
      "puback 1",
      "puback 2",
      "puback 3",
    ]);
    expect(readings()).toEqual([1, 3]);
  });

  test("that ends with DISCONNECT or without: what was sent at QoS 0 is stored", async () => {
    const { device, buffer } = await started();
    const orderly = device();
    orderly.send(connectPacket("a"), reading(1, { qos: 0 }), { cmd: "disconnect" });
    orderly.socket.end();
    const abrupt = device();
    abrupt.send(connectPacket("b"), reading(2, { qos: 0 }));
    abrupt.socket.end();
    await buffer.until(() => buffer.disk.events.length === 2);
  });

  test("that is closed on the device's side only still gets its acknowledgements for what it sent", async () => {
    const { device, readings } = await started();
    const sensor = device();
    sensor.send(connectPacket("a"), reading(1), { cmd: "disconnect" });
    await sensor.whenClosed();
    await expect.poll(readings).toEqual([1]);
  });

  test.each([
    ["QoS 3", Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])],
    ["the packet id 0", Buffer.from([0x32, 5, 0, 1, 0x61, 0, 0])],
    ["a length of five bytes", Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1])],
    ["a topic longer than its packet", Buffer.from([0x30, 3, 0, 9, 0x61])],
    ["a wildcard in a topic", bytesOf(reading(1, { topic: "sensors/+" }))],
    ["$SYS", bytesOf(reading(1, { topic: "$SYS/x" }))],
    ["a second CONNECT", bytesOf(connectPacket("c"))],
  ])("with %s is closed", async (_, bytes) => {
    const { broker, connected, buffer } = await started();
    const sensor = await connected();
    sensor.socket.write(bytes);
    await sensor.whenClosed();
    expect(broker.stats().clientErrors).toBe(1);
    expect(buffer.disk.events).toEqual([]);
  });

  test("with a packet that only servers send is closed", async () => {
    const sensor = await (await started()).connected();
    sensor.socket.write(Buffer.of(0xd0, 0));
    await sensor.whenClosed();
  });

  test("that does not begin with CONNECT is closed", async () => {
    const { device, buffer } = await started();
    const sensor = device();
    sensor.send(reading(1));
    await sensor.whenClosed();
    expect(buffer.disk.events).toEqual([]);
  });
});

describe("limits", () => {
  test("a packet over the limit closes the connection by its header, after CONNECT and before", async () => {
    const { broker, connected, device } = await started();
    const sensor = await connected();
    // 2 * 1000 + 64 KiB are taken.
    sensor.socket.write(Buffer.from([0x32, 0xff, 0xff, 0x7f]));
    await sensor.whenClosed();
    const stranger = device();
    stranger.socket.write(Buffer.from([0x10, 0xff, 0xff, 0x7f]));
    await stranger.whenClosed();
    expect(broker.stats()).toMatchObject({ clientErrors: 2, packetsTooLarge: 2, connections: 0 });
  });

  test("unfinished packets of all connections take no more than their limit; who holds most is closed", async () => {
    const { broker, connected } = await started(300_000);
    const modest = await connected("modest");
    const half = bytesOf(reading(1));
    modest.socket.write(half.subarray(0, 10));
    await expect.poll(() => broker.unfinished.bytes).toBeGreaterThan(0);
    const whole = bytesOf(reading(1, { payload: "x".repeat(600_000) }));
    const sensors: Device[] = [];
    for (let i = 0; i < 70; i += 1) {
      const sensor = await connected(`s${i}`);
      sensor.socket.write(whole.subarray(0, -1));
      sensors.push(sensor);
    }
    await expect.poll(() => broker.stats().packetsUnfinished).toBeGreaterThan(10);
    expect(broker.unfinished.bytes).toBeLessThanOrEqual(MAX_UNFINISHED_BYTES);
    // Nothing is lost to whoever may go on, and nothing is kept of those that may not.
    modest.socket.write(half.subarray(10));
    expect(await modest.told(1)).toEqual(["puback 1"]);
    for (const sensor of sensors) sensor.socket.write(whole.subarray(-1));
    const told = await Promise.all(sensors.map(async (sensor) => (await sensor.told(1))[0]));
    const gone = told.filter((one) => one === "closed").length;
    expect(told.filter((one) => one === "puback 1")).toHaveLength(sensors.length - gone);
    expect(broker.stats()).toMatchObject({ packetsUnfinished: gone, clientErrors: gone });
    expect(broker.unfinished.bytes).toBe(0);
  });

  test("a payload over its own limit becomes a rejected event, and the device goes on", async () => {
    const { connected, readings } = await started();
    const sensor = await connected();
    sensor.send(reading(1, { payload: "x".repeat(60_000) }), reading(2));
    expect(await sensor.told(2)).toEqual(["puback 1", "puback 2"]);
    expect(readings()).toEqual(["too_large", 2]);
  });

  test("a device is not read from while too much is in flight, and its keepalive waits meanwhile", async () => {
    const { buffer, connected, broker } = await started();
    const most = MAX_IN_FLIGHT_OF_CONNECTION.messages;
    const sensor = await connected("c", { keepalive: 1 });
    const other = await connected("other");
    buffer.hold = true;
    sensor.send(...Array.from({ length: 2 * most }, (_, i) => reading(i + 1)));
    await buffer.until(() => buffer.held === most);
    // Longer than one and a half times its keepalive: the time is what is tested.
    await delay(1700);
    expect(buffer.held).toBe(most);
    // Nobody else is held up: neither pings, nor subscribers, nor publishers of other topics.
    other.send(subscribe(1, "home/#", 1), ordinary(2), { cmd: "pingreq" });
    expect((await other.told(4)).sort()).toEqual([
      "pingresp",
      "puback 2",
      "publish home/lamp 2 qos1",
      "suback 1",
    ]);
    buffer.hold = false;
    buffer.letGo();
    const acks = await sensor.told(2 * most);
    expect(acks).toEqual(Array.from({ length: 2 * most }, (_, i) => `puback ${i + 1}`));
    expect(broker.stats().clientErrors).toBe(0);
  });

  test("held readings of many devices, over what all may have in flight, hold up nobody who sends none", async () => {
    const { buffer, connected, broker } = await started();
    const early = await connected("early");
    const listener = await connected("listener");
    listener.send(subscribe(1, "home/#", 1));
    await listener.told(1);
    buffer.hold = true;
    const each = MAX_IN_FLIGHT_OF_CONNECTION.messages;
    const packets = bytesOf(...Array.from({ length: each + 76 }, (_, i) => reading(i + 1)));
    const held: Device[] = [];
    for (let i = 0; i < 70; i += 1) {
      const device = await connected(`d${i}`, { clean: false });
      device.socket.write(packets);
      held.push(device);
    }
    await buffer.until(() => buffer.held === MAX_IN_FLIGHT.messages);
    expect(broker.budget.full).toBe(true);
    const late = await connected("late");
    for (const other of [early, late]) {
      const several = Array.from({ length: 20 }, (_, i) => ordinary(i + 1));
      other.send(...several, ordinary(30, 2), ordinary(31, 0), { cmd: "pingreq" });
      const told = await other.told(22);
      expect(told.filter((one) => one.startsWith("puback"))).toHaveLength(20);
      expect(told).toContain("pubrec 30");
      expect(told).toContain("pingresp");
      other.send({ cmd: "pubrel", messageId: 30 });
      expect(await other.told(1)).toEqual(["pubcomp 30"]);
      const delivered = await listener.told(22);
      expect(delivered.sort().slice(0, 2)).toEqual([
        "publish home/lamp 1 qos1",
        "publish home/lamp 10 qos1",
      ]);
      expect(await listener.ping()).toBe("pingresp");
    }
    // A reading finds no room, and what stands behind it on its connection waits for its turn.
    late.send(reading(40), ordinary(41), { cmd: "pingreq" });
    expect(await early.ping()).toBe("pingresp");
    expect(late.arrived).toEqual([]);
    expect(buffer.held).toBe(MAX_IN_FLIGHT.messages);
    expect(broker.budget.messages).toBe(MAX_IN_FLIGHT.messages);
    buffer.hold = false;
    buffer.letGo();
    for (const device of held) {
      expect((await device.told(each + 76)).at(-1)).toBe(`puback ${each + 76}`);
    }
    expect((await late.told(3)).filter((one) => one !== "pingresp")).toEqual([
      "puback 40",
      "puback 41",
    ]);
    expect(broker.budget.messages).toBe(0);
    expect(broker.stats().clientErrors).toBe(0);
  });

  test("a silent device is closed after one and a half times its keepalive, one that publishes is not", async () => {
    const { broker, connected } = await started();
    const silent = await connected("silent", { keepalive: 1 });
    const busy = await connected("busy", { keepalive: 1 });
    let closed = false;
    void silent.whenClosed().then(() => {
      closed = true;
    });
    // aedes sees none of these.
    for (let i = 1; !closed; i += 1) {
      busy.send(reading(i));
      await busy.receive();
      await delay(50);
    }
    expect(await busy.ping()).toBe("pingresp");
    expect(broker.stats()).toMatchObject({ clientErrors: 1, clients: 1 });
  });
});

describe("a connection that closes", () => {
  test("between the commit and the acknowledgement leaves what is stored to the subscribers", async () => {
    const offered: Publish[] = [];
    const delivered: Publish[] = [];
    const host = {
      ingest: {
        take: (publish: Publish) => {
          publish.offered = true;
          offered.push(publish);
          return false;
        },
        stored: () => {},
      },
      rights: new PublishRights(),
      budget: new Budget(),
      unfinished: new Unfinished(),
      large: new LargePackets(1000),
      ordinaryPacketBytes: 1000,
      maxPacketBytes: 1000,
      maxConnectBytes: 1000,
      wanted: () => true,
      deliver: (_connection: Connection, publish: Publish) => delivered.push(publish),
    };
    const [socket, far] = duplexPair();
    const connection = new Connection(socket as Socket, host as unknown as ConnectionHost);
    after.add(() => connection.destroy());
    connection.on("readable", () => connection.read());
    far.write(bytesOf(connectPacket("c"), reading(1), reading(2)));
    await once(connection, "readable");
    connection.introduce("c", undefined, false);
    connection.open();
    expect(offered).toHaveLength(2);
    offered[0]?.stored();
    connection.destroy();
    expect(delivered).toEqual([offered[0]]);
    expect(offered.map(({ gone }) => gone)).toEqual([true, true]);
    expect(host.budget.messages).toBe(0);
  });

  test("takes with it what was not on its way to the disk, in a clean session", async () => {
    const { buffer, connected, readings, broker } = await started();
    const sensor = await connected();
    buffer.hold = true;
    sensor.send(reading(1), reading(2, { qos: 0 }), reading(3));
    await buffer.until(() => buffer.held === 3);
    sensor.socket.destroy();
    await expect.poll(() => broker.stats().connections).toBe(0);
    buffer.letGo();
    // QoS 0 is not sent again; what waits for its PUBACK is.
    expect(readings()).toEqual([2]);
  });

  test("leaves its bytes in the budget until what it sent is on disk", async () => {
    const { buffer, connected, broker } = await started();
    buffer.hold = true;
    for (let i = 0; i < 3; i += 1) {
      const sensor = await connected(`c${i}`);
      sensor.send(reading(1, { qos: 0 }), reading(2), { cmd: "disconnect" });
      await sensor.whenClosed();
      const broken = await connected(`b${i}`);
      broken.send(reading(3));
      await buffer.until(() => buffer.held === 2 * i + 3);
      broken.socket.destroy();
      await expect.poll(() => broker.stats().connections).toBe(0);
    }
    expect(broker.budget.messages).toBe(6);
    buffer.letGo();
    expect(broker.budget.messages).toBe(0);
  });

  test("after DISCONNECT takes nothing with it: the device does not send again", async () => {
    const { buffer, connected, readings } = await started();
    const sensor = await connected();
    buffer.hold = true;
    sensor.send(reading(1), { cmd: "disconnect" });
    await sensor.whenClosed();
    buffer.letGo();
    expect(readings()).toEqual([1]);
  });

  test("by another one with its client id hears nothing more", async () => {
    const { buffer, connected, readings } = await started();
    const old = await connected("same");
    old.send(reading(1));
    expect(await old.told(1)).toEqual(["puback 1"]);
    const young = await connected("same");
    await old.whenClosed();
    young.send(reading(2));
    expect(await young.told(1)).toEqual(["puback 2"]);
    expect(readings()).toEqual([1, 2]);
    expect(buffer.held).toBe(0);
  });
});

describe("subscribers to an ingest topic", () => {
  test("get what was stored although its device was gone by then", async () => {
    const { buffer, connected } = await started();
    const listener = await connected("listener");
    listener.send(subscribe(1, "sensors/#", 1));
    await listener.told(1);
    const sensor = await connected("c", { clean: false });
    buffer.hold = true;
    sensor.send(reading(1), reading(2, { qos: 2 }), reading(3, { qos: 0 }));
    await buffer.until(() => buffer.held === 3);
    sensor.socket.destroy();
    const back = await connected("c", { clean: false });
    back.send(reading(1, { dup: true }), reading(2, { qos: 2, dup: true }));
    expect(await back.ping()).toBe("pingresp");
    buffer.hold = false;
    buffer.letGo();
    expect(await back.told(2)).toEqual(["puback 1", "pubrec 2"]);
    expect((await listener.told(3)).sort()).toEqual([
      "publish sensors/d 1 qos1",
      "publish sensors/d 2 qos2",
      "publish sensors/d 3 qos0",
    ]);
    expect(listener.arrived).toEqual([]);
  });

  test("get every reading in the order in which it came, at their QoS", async () => {
    const { connected } = await started();
    const listener = await connected("listener");
    listener.send(subscribe(1, "sensors/+", 1));
    await listener.told(1);
    const sensor = await connected();
    sensor.send(...Array.from({ length: 300 }, (_, i) => reading(i + 1)));
    await sensor.told(300);
    expect(await listener.told(300)).toEqual(
      Array.from({ length: 300 }, (_, i) => `publish sensors/d ${i + 1} qos1`),
    );
  });

  test("that come and go are seen", async () => {
    const { connected } = await started();
    const sensor = await connected();
    const listener = await connected("listener");
    const say = async (value: number) => {
      sensor.send(reading(value));
      await sensor.told(1);
    };
    await say(1);
    listener.send(subscribe(1, "sensors/d", 0));
    expect(await listener.told(1)).toEqual(["suback 1"]);
    await say(2);
    expect(await listener.told(1)).toEqual(["publish sensors/d 2 qos0"]);
    listener.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["sensors/d"] });
    expect(await listener.told(1)).toEqual(["unsuback 2"]);
    await say(3);
    listener.send(subscribe(3, "#", 1));
    expect(await listener.told(1)).toEqual(["suback 3"]);
    await say(4);
    expect(await listener.told(1)).toEqual(["publish sensors/d 4 qos1"]);
  });

  test("that are away in a persistent session find what was sent meanwhile", async () => {
    const { connected } = await started();
    const listener = await connected("listener", { clean: false });
    listener.send(subscribe(1, "sensors/#", 1));
    await listener.told(1);
    listener.send({ cmd: "disconnect" });
    await listener.whenClosed();
    const sensor = await connected();
    sensor.send(reading(1), reading(2));
    await sensor.told(2);
    const back = await connected("listener", { clean: false });
    expect((await back.told(2)).sort()).toEqual([
      "publish sensors/d 1 qos1",
      "publish sensors/d 2 qos1",
    ]);
  });

  test("get what is retained, once it was a reading, until it is removed", async () => {
    const { connected, readings } = await started();
    const sensor = await connected();
    sensor.send(reading(1, { retain: true }), reading(2, { retain: true }));
    await sensor.told(2);
    const listener = await connected("listener");
    listener.send(subscribe(1, "sensors/d", 1));
    expect((await listener.told(2)).sort()).toEqual([
      "publish sensors/d 2 qos1 retain",
      "suback 1",
    ]);
    sensor.send(reading(3, { retain: true, payload: "" }));
    expect(await sensor.told(1)).toEqual(["puback 3"]);
    expect(short(await listener.receive())).toBe("publish sensors/d  qos1");
    const late = await connected("late");
    late.send(subscribe(1, "sensors/d", 1), { cmd: "pingreq" });
    expect((await late.told(2)).sort()).toEqual(["pingresp", "suback 1"]);
    expect(readings()).toEqual([1, 2]);
  });

  test("that do not read hold up their own publishers at most, within bounds, and until they are gone", async () => {
    const { connected, broker } = await started(100_000);
    const deaf = await connected("deaf");
    deaf.send(subscribe(1, "sensors/loud", 0));
    await deaf.told(1);
    deaf.socket.pause();
    const loud = await connected("loud");
    // Far more than what the kernel keeps for a socket that is not read.
    const count = 1000;
    const payload = "x".repeat(20_000);
    loud.send(
      ...Array.from({ length: count }, (_, i) =>
        reading(i + 1, { topic: "sensors/loud", payload }),
      ),
    );
    await expect.poll(() => broker.budget.messages).toBeGreaterThan(40);
    const quiet = await connected("quiet");
    quiet.send(reading(1));
    expect(await quiet.told(1)).toEqual(["puback 1"]);
    expect(broker.budget.messages).toBeLessThan(60);
    deaf.socket.destroy();
    expect((await loud.told(count)).at(-1)).toBe(`puback ${count}`);
    expect(broker.budget.messages).toBe(0);
  });
});
