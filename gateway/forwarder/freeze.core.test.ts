import { describe, expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { Reading, Stamp } from "../../events/schema.ts";
import type { BufferedEvent } from "../buffer/port.ts";
import { freeze, sendable } from "./freeze.core.ts";

const EPOCH = "0a1b2c3d4e" as Epoch;
const OTHER = "0a1b2c3d4f" as Epoch;
const NOON = Date.UTC(2026, 10, 21, 12);
const journal = { gateway: "gw-1" as GatewayId, topic: "telemetry.events.v1" };

let position = 0;
function reading(
  stamp: Partial<Stamp>,
  more: { time?: number; epoch?: Epoch } = {},
): BufferedEvent {
  const { time, epoch = EPOCH } = more;
  const whole: Stamp = { received: NOON, clock: "synced", boot: "b1", uptime: 1000, ...stamp };
  const event: Reading = {
    ...whole,
    ...(time === undefined ? {} : { time, clock: "device" as const }),
    device: "d",
    metrics: { t: -12.5 },
  };
  position += 1;
  return {
    position,
    epoch,
    sequence: position,
    type: "tidegate.reading",
    time: time ?? whole.received,
    value: encodeEvent("tidegate.reading", event),
  };
}

function frozen(event: BufferedEvent, offsets: Record<string, number>) {
  const batch = freeze(journal, [event], { offsetOf: (boot) => offsets[boot] });
  const [record] = batch.records;
  const value = record?.value ?? new Uint8Array();
  return {
    value,
    time: record?.headers.ce_time,
    id: record?.headers.ce_id,
    event: decodeEvent("tidegate.reading", value),
  };
}

describe("freezing gives an event its true time", () => {
  test("from the boot's offset where the clock was not set when it came", () => {
    const { event, time } = frozen(reading({ received: 1000, clock: "unsynced" }), { b1: NOON });
    expect(event).toMatchObject({ received: NOON + 1000, clock: "restamped", uptime: 1000 });
    expect(time).toBe("2026-11-21T12:00:01.000Z");
  });

  test("where the clock was set to another time since, by more than 2 s", () => {
    const stepped = frozen(reading({ received: NOON + 1000 }), { b1: NOON + 2001 });
    expect(stepped.event).toMatchObject({ received: NOON + 3001, clock: "restamped" });
    const back = frozen(reading({ received: NOON + 1000 }), { b1: NOON - 86_400_000 });
    expect(back.event.received).toBe(NOON - 86_400_000 + 1000);
  });

  test("and leaves the very bytes where the time is right", () => {
    for (const off of [0, 2000, -2000]) {
      const event = reading({ received: NOON + 1000 });
      expect(frozen(event, { b1: NOON + off }).value).toBe(event.value);
    }
  });

  test("a device's time stays, and is told as such; when it came is put right", () => {
    const event = reading({ received: 1000 }, { time: NOON - 5000 });
    const { event: sent, time } = frozen(event, { b1: NOON });
    expect(sent).toMatchObject({ time: NOON - 5000, clock: "device", received: NOON + 1000 });
    expect(time).toBe("2026-11-21T11:59:55.000Z");
  });

  test("an earlier boot's by that boot's offset; where that is not known the event goes as it is", () => {
    const event = reading({ received: 1000, clock: "unsynced", boot: "b0" });
    expect(frozen(event, { b0: NOON - 60_000, b1: NOON }).event.received).toBe(NOON - 59_000);
    expect(frozen(event, { b1: NOON }).value).toBe(event.value);
    const synced = reading({ boot: "b0" });
    expect(frozen(synced, { b1: 5 }).value).toBe(synced.value);
  });

  test("what is no event with a stamp is sent as it is: nothing may stop the journal", () => {
    const event = { ...reading({}), value: new Uint8Array([0xff, 1]) };
    const batch = freeze(journal, [event], { offsetOf: () => 5 });
    expect(batch.records[0]?.value).toBe(event.value);
  });

  test("each event has the id of its own epoch", () => {
    const event = reading({}, { epoch: OTHER });
    expect(frozen(event, {}).id).toBe(`${OTHER}-${event.sequence}`);
  });
});

describe("what may be sent", () => {
  test("one epoch in a batch", () => {
    const events = [reading({}), reading({}), reading({}, { epoch: OTHER })];
    expect(sendable(events, undefined)).toBe(2);
    expect(sendable(events.slice(2), undefined)).toBe(1);
    expect(sendable([], undefined)).toBe(0);
  });

  test("while a boot's time is awaited, what came before it and nothing of it, nor behind it", () => {
    const before = reading({ boot: "b0" });
    const of = reading({ boot: "b1" });
    expect(sendable([before, of, before], "b1")).toBe(1);
    expect(sendable([of, before], "b1")).toBe(0);
    expect(sendable([before, of], "b2")).toBe(2);
  });
});
