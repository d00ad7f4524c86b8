import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCbor, encodeCbor, encodeEvent } from "./codec.ts";
import { isJournalType, type Stamp } from "./schema.ts";
import { readStamp, restamped } from "./stamp.ts";
import { ALL_SAMPLES } from "./test-support/samples.ts";

const journal = ALL_SAMPLES.filter(([type]) => isJournalType(type));
const stampOf = ({ received, clock, boot, uptime }: Stamp): Stamp => ({
  received,
  clock,
  boot,
  uptime,
});

test.each(journal)("%s (%s): its stamp is read as the whole event has it", (type, _, event) => {
  expect(readStamp(encodeEvent(type, event))).toEqual(stampOf(event as unknown as Stamp));
});

test("whatever numbers and names there are, in whatever order, the stamp is what decoding gives", () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -1, -24, -25, 1.5),
  );
  const stamp = fc.record({
    received: number,
    clock: fc.constantFrom("device", "synced", "restamped", "unsynced"),
    boot: fc.string({ unit: "grapheme", maxLength: 40 }),
    uptime: number,
  });
  const more = fc.dictionary(fc.string({ maxLength: 4 }), fc.integer(), { maxKeys: 40 });
  fc.assert(
    fc.property(stamp, more, fc.boolean(), (first, rest, stampFirst) => {
      const event = stampFirst ? { ...first, ...rest } : { ...rest, ...first };
      const value = encodeCbor(event);
      expect(readStamp(value)).toEqual(stampOf(decodeCbor(value) as Stamp));
    }),
  );
});

test("what is no event has no stamp, and no cut of one is read wrongly", () => {
  for (const value of [
    1,
    "text",
    [1, 2],
    {},
    { received: 1, clock: "guessed", boot: "", uptime: 1 },
  ]) {
    expect(readStamp(encodeCbor(value))).toBeUndefined();
  }
  expect(readStamp(new Uint8Array())).toBeUndefined();
  const stamp = { received: 1e12, clock: "synced", boot: "b".repeat(36), uptime: 5.25 } as const;
  const whole = encodeEvent("tidegate.heartbeat", { ...stamp, interval: 1 });
  for (let end = 0; end < whole.length; end += 1) {
    const found = readStamp(whole.subarray(0, end));
    if (found) expect(found).toEqual(stamp);
  }
});

test.each(journal)(
  "%s (%s): restamped it differs in two members and nothing else",
  (type, _, event) => {
    const received = 1_800_000_000_000;
    const clock = (event as unknown as Stamp).clock === "device" ? "device" : "restamped";
    const wanted = encodeEvent(type, { ...event, received, clock } as typeof event);
    expect(Buffer.from(restamped(encodeEvent(type, event), received))).toEqual(Buffer.from(wanted));
  },
);
