import fc from "fast-check";
import { expect, test } from "vitest";
import {
  deviceKey,
  type Epoch,
  eventId,
  type GatewayId,
  gatewaySource,
  isEpoch,
  isGatewayId,
  keyParts,
  makeEpoch,
  makeGatewayId,
  parseEventId,
  parseGatewaySource,
  seriesKey,
} from "./ids.ts";

test("made ids are ids, whatever the random bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), (random) => {
      expect(isGatewayId(makeGatewayId(random))).toBe(true);
      expect(isEpoch(makeEpoch(random))).toBe(true);
    }),
  );
});

test("event ids and sources come back as they were", () => {
  const epoch = "0a1b2c3d4e" as Epoch;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (sequence) => {
      expect(parseEventId(eventId(epoch, sequence))).toEqual({ epoch, sequence });
    }),
  );
  expect(parseGatewaySource(gatewaySource("gw-1.a_B" as GatewayId))).toBe("gw-1.a_B");
});

test("what is no id is told from one", () => {
  const ids = [
    "",
    "-1",
    "0a1b2c3d4e",
    "0a1b2c3d4e-",
    "0a1b2c3d4e-0",
    "0a1b2c3d4e-01",
    "0a1b2c3d4e--1",
  ];
  const more = [
    "0a1b2c3d4e-1e3",
    "0a1b2c3d4e-9007199254740992",
    "0A1B2C3D4E-1",
    "x-1",
    "0a1b2c3d4e-1 ",
  ];
  expect([...ids, ...more].filter((id) => parseEventId(id) !== undefined)).toEqual([]);
  const sources = [
    "",
    "/gateways/",
    "/gateways/a b",
    "/gateways/-a",
    "/processors/x",
    "gateways/a",
    "/gateways/a/b",
  ];
  expect(sources.filter((source) => parseGatewaySource(source) !== undefined)).toEqual([]);
  expect(isGatewayId("a".repeat(64))).toBe(true);
  expect(isGatewayId("a".repeat(65))).toBe(false);
});

test("no two devices or series have the same key, and a key gives its names back", () => {
  const name = fc.string({
    unit: fc.constantFrom("a", "/", "%", "2", "F", "é"),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(name, name, name, name, (a, b, c, d) => {
      expect(keyParts(seriesKey("gw", a, b))).toEqual(["gw", a, b]);
      expect(keyParts(deviceKey("gw", a))).toEqual(["gw", a]);
      expect(seriesKey("gw", a, b) === seriesKey("gw", c, d)).toBe(a === c && b === d);
    }),
    { numRuns: 1000 },
  );
  expect(seriesKey("gw-one", "freezer-1", "temperature")).toBe("gw-one/freezer-1/temperature");
});
