import { connect, type Socket } from "node:net";
import mqtt from "mqtt";
import mqttPacket, { type Packet } from "mqtt-packet";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { EPOCH, FIRST_EVENT } from "../buffer/conformance.ts";
import { MemoryBuffer } from "../buffer/memory.ts";
import type { BufferedEvent, NewEvent, SequenceRange } from "../buffer/port.ts";
import { Broker } from "./broker.ts";
import { Intake } from "./intake.ts";

const silent = pino({ level: "silent" });
const LIMITS = { maxClients: 100, connectTimeoutMs: 5000, queueLimit: 100 };

/** A buffer whose disk the test holds in its hand. */
class HeldBuffer extends MemoryBuffer {
  held: (() => void)[] | undefined;
  onHeld: (() => void) | undefined;

  override async append(
    events: readonly NewEvent[],
    options: { readonly reserved?: boolean } = {},
  ): Promise<SequenceRange> {
    if (this.held) {
      const { held } = this;
      await new Promise<void>((resolve) => {
        held.push(resolve);
        this.onHeld?.();
      });
    }
    return super.append(events, options);
  }
}

describe("broker", () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function started() {
    const buffer = new HeldBuffer({
      firstEpoch: EPOCH,
      firstEvent: FIRST_EVENT,
      capacityBytes: 1e6,
    });
    await buffer.start();
    const stamp = () => ({ received: 5, clock: "synced" as const, boot: "b", uptime: 1 });
    const intake = new Intake({ buffer, stamp, maxPayloadBytes: 1000 });
    const broker = new Broker({ host: "127.0.0.1", port: 0, ...LIMITS }, intake, silent);
    await broker.start();
    cleanups.push(() => broker.stop());
    const events = async (): Promise<readonly BufferedEvent[]> =>
      buffer.read(1, { events: 1e6, bytes: 1e9 });
    return { buffer, intake, broker, events };
  }

  async function client(port: number, options: mqtt.IClientOptions = {}) {
    const made = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
      ...options,
    });
    cleanups.push(() => made.endAsync(true));
    return made;
  }

  /** A client that speaks packet by packet. */
  async function raw(port: number) {
    const socket: Socket = connect(port, "127.0.0.1");
    cleanups.push(() => socket.destroy());
    const parser = mqttPacket.parser();
    const arrived: Packet[] = [];
    const waiting: ((packet: Packet) => void)[] = [];
    parser.on("packet", (packet) => {
      const next = waiting.shift();
      if (next) next(packet);
      else arrived.push(packet);
    });
    socket.on("data", (chunk) => parser.parse(chunk));
    const receive = async () =>
      arrived.shift() ?? (await new Promise<Packet>((resolve) => waiting.push(resolve)));
    const send = (...packets: Packet[]) =>
      socket.write(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))));
    const connectAs = async (clientId: string, clean = true) => {
      send({
        cmd: "connect",
        clientId,
        clean,
        keepalive: 0,
        protocolId: "MQTT",
        protocolVersion: 4,
      });
      return await receive();
    };
    return { socket, arrived, receive, send, connectAs };
  }

  const publish = (messageId: number, payload: string, qos: 1 | 2 = 1, dup = false): Packet => ({
    cmd: "publish",
    topic: "sensors/d",
    payload,
    qos,
    messageId,
    dup,
    retain: false,
  });

  test("the PUBACK comes after the event is on disk, not before", async () => {
    const { buffer, broker, events } = await started();
    const device = await raw(broker.port);
    await device.connectAs("c");
    buffer.held = [];
    const reached = new Promise<void>((resolve) => {
      buffer.onHeld = resolve;
    });
    device.send(publish(1, '{"t": 1}'));
    await reached;
    // A PINGRESP overtakes the held PUBACK: had the ack been written, it would have come first.
    device.send({ cmd: "pingreq" });
    expect((await device.receive()).cmd).toBe("pingresp");
    expect(await events()).toHaveLength(0);
    buffer.held[0]?.();
    expect(await device.receive()).toMatchObject({ cmd: "puback", messageId: 1 });
    const [stored] = await events();
    expect(decodeEvent("tidegate.reading", stored?.value ?? new Uint8Array())).toEqual({
      received: 5,
      clock: "synced",
      boot: "b",
      uptime: 1,
      device: "d",
      metrics: { t: 1 },
    });
  });

  test("what the disk refuses is not acknowledged: the connection closes and the device may send again", async () => {
    const { buffer, broker, intake } = await started();
    const device = await raw(broker.port);
    await device.connectAs("c");
    buffer.failWrites = 1;
    const closed = new Promise((resolve) => device.socket.once("close", resolve));
    device.send(publish(1, '{"t": 1}'));
    await closed;
    expect(device.arrived).toEqual([]);
    expect(intake.stats).toMatchObject({ readings: 0, refused: { unavailable: 1 } });
    const again = await raw(broker.port);
    await again.connectAs("c");
    again.send(publish(1, '{"t": 1}', 1, true));
    expect(await again.receive()).toMatchObject({ cmd: "puback", messageId: 1 });
    expect(intake.stats.readings).toBe(1);
  });

  test("a QoS 2 message sent again before its PUBREL is stored once, in one chunk too", async () => {
    const { broker, events } = await started();
    const device = await raw(broker.port);
    await device.connectAs("c", false);
    device.send(publish(7, '{"t": 1}', 2), publish(7, '{"t": 1}', 2, true));
    expect(await device.receive()).toMatchObject({ cmd: "pubrec", messageId: 7 });
    expect(await device.receive()).toMatchObject({ cmd: "pubrec", messageId: 7 });
    device.send({ cmd: "pubrel", messageId: 7 });
    expect(await device.receive()).toMatchObject({ cmd: "pubcomp", messageId: 7 });
    expect(await events()).toHaveLength(1);
    device.send(publish(7, '{"t": 2}', 2));
    expect(await device.receive()).toMatchObject({ cmd: "pubrec", messageId: 7 });
    expect(await events()).toHaveLength(2);
  });

  test("a QoS 2 message sent again in the kept session of a new connection is stored once", async () => {
    const { broker, events } = await started();
    const device = await raw(broker.port);
    await device.connectAs("c", false);
    // aedes counts a session as present only if it has a subscription.
    device.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "x", qos: 0 }] });
    expect((await device.receive()).cmd).toBe("suback");
    device.send(publish(7, '{"t": 1}', 2));
    expect((await device.receive()).cmd).toBe("pubrec");
    device.socket.destroy();
    const again = await raw(broker.port);
    expect(await again.connectAs("c", false)).toMatchObject({ sessionPresent: true });
    again.send(publish(7, '{"t": 1}', 2, true));
    expect(await again.receive()).toMatchObject({ cmd: "pubrec", messageId: 7 });
    expect(await events()).toHaveLength(1);
  });

  test("a rebooted device that begins its packet ids anew in a kept session loses no QoS 2 message", async () => {
    const { broker, events } = await started();
    const device = await raw(broker.port);
    await device.connectAs("c", false);
    device.send(publish(1, '{"t": 1}', 2));
    expect((await device.receive()).cmd).toBe("pubrec");
    device.socket.destroy();
    const rebooted = await raw(broker.port);
    await rebooted.connectAs("c", false);
    rebooted.send(publish(1, '{"t": 2}', 2));
    expect(await rebooted.receive()).toMatchObject({ cmd: "pubrec", messageId: 1 });
    rebooted.send(publish(1, '{"t": 2}', 2, true));
    expect(await rebooted.receive()).toMatchObject({ cmd: "pubrec", messageId: 1 });
    expect(await events()).toHaveLength(2);
  });

  test("a backlog that a device sends at once over QoS 2 is stored once, in one connection", async () => {
    const { broker, events } = await started();
    const device = await client(broker.port);
    const count = 3000;
    await Promise.all(
      Array.from({ length: count }, (_, i) => device.publishAsync("sensors/d", `${i}`, { qos: 2 })),
    );
    expect(broker.stats().clientErrors).toBe(0);
    expect(await events()).toHaveLength(count);
  });

  test("what cannot be decoded is acknowledged and kept with its reason", async () => {
    const { broker, events, intake } = await started();
    const device = await client(broker.port);
    await device.publishAsync("sensors/d", "{broken", { qos: 1 });
    await device.publishAsync("sensors/d", "x".repeat(2000), { qos: 1 });
    await device.publishAsync("sensors//t", "1", { qos: 1 });
    const stored = (await events()).map((e) => decodeEvent("tidegate.rejected-payload", e.value));
    expect(stored.map((e) => e.code)).toEqual(["not_json", "too_large", "bad_name"]);
    expect(stored[0]).toMatchObject({ topic: "sensors/d", size: 7 });
    expect(Buffer.from(stored[0]?.payload ?? []).toString()).toBe("{broken");
    expect(intake.stats.rejected).toEqual({ not_json: 1, too_large: 1, bad_name: 1 });
  });

  test("what no route matches is ordinary MQTT, and sensor topics are too for who subscribes", async () => {
    const { broker, events, intake } = await started();
    const listener = await client(broker.port);
    await listener.subscribeAsync("#", { qos: 1 });
    const received: string[] = [];
    const both = new Promise<void>((resolve) => {
      listener.on("message", (topic) => {
        received.push(topic);
        if (received.length === 2) resolve();
      });
    });
    const device = await client(broker.port);
    await device.publishAsync("home/lamp", "on", { qos: 1 });
    await device.publishAsync("sensors/d", "1", { qos: 1 });
    await both;
    expect(received).toEqual(["home/lamp", "sensors/d"]);
    expect(intake.stats.unmatched).toBe(1);
    expect(await events()).toHaveLength(1);
  });

  test("removing a retained message is no reading", async () => {
    const { broker, events } = await started();
    const device = await client(broker.port);
    await device.publishAsync("sensors/d", "1", { qos: 1, retain: true });
    await device.publishAsync("sensors/d", "", { qos: 1, retain: true });
    expect(await events()).toHaveLength(1);
  });

  test("a will on a sensor topic is a reading like any other", async () => {
    const { buffer, broker, events } = await started();
    const device = await client(broker.port, {
      will: { topic: "sensors/d/state", payload: Buffer.from('"gone"'), qos: 1, retain: false },
    });
    device.stream.destroy();
    await buffer.waitBeyond(1, AbortSignal.timeout(10_000));
    const [stored] = await events();
    expect(decodeEvent("tidegate.reading", stored?.value ?? new Uint8Array()).metrics).toEqual({
      state: "gone",
    });
  });

  test("$SYS is neither written nor read", async () => {
    const { broker } = await started();
    const device = await client(broker.port);
    const [grant] = await device.subscribeAsync("$SYS/#").catch(() => [{ qos: 128 }]);
    expect(grant?.qos).toBe(128);
    const closed = new Promise<void>((resolve) => device.once("close", () => resolve()));
    device.publish("$SYS/x", "1");
    await closed;
  });

  test("a taken port is said with what to do about it", async () => {
    const { broker, intake } = await started();
    const second = new Broker({ host: "127.0.0.1", port: broker.port, ...LIMITS }, intake, silent);
    await expect(second.start()).rejects.toMatchObject({
      name: "ListenError",
      code: "EADDRINUSE",
      message: expect.stringContaining("--mqtt-port"),
    });
  });
});
