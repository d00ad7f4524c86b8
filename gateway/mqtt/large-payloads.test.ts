/** Large payloads through the broker: what is acknowledged when, in what order, and what they may take of memory. */
import { createHash } from "node:crypto";
import pino from "pino";
import { afterEach, expect, test } from "vitest";
import { decodeEvent } from "../../events/codec.ts";
import { noise } from "../payloads/conformance.ts";
import { MemoryFiles } from "../payloads/memory-files.ts";
import { MemoryStore } from "../payloads/memory-store.ts";
import { Payloads } from "../payloads/payloads.ts";
import { Broker } from "./broker.ts";
import { Intake } from "./intake.ts";
import { MAX_LARGE_BYTES } from "./large-packets.ts";
import { bytesOf, cleanups, Device, reading, STAMP, subscribe } from "./test-support/device.ts";
import { HeldBuffer } from "./test-support/held-buffer.ts";

const after = cleanups();
afterEach(() => after.run());

const logger = pino({ level: "silent" });
const MAX = 2_000_000;

async function started(rawTopics: readonly string[] = []) {
  const buffer = new HeldBuffer();
  const files = new MemoryFiles();
  const payloads = new Payloads({
    gateway: "gw",
    buffer,
    files,
    store: new MemoryStore(),
    stamp: () => STAMP,
    capacityBytes: 2 * MAX,
    policy: "refuse",
    freeFloorBytes: 0,
    logger,
  });
  const intake = new Intake({
    buffer,
    stamp: () => STAMP,
    maxPayloadBytes: MAX,
    payloads,
    payloadsOverBytes: 1000,
  });
  const options = { host: "127.0.0.1", port: 0, maxClients: 100, connectTimeoutMs: 5000 };
  const broker = new Broker({ ...options, queueLimit: 100, rawTopics }, intake, logger);
  await broker.start();
  after.add(async () => {
    await broker.stop();
    await payloads.stop(0);
    await buffer.stop();
  });
  const connected = async (id = "c", given = {}) => {
    const made = new Device(broker.port);
    after.add(() => made.socket.destroy());
    await made.connectAs(id, given);
    return made;
  };
  /** What the journal has, in short. */
  const journal = () =>
    buffer.disk.events.map(({ type, value }) => {
      if (type === "tidegate.payload") return decodeEvent(type, value).size;
      if (type === "tidegate.reading") return Object.values(decodeEvent(type, value).metrics)[0];
      if (type !== "tidegate.rejected-payload") return type;
      return decodeEvent(type, value).code;
    });
  return { buffer, files, payloads, intake, broker, connected, journal };
}

const picture = (messageId: number, size: number, more = {}) =>
  reading(messageId, { payload: noise(size, messageId), ...more });

test("a large payload is acknowledged once it is on the disk and its event too, as it was sent", async () => {
  const { buffer, files, connected, intake } = await started();
  const camera = await connected();
  const hold = Promise.withResolvers<void>();
  files.hold = hold.promise;
  camera.send(picture(1, 1_500_000, { topic: "sensors/cam/front" }));
  // What is not on the disk is offered to nobody.
  expect(await camera.ping()).toBe("pingresp");
  expect(buffer.held).toBe(0);
  buffer.hold = true;
  hold.resolve();
  await buffer.until(() => buffer.held === 1);
  expect(files.disk.size).toBe(1);
  expect(await camera.ping()).toBe("pingresp");
  buffer.letGo();
  expect(await camera.told(1)).toEqual(["puback 1"]);
  const [event] = buffer.disk.events;
  expect(decodeEvent("tidegate.payload", event?.value ?? new Uint8Array())).toMatchObject({
    device: "cam",
    topic: "sensors/cam/front",
    client: "c",
    sha256: createHash("sha256").update(noise(1_500_000, 1)).digest("hex"),
  });
  expect(intake.stats).toMatchObject({ payloads: 1, readings: 0, rejected: {} });
});

test("messages of one device stand in the journal in their order, large and small", async () => {
  const { connected, journal } = await started();
  const camera = await connected();
  camera.send(
    reading(1),
    picture(2, 70_000),
    reading(3),
    picture(4, 1001),
    picture(5, 999_999),
    reading(6),
  );
  expect(await camera.told(6)).toEqual([1, 2, 3, 4, 5, 6].map((id) => `puback ${id}`));
  expect(journal()).toEqual([1, 70_000, 3, 1001, 999_999, 6]);
});

test("readings of others do not wait while a picture is written", async () => {
  const { files, connected, journal } = await started();
  const camera = await connected("camera");
  const sensor = await connected("sensor");
  const hold = Promise.withResolvers<void>();
  files.hold = hold.promise;
  camera.send(picture(1, 1_500_000));
  await camera.ping();
  camera.send(reading(2));
  sensor.send(reading(7), reading(8));
  expect(await sensor.told(2)).toEqual(["puback 7", "puback 8"]);
  expect(journal()).toEqual([7, 8]);
  hold.resolve();
  expect(await camera.told(2)).toEqual(["puback 1", "puback 2"]);
});

test("topics that are named keep payloads of any size; the others are decoded up to the limit", async () => {
  const { connected, journal } = await started(["cameras/+/image", "+/waves/#"]);
  const device = await connected();
  device.send(
    picture(1, 10, { topic: "cameras/door/image" }),
    picture(2, 1, { topic: "pump/waves" }),
    picture(3, 5, { topic: "pump/waves/x/y" }),
    reading(4, { payload: noise(500) }),
    picture(5, 9, { topic: "cameras/door/other" }),
    picture(6, 20, { topic: "cameras//image" }),
  );
  await device.told(6);
  expect(journal()).toEqual([10, 1, 5, "not_json", "bad_name"]);
});

test("a persistent session's picture that is sent again is kept once", async () => {
  const { buffer, files, connected, journal } = await started();
  const first = await connected("cam", { clean: false });
  buffer.hold = true;
  first.send(picture(1, 200_000));
  await buffer.until(() => buffer.held === 1);
  first.socket.destroy();
  await first.whenClosed();
  const again = await connected("cam", { clean: false });
  again.send(picture(1, 200_000, { dup: true }), picture(2, 1200));
  expect(await again.ping()).toBe("pingresp");
  buffer.hold = false;
  buffer.letGo();
  expect(await again.told(2)).toEqual(["puback 1", "puback 2"]);
  expect(journal()).toEqual([200_000, 1200]);
  expect(files.disk.size).toBe(2);
});

test("a clean session's picture whose connection broke before it was on the disk is dropped", async () => {
  const { files, connected, journal, broker } = await started();
  const camera = await connected("cam");
  const hold = Promise.withResolvers<void>();
  files.hold = hold.promise;
  camera.send(picture(1, 1_500_000));
  await camera.ping();
  camera.socket.destroy();
  await camera.whenClosed();
  const other = await connected("other");
  hold.resolve();
  other.send(picture(2, 2000));
  expect(await other.told(1)).toEqual(["puback 2"]);
  expect(journal()).toEqual([2000]);
  expect(files.disk.size).toBe(1);
  expect(broker.large.bytes).toBe(0);
});

test("QoS 0 and 2 are kept like QoS 1, and subscribers get them", async () => {
  const { connected, journal } = await started();
  const listener = await connected("listener");
  listener.send(subscribe(1, "sensors/#", 1));
  await listener.told(1);
  const camera = await connected();
  camera.send(picture(0, 1500, { qos: 0 }), picture(2, 1600, { qos: 2 }));
  expect(await camera.told(1)).toEqual(["pubrec 2"]);
  camera.send({ cmd: "pubrel", messageId: 2 });
  expect(await camera.told(1)).toEqual(["pubcomp 2"]);
  expect(journal()).toEqual([1500, 1600]);
  expect(await listener.told(2)).toHaveLength(2);
});

test("too large ones become rejected events, and beyond that a packet closes the connection, as on other topics", async () => {
  const { connected, journal, broker } = await started();
  const camera = await connected();
  camera.send(picture(1, MAX + 1), reading(2));
  expect(await camera.told(2)).toEqual(["puback 1", "puback 2"]);
  expect(journal()).toEqual(["too_large", 2]);
  camera.socket.write(bytesOf(picture(3, 4 * MAX)).subarray(0, 100));
  await camera.whenClosed();
  const other = await connected("other");
  // No reading's topic: nobody keeps it on a disk, so it is held to the size of ordinary packets.
  other.socket.write(bytesOf(picture(1, 300_000, { topic: "home/picture" })).subarray(0, 100));
  await other.whenClosed();
  expect(broker.stats().packetsTooLarge).toBe(2);
  expect(broker.large.bytes).toBe(0);
});

test("pictures of many devices take no more memory than is set apart for them, and all are kept", async () => {
  const { connected, journal, broker, payloads } = await started();
  payloads.start();
  const each = 1_900_000;
  const count = 30;
  const cameras = await Promise.all(
    Array.from({ length: count }, async (_, i) => await connected(`cam-${i}`)),
  );
  let most = 0;
  const { claim } = broker.large;
  let waited = 0;
  broker.large.claim = (who, bytes) => {
    const given = claim.call(broker.large, who, bytes);
    if (!given) waited += 1;
    most = Math.max(most, broker.large.bytes);
    return given;
  };
  const packets = cameras.map((_, i) => bytesOf(picture(i + 1, each)));
  // The first half of each, so that all of them are begun before any is whole.
  for (const [i, camera] of cameras.entries()) {
    camera.socket.write(packets[i]?.subarray(0, each / 2) ?? "");
  }
  for (const [i, camera] of cameras.entries())
    camera.socket.write(packets[i]?.subarray(each / 2) ?? "");
  const told = await Promise.all(cameras.map((camera) => camera.told(1)));
  expect(told).toEqual(cameras.map((_, i) => [`puback ${i + 1}`]));
  expect(journal().filter((size) => size === each)).toHaveLength(count);
  expect(waited).toBeGreaterThan(0);
  expect(most).toBeGreaterThan(20 * each);
  expect(most).toBeLessThanOrEqual(MAX_LARGE_BYTES);
  expect(broker.large.bytes).toBe(0);
  expect(broker.stats().clientErrors).toBe(0);
});
