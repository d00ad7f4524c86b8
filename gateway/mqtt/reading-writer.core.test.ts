import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import type { MetricValue } from "../../events/schema.ts";
import { ReadingWriter } from "./reading-writer.core.ts";

const STAMP = { received: 1_767_225_600_123, clock: "synced" as const, boot: "b-1", uptime: 12.34 };

const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 128 }),
  fc.string({ minLength: 1, maxLength: 42, unit: "grapheme" }),
  fc.constantFrom("constructor", "0", "17", "toString"),
);
const metricValue: fc.Arbitrary<MetricValue> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    23,
    24,
    255,
    256,
    65535,
    65536,
    2 ** 32 - 1,
    2 ** 32,
    -1,
    -24,
    -25,
    -(2 ** 31),
  ),
  fc.boolean(),
  fc.string({ maxLength: 300 }),
  fc.string({ maxLength: 300, unit: "grapheme" }),
);
const reading = fc.record({
  device: name.filter((text) => text !== "__proto__" && text.length <= 128),
  metrics: fc
    .dictionary(
      name.filter((text) => text !== "__proto__" && text.length <= 128),
      metricValue,
      { minKeys: 1, maxKeys: 40 },
    )
    // The dictionaries have no prototype, what JSON.parse makes has one.
    .map((metrics) => ({ ...metrics })),
  time: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: undefined }),
  stamp: fc.constantFrom(STAMP, { ...STAMP, received: 5, uptime: 7 }, { ...STAMP, later: "x" }),
});

test("what is written decodes to what the general encoder's bytes decode to", () => {
  const writer = new ReadingWriter();
  const kept: { bytes: Uint8Array; event: unknown }[] = [];
  fc.assert(
    fc.property(reading, ({ device, metrics, time, stamp }) => {
      const bytes = writer.write(stamp, device, metrics, time);
      const event = decodeEvent(
        "tidegate.reading",
        encodeEvent("tidegate.reading", {
          ...stamp,
          ...(time === undefined ? {} : { time, clock: "device" as const }),
          device,
          metrics,
        }),
      );
      expect(decodeEvent("tidegate.reading", bytes)).toEqual(event);
      expect(writer.metricCount).toBe(Object.keys(metrics).length);
      kept.push({ bytes, event });
    }),
    { numRuns: 500 },
  );
  // Nothing that was written later has touched what was written before, over many slabs.
  for (const { bytes, event } of kept)
    expect(decodeEvent("tidegate.reading", bytes)).toEqual(event);
});

test("the largest reading that the limits allow fits", () => {
  const writer = new ReadingWriter();
  const metrics = Object.fromEntries(
    Array.from({ length: 1024 }, (_, i) => [`${i}`.padStart(128, "m"), "\u20ac".repeat(1024)]),
  );
  const bytes = writer.write(STAMP, "d", metrics, undefined);
  expect(decodeEvent("tidegate.reading", bytes).metrics).toEqual(metrics);
});
