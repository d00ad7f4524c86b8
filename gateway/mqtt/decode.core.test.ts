import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import { decodePayload, deviceTime, isFault } from "./decode.core.ts";

const decode = (text: string | Uint8Array, metric?: string) =>
  decodePayload(
    metric === undefined ? { device: "d" } : { device: "d", metric },
    Buffer.from(text as string),
  );

describe("decodePayload", () => {
  test.each([
    ['{"temperature": -12.5}', { temperature: -12.5 }],
    ['{"on": true, "state": "open", "n": 1}', { on: true, state: "open", n: 1 }],
    ['{"a": {"b": {"c": 1}}, "d": 2}', { "a.b.c": 1, d: 2 }],
    ['{"a": null, "b": 1}', { b: 1 }],
    ["21.5", { value: 21.5 }],
    ['"open"', { value: "open" }],
    ['{"time": 42}', { time: 42 }],
    ['{"time": "soon"}', { time: "soon" }],
  ])("%s", (text, metrics) => {
    expect(decode(text)).toEqual({ metrics });
  });

  test("the topic names the metric of a plain value", () => {
    expect(decode("-3", "temperature")).toEqual({ metrics: { temperature: -3 } });
    expect(decode("false", "door")).toEqual({ metrics: { door: false } });
  });

  test.each([
    ['{"time": "2015-02-04 17:51:00", "t": 1}', Date.UTC(2015, 1, 4, 17, 51)],
    ['{"time": "2015-02-04T17:51:00+01:00", "t": 1}', Date.UTC(2015, 1, 4, 16, 51)],
    ['{"timestamp": 1423072260, "t": 1}', 1423072260000],
    ['{"timestamp": 1423072260123, "t": 1}', 1423072260123],
  ])("the device's time in %s", (text, time) => {
    expect(decode(text)).toEqual({ metrics: { t: 1 }, time });
  });

  test.each([
    ["", "empty"],
    ["{", "not_json"],
    ["21,5", "not_json"],
    ["NaN", "not_json"],
    [Uint8Array.of(0x22, 0xff, 0x22), "not_json"],
    [Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "not_json"],
    [Uint8Array.of(0x22, 0xe2, 0x82, 0x22), "not_json"],
    ["[1]", "array"],
    ['{"a": [1]}', "array"],
    ['{"a": 1e999}', "not_finite"],
    ["null", "not_a_value"],
    ["{}", "no_metrics"],
    ['{"a": null}', "no_metrics"],
    ['{"time": 1423072260}', "no_metrics"],
    ['{"": 1}', "bad_name"],
    // Readers of CBOR into JavaScript's objects call it something else.
    ['{"__proto__": 1}', "bad_name"],
    ['{"a.b": 1, "a": {"b": 2}}', "bad_name"],
    // Half of a surrogate pair has no UTF-8: another one beside it would become the same name.
    ['{"a\\ud800": 1, "a\\ud801": 2}', "bad_name"],
    ['{"a": "\\ud800"}', "bad_text"],
    [`{"${"x".repeat(129)}": 1}`, "bad_name"],
    [`{"a": "${"x".repeat(1025)}"}`, "too_long"],
    [`${'{"a":'.repeat(9)}1${"}".repeat(9)}`, "too_deep"],
    [
      JSON.stringify(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [i, i]))),
      "too_many_metrics",
    ],
  ])("%s is refused as %s", (text, code) => {
    expect(decode(text)).toMatchObject({ code, message: expect.any(String) });
  });

  test("a replacement character that was sent is kept, a byte order mark passed over", () => {
    expect(decode('"\ufffd"')).toEqual({ metrics: { value: "\ufffd" } });
    expect(decode('\ufeff{"a": 1}')).toEqual({ metrics: { a: 1 } });
  });

  test("names and values take the same way with and without something that needs a closer look", () => {
    const name = fc.oneof(
      fc.string({ maxLength: 130 }),
      fc.constantFrom("é", "a\u007f", "time", "__proto__"),
    );
    const value = fc.oneof(fc.double(), fc.boolean(), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 4 }), (object) => {
        const text = JSON.stringify(object);
        // A member without a value is left out, and turns the short way off.
        const detour = text === "{}" ? '{"no": null}' : `{"no": null, ${text.slice(1)}`;
        expect(decode(text)).toEqual(decode(detour));
      }),
    );
  });

  test("an object as one metric's value is refused", () => {
    expect(decode('{"a": 1}', "temperature")).toMatchObject({ code: "not_a_value" });
  });

  test("it never throws, whatever the bytes", () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void decode(bytes)));
    fc.assert(fc.property(fc.json(), (text) => void decode(text)));
  });

  test("what is taken comes out of the event as it went in, whatever the names and texts", () => {
    const text = fc.string({ unit: "binary" });
    const value = fc.oneof(text, fc.boolean(), fc.double({ noNaN: true }));
    const payload = fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "time")), value);
    fc.assert(
      fc.property(payload, (object) => {
        const decoded = decode(JSON.stringify(object));
        if (isFault(decoded)) return;
        const stamp = { received: 5, clock: "synced" as const, boot: "b", uptime: 1 };
        const event = { ...stamp, device: "d", metrics: decoded.metrics };
        const bytes = encodeEvent("tidegate.reading", event);
        // Object.is tells -0 from 0; CBOR's integers do not, and nothing that is measured does.
        expect(decodeEvent("tidegate.reading", bytes).metrics).toEqual(
          Object.fromEntries(
            Object.entries(decoded.metrics).map(([name, one]) => [name, one === 0 ? 0 : one]),
          ),
        );
      }),
    );
  });

  test("every number of an object comes through as it was", () => {
    const names = fc.string({ minLength: 1 }).filter((n) => /^[a-z]+$/.test(n) && !/^time/.test(n));
    fc.assert(
      fc.property(
        fc.dictionary(names, fc.double({ noNaN: true, noDefaultInfinity: true }), { minKeys: 1 }),
        (object) => {
          const decoded = decode(JSON.stringify(object));
          expect(decoded).toEqual({ metrics: JSON.parse(JSON.stringify(object)) });
        },
      ),
    );
  });
});

describe("deviceTime", () => {
  test("microseconds and nanoseconds are told by their size", () => {
    expect(deviceTime(1423072260123456)).toBeCloseTo(1423072260123.456);
    expect(deviceTime(1.4230722601234568e18)).toBeCloseTo(1423072260123.4568, 2);
  });

  test("what can be no time of a device is none", () => {
    for (const content of [0, 42, -1, true, null, "x", "2015-13-45T00:00", {}]) {
      expect(deviceTime(content)).toBeUndefined();
    }
  });
});
