import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CodecError, decodeCbor, decodeEvent, encodeCbor, encodeEvent } from "./codec.ts";
import { MAX_METRICS, MAX_NAME_LENGTH } from "./limits.ts";
import type { Reading } from "./schema.ts";
import { CLOCKS } from "./schema-parts.ts";
import { ALL_SAMPLES, SAMPLES } from "./test-support/samples.ts";

test.each(ALL_SAMPLES)("%s (%s) comes back as it was", (type, _, event) => {
  expect(normal(decodeEvent(type, encodeEvent(type, event)))).toEqual(normal(event));
});

/** Byte strings come back as Buffers. */
function normal(value: unknown): unknown {
  return Object.fromEntries(
    Object.entries(value as object).map(([key, one]) => [
      key,
      one instanceof Uint8Array ? Buffer.from(one).toString("hex") : one,
    ]),
  );
}

const time = fc
  .oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((n) => n + 0);
// Names that are well-formed: MQTT and JSON have no others.
const name = fc
  .string({ minLength: 1, maxLength: MAX_NAME_LENGTH, unit: "grapheme" })
  .filter((text) => text.length <= MAX_NAME_LENGTH && text !== "__proto__");
const reading: fc.Arbitrary<Reading> = fc.record(
  {
    received: time,
    clock: fc.constantFrom(...CLOCKS),
    boot: fc.string({ unit: "grapheme" }),
    uptime: time,
    device: name,
    metrics: fc.dictionary(name, fc.oneof(time, fc.boolean(), fc.string({ unit: "grapheme" })), {
      minKeys: 1,
      maxKeys: 20,
      noNullPrototype: true,
    }),
    time,
  },
  { requiredKeys: ["received", "clock", "boot", "uptime", "device", "metrics"] },
);

test("any reading comes back as it was", () => {
  fc.assert(
    fc.property(reading, (event) => {
      expect(decodeEvent("tidegate.reading", encodeEvent("tidegate.reading", event))).toEqual(
        event,
      );
    }),
    { numRuns: 300 },
  );
});

test("bytes of any kind decode or say why not, and nothing else is thrown", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        decodeEvent("tidegate.reading", bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe("what does not fit its schema is refused", () => {
  const refused = (more: object) => {
    const bytes = encodeCbor({ ...SAMPLES["tidegate.reading"].full, ...more });
    return () => decodeEvent("tidegate.reading", bytes);
  };
  test.each<[string, object]>([
    ["no metrics", { metrics: {} }],
    ["a metric that is a list", { metrics: { a: [1] } }],
    ["NaN", { metrics: { a: Number.NaN } }],
    ["infinity", { time: Number.POSITIVE_INFINITY }],
    ["a list under a name with a line break", { metrics: { "a\nb": [1] } }],
    ["an empty name", { device: "" }],
    ["a long name", { device: "x".repeat(MAX_NAME_LENGTH + 1) }],
    ["a long text", { metrics: { a: "x".repeat(1025) } }],
    ["an unknown clock", { clock: "sundial" }],
    ["null", { time: null }],
    [
      "too many metrics",
      {
        metrics: Object.fromEntries(
          Array.from({ length: MAX_METRICS + 1 }, (_, i) => [`m${i}`, 1]),
        ),
      },
    ],
  ])("%s", (_, more) => {
    expect(refused(more)).toThrow(expect.objectContaining({ code: "schema" }));
  });
  test("a payload that is text where bytes belong", () => {
    const bytes = encodeCbor({ ...SAMPLES["tidegate.rejected-payload"].full, payload: "text" });
    expect(() => decodeEvent("tidegate.rejected-payload", bytes)).toThrow(
      expect.objectContaining({ code: "schema" }),
    );
  });
});

test("fields of a later version are passed over", () => {
  const bytes = encodeCbor({ ...SAMPLES["tidegate.heartbeat"].full, battery: 0.5 });
  expect(decodeEvent("tidegate.heartbeat", bytes)).toMatchObject({ interval: 10_000 });
});

test("64-bit integers of other writers are numbers", () => {
  const bytes = Buffer.from("a16474696d651b0000019ca9b1f000", "hex");
  expect(decodeCbor(bytes)).toEqual({ time: 0x019ca9b1f000 });
  expect(() => decodeCbor(Buffer.from("0101", "hex"))).toThrow(CodecError);
  expect(() => decodeCbor(new Uint8Array())).toThrow(CodecError);
});
