import fc from "fast-check";
import mqttPacket from "mqtt-packet";
import { describe, expect, test } from "vitest";
import {
  AnswerReader,
  connectPacket,
  DISCONNECT,
  PINGREQ,
  publishPacket,
  pubrelPacket,
  refusalText,
} from "./packets.core.ts";

/** As another codec writes it. */
function generated(packet: object): Buffer {
  return mqttPacket.generate(packet as mqttPacket.Packet);
}

class Answers {
  readonly said: (readonly unknown[])[] = [];
  readonly reader = new AnswerReader({
    connack: (present, code) => this.said.push(["connack", present, code]),
    puback: (id) => this.said.push(["puback", id]),
    pubrec: (id) => this.said.push(["pubrec", id]),
    pubcomp: (id) => this.said.push(["pubcomp", id]),
  });
}

describe("packets that are written", () => {
  test("CONNECT, with and without a name and a password", () => {
    const base = { clientId: "fühler-1", clean: true, keepaliveSeconds: 60 };
    const same = { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "fühler-1" };
    expect(connectPacket(base)).toEqual(generated({ ...same, clean: true, keepalive: 60 }));
    expect(connectPacket({ ...base, clean: false, username: "u", password: "geheim" })).toEqual(
      generated({ ...same, clean: false, keepalive: 60, username: "u", password: "geheim" }),
    );
    expect(connectPacket({ ...base, clientId: "x".repeat(300) })).toEqual(
      generated({ ...same, clientId: "x".repeat(300), clean: true, keepalive: 60 }),
    );
  });

  test("PUBLISH of every kind and every length of its length", () => {
    const packet = fc.record({
      topic: fc.string({ minLength: 1, unit: "grapheme" }),
      payload: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      qos: fc.constantFrom(0, 1, 2),
      messageId: fc.integer({ min: 1, max: 65_535 }),
      dup: fc.boolean(),
    });
    fc.assert(
      fc.property(packet, (given) => {
        const one = { ...given, dup: given.qos > 0 && given.dup };
        const theirs = generated({ cmd: "publish", retain: false, ...one });
        expect(publishPacket(one as Parameters<typeof publishPacket>[0])).toEqual(theirs);
      }),
    );
    for (const size of [100, 127, 128, 16_300, 16_384, 2_097_100, 2_097_152]) {
      const given = { topic: "sensors/a", payload: Buffer.alloc(size, 7), messageId: 9 } as const;
      expect(publishPacket({ ...given, qos: 1, dup: false })).toEqual(
        generated({ cmd: "publish", retain: false, dup: false, qos: 1, ...given }),
      );
    }
  });

  test("PUBREL, PINGREQ, DISCONNECT", () => {
    expect(pubrelPacket(0x1234)).toEqual(generated({ cmd: "pubrel", messageId: 0x1234 }));
    expect(PINGREQ).toEqual(generated({ cmd: "pingreq" }));
    expect(DISCONNECT).toEqual(generated({ cmd: "disconnect" }));
  });
});

describe("answers", () => {
  const STREAM = Buffer.concat([
    generated({ cmd: "connack", sessionPresent: true, returnCode: 0 }),
    generated({ cmd: "puback", messageId: 1 }),
    generated({ cmd: "pingresp" }),
    generated({ cmd: "publish", topic: "a", payload: "x".repeat(300), qos: 0 }),
    generated({ cmd: "pubrec", messageId: 0x1234 }),
    generated({ cmd: "pubcomp", messageId: 65_535 }),
    generated({ cmd: "puback", messageId: 2 }),
  ]);
  const SAID = [
    ["connack", true, 0],
    ["puback", 1],
    ["pubrec", 0x1234],
    ["pubcomp", 65_535],
    ["puback", 2],
  ];

  test("are read in pieces of every size; what nobody asked for is passed over", () => {
    for (let size = 1; size <= STREAM.length; size += 1) {
      const { reader, said } = new Answers();
      for (let at = 0; at < STREAM.length; at += size) {
        expect(reader.read(STREAM.subarray(at, at + size))).toBe(true);
      }
      expect(said).toEqual(SAID);
    }
  });

  test("only the given part of a chunk counts", () => {
    const { reader, said } = new Answers();
    const scratch = Buffer.concat([STREAM, STREAM]);
    expect(reader.read(scratch, STREAM.length)).toBe(true);
    expect(said).toEqual(SAID);
  });

  test("what has no length that ends is no MQTT", () => {
    const { reader } = new Answers();
    expect(reader.read(Buffer.from([0x48, 0xff, 0xff, 0xff, 0xff, 0xff]))).toBe(false);
  });

  test("a refusal has words", () => {
    expect(refusalText(5)).toBe("refused: not authorized");
    expect(refusalText(99)).toBe("refused: code 99");
  });
});
