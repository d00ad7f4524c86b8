import mqtt from "mqtt";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { Broker } from "./broker.ts";
import { cleanups, Device, reading, STAMP, startBroker } from "./test-support/device.ts";

const silent = pino({ level: "silent" });
const LIMITS = { maxClients: 100, connectTimeoutMs: 5000, queueLimit: 100 };

describe("broker", () => {
  const after = cleanups();
  afterEach(() => after.run());

  async function started() {
    const broker = await startBroker();
    after.add(() => broker.stop());
    return broker;
  }

  function device(port: number): Device {
    const made = new Device(port);
    after.add(() => made.socket.destroy());
    return made;
  }

  async function client(port: number, options: mqtt.IClientOptions = {}) {
    const made = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
      ...options,
    });
    after.add(() => made.endAsync(true));
    return made;
  }

  test("the PUBACK comes after the event is on disk, not before", async () => {
    const { buffer, broker } = await started();
    const sensor = device(broker.port);
    await sensor.connectAs("c");
    buffer.hold = true;
    sensor.send(reading(1, { payload: '{"t": 1}' }));
    await buffer.until(() => buffer.held === 1);
    // A PINGRESP overtakes the held PUBACK: had the ack been written, it would have come first.
    expect(await sensor.ping()).toBe("pingresp");
    expect(buffer.disk.events).toHaveLength(0);
    buffer.letGo();
    expect(await sensor.told(1)).toEqual(["puback 1"]);
    const [stored] = buffer.disk.events;
    expect(decodeEvent("tidegate.reading", stored?.value ?? new Uint8Array())).toEqual({
      ...STAMP,
      device: "d",
      metrics: { t: 1 },
    });
  });

  test("what the disk refuses is not acknowledged: the connection closes and the device may send again", async () => {
    const { buffer, broker, intake } = await started();
    const sensor = device(broker.port);
    await sensor.connectAs("c");
    buffer.refuse = 1;
    sensor.send(reading(1));
    await sensor.whenClosed();
    expect(sensor.arrived).toEqual([]);
    expect(intake.stats).toMatchObject({ readings: 0, refused: { unavailable: 1 } });
    const again = device(broker.port);
    await again.connectAs("c");
    again.send(reading(1, { dup: true }));
    expect(await again.told(1)).toEqual(["puback 1"]);
    expect(intake.stats.readings).toBe(1);
  });

  test("a QoS 0 message that the disk refuses is counted, and its connection lives", async () => {
    const { buffer, broker, intake } = await started();
    const sensor = device(broker.port);
    await sensor.connectAs("c");
    buffer.refuse = 1;
    sensor.send(reading(1, { qos: 0 }), reading(2));
    expect(await sensor.told(1)).toEqual(["puback 2"]);
    expect(intake.stats).toMatchObject({ readings: 1, refused: { unavailable: 1 } });
  });

  test("a backlog that a device sends at once over QoS 2 is stored once, in one connection", async () => {
    const { broker, buffer } = await started();
    const publisher = await client(broker.port);
    const count = 3000;
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        publisher.publishAsync("sensors/d", `${i}`, { qos: 2 }),
      ),
    );
    expect(broker.stats().clientErrors).toBe(0);
    expect(buffer.disk.events).toHaveLength(count);
  });

  test("what cannot be decoded is acknowledged and kept with its reason", async () => {
    const { broker, buffer, intake } = await started();
    const publisher = await client(broker.port);
    await publisher.publishAsync("sensors/d", "{broken", { qos: 1 });
    await publisher.publishAsync("sensors/d", "x".repeat(2000), { qos: 1 });
    await publisher.publishAsync("sensors//t", "1", { qos: 1 });
    const stored = buffer.disk.events.map((e) => decodeEvent("tidegate.rejected-payload", e.value));
    expect(stored.map((e) => e.code)).toEqual(["not_json", "too_large", "bad_name"]);
    expect(stored[0]).toMatchObject({ topic: "sensors/d", size: 7 });
    expect(Buffer.from(stored[0]?.payload ?? []).toString()).toBe("{broken");
    expect(intake.stats.rejected).toEqual({ not_json: 1, too_large: 1, bad_name: 1 });
  });

  test("what no route matches is ordinary MQTT, and sensor topics are too for who subscribes", async () => {
    const { broker, buffer, intake } = await started();
    const listener = await client(broker.port);
    await listener.subscribeAsync("#", { qos: 1 });
    const received: string[] = [];
    const both = new Promise<void>((resolve) => {
      listener.on("message", (topic) => {
        received.push(topic);
        if (received.length === 2) resolve();
      });
    });
    const publisher = await client(broker.port);
    await publisher.publishAsync("home/lamp", "on", { qos: 1 });
    await publisher.publishAsync("sensors/d", "1", { qos: 1 });
    await both;
    expect(received).toEqual(["home/lamp", "sensors/d"]);
    expect(intake.stats.unmatched).toBe(1);
    expect(buffer.disk.events).toHaveLength(1);
  });

  test("removing a retained message is no reading", async () => {
    const { broker, buffer } = await started();
    const publisher = await client(broker.port);
    await publisher.publishAsync("sensors/d", "1", { qos: 1, retain: true });
    await publisher.publishAsync("sensors/d", "", { qos: 1, retain: true });
    expect(buffer.disk.events).toHaveLength(1);
  });

  test("a will on a sensor topic is a reading like any other", async () => {
    const { buffer, broker } = await started();
    const publisher = await client(broker.port, {
      will: { topic: "sensors/d/state", payload: Buffer.from('"gone"'), qos: 1, retain: false },
    });
    publisher.stream.destroy();
    await buffer.waitBeyond(0);
    const [stored] = buffer.disk.events;
    expect(decodeEvent("tidegate.reading", stored?.value ?? new Uint8Array()).metrics).toEqual({
      state: "gone",
    });
  });

  test("$SYS is neither written nor read", async () => {
    const { broker } = await started();
    const publisher = await client(broker.port);
    const [grant] = await publisher.subscribeAsync("$SYS/#").catch(() => [{ qos: 128 }]);
    expect(grant?.qos).toBe(128);
    const closed = new Promise<void>((resolve) => publisher.once("close", () => resolve()));
    publisher.publish("$SYS/x", "1");
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
