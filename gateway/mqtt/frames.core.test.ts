import fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { FrameReader, PublishParts } from "./frames.core.ts";

const publish = (topic: string, payload: Buffer, qos: 0 | 1 | 2, messageId: number): Packet => ({
  cmd: "publish",
  topic,
  payload,
  qos,
  dup: qos > 0,
  retain: false,
  ...(qos > 0 ? { messageId } : {}),
});

/** Everything that the reader finds in the chunks, as bytes. */
function framesOf(chunks: readonly Buffer[], limit = 1e6): { frames: Buffer[]; end: string } {
  const reader = new FrameReader(limit);
  const frames: Buffer[] = [];
  for (const chunk of chunks) {
    reader.add(chunk);
    for (;;) {
      const state = reader.next();
      if (state === "none") break;
      if (state !== "whole") return { frames, end: state };
      frames.push(reader.bytes.subarray(reader.start, reader.end));
      reader.consume();
    }
    reader.settle();
  }
  return { frames, end: "none" };
}

describe("FrameReader", () => {
  test("holds no more than about what waits once it is settled", () => {
    const reader = new FrameReader(1e6);
    const whole = mqttPacket.generate(publish("sensors/d", Buffer.alloc(60_000), 1, 1));
    reader.add(Buffer.concat([whole, whole.subarray(0, 10)]));
    expect(reader.next()).toBe("whole");
    reader.consume();
    expect(reader.held).toBe(whole.length + 10);
    reader.settle();
    expect(reader.held).toBe(10);
    reader.add(whole.subarray(10, 40_000));
    expect(reader.next()).toBe("none");
    reader.settle();
    expect(reader.held).toBeGreaterThanOrEqual(40_000);
    reader.add(whole.subarray(40_000));
    expect(reader.next()).toBe("whole");
    expect(reader.bytes.subarray(reader.start, reader.end)).toEqual(whole);
    reader.consume();
    reader.settle();
    expect(reader.held).toBe(0);
    expect(reader.bytes).toHaveLength(0);
  });

  test("finds the same frames however the stream is cut", () => {
    const packet = fc
      .tuple(
        fc.uint8Array({ maxLength: 400 }),
        fc.constantFrom(0, 1, 2),
        fc.integer({ min: 1, max: 65535 }),
      )
      .map(([payload, qos, id]) =>
        mqttPacket.generate(publish("sensors/d", Buffer.from(payload), qos as 0 | 1 | 2, id)),
      );
    fc.assert(
      fc.property(
        fc.array(packet, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 300 })),
        (packets, cuts) => {
          const stream = Buffer.concat(packets);
          const chunks: Buffer[] = [];
          let at = 0;
          for (const cut of cuts) {
            if (at + cut >= stream.length) break;
            chunks.push(Buffer.from(stream.subarray(at, at + cut)));
            at += cut;
          }
          chunks.push(Buffer.from(stream.subarray(at)));
          expect(framesOf(chunks)).toEqual({ frames: packets, end: "none" });
          const bytes = [...stream].map((byte) => Buffer.of(byte));
          expect(framesOf(bytes)).toEqual({ frames: packets, end: "none" });
        },
      ),
    );
  });

  test("a packet that claims too much is told by its header, before its body came", () => {
    expect(framesOf([Buffer.of(0x30, 0xff, 0xff, 0x03)], 65_000).end).toBe("large");
    expect(framesOf([Buffer.of(0x30, 0xff, 0xff, 0x03)], 65_539).end).toBe("none");
    expect(framesOf([Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff)]).end).toBe("malformed");
  });

  test("a packet of 256 KB that comes byte by byte is gathered in little more memory than came", () => {
    const reader = new FrameReader(1e6);
    const packet = mqttPacket.generate(publish("sensors/d", Buffer.alloc(262_144, 7), 1, 1));
    let copies = 0;
    let home = reader.bytes;
    for (let i = 0; i < packet.length; i += 1) {
      reader.add(packet.subarray(i, i + 1));
      if (reader.bytes === home) continue;
      home = reader.bytes;
      copies += 1;
      expect(home.length).toBeLessThanOrEqual(Math.max(8, 2 * (i + 1)));
    }
    expect(copies).toBeLessThan(30);
    expect(reader.next()).toBe("whole");
    expect(reader.bytes.subarray(reader.start, reader.end).equals(packet)).toBe(true);
  });
});

describe("PublishParts", () => {
  const parts = new PublishParts();
  const read = (bytes: Buffer): boolean => {
    const reader = new FrameReader(1e6);
    reader.add(bytes);
    expect(reader.next()).toBe("whole");
    return parts.read(reader);
  };

  test("says where topic, id and payload stand", () => {
    const bytes = mqttPacket.generate(publish("sensors/d", Buffer.from("21"), 1, 513));
    expect(read(bytes)).toBe(true);
    expect(parts).toMatchObject({ qos: 1, dup: true, retain: false, messageId: 513 });
    expect(bytes.toString("utf8", parts.topicStart, parts.topicEnd)).toBe("sensors/d");
    expect(bytes.toString("utf8", parts.payload)).toBe("21");
  });

  test.each([
    ["QoS 3", [0x36, 5, 0, 1, 0x61, 0, 1]],
    ["a topic longer than the packet", [0x30, 3, 0, 9, 0x61]],
    ["no room for the topic's length", [0x30, 1, 0]],
    ["an empty topic", [0x30, 2, 0, 0]],
    ["no room for the id", [0x32, 4, 0, 1, 0x61, 0]],
    ["the id 0", [0x32, 5, 0, 1, 0x61, 0, 0]],
  ])("refuses %s", (_, bytes) => {
    expect(read(Buffer.from(bytes))).toBe(false);
  });
});
