import { expect, test } from "vitest";
import { encodeCbor, encodeEvent } from "../events/codec.ts";
import { decodeRecord, decodeStatus, type RawRecord } from "./oracle-journal.ts";
import { compareRejections, expectedRejections } from "./oracle-rejected.ts";

const TOPICS = { events: "events", status: "status" };
const stamp = { received: 1, clock: "synced", boot: "b", uptime: 1 } as const;

function raw(offset: number, type: string, value: Uint8Array | null, more = {}): RawRecord {
  const ce_id = `000000000a-${offset + 1}`;
  const headers = { ce_type: `tidegate.${type}`, ce_id, ce_source: "/gateways/g", ...more };
  return { key: "g", partition: 0, offset, timestamp: 1, headers, value };
}

const RAW = [
  raw(0, "heartbeat", encodeEvent("tidegate.heartbeat", { ...stamp, interval: 1 })),
  raw(1, "heartbeat", null),
  raw(2, "reading", encodeCbor({ any: "thing" })),
  raw(3, "clock", new Uint8Array([0xff])),
  raw(4, "newer", new Uint8Array([0xff])),
  raw(5, "newer", null),
  raw(6, "loss", encodeEvent("tidegate.loss", { ...stamp, from: 9, to: 7, reason: "full" })),
  raw(7, "heartbeat", null, { ce_source: "/processors/x" }),
  raw(8, "heartbeat", null, { ce_id: "000000000a-0" }),
  raw(9, "heartbeat", null, { ce_type: "" }),
  { ...raw(10, "heartbeat", null), key: "h" },
  raw(11, "tick", null),
  { ...raw(1, "heartbeat", null), offset: 12 },
];

test("what cannot be read or taken is told of with its position and a code, once", () => {
  const records = RAW.map((one) => decodeRecord(one));
  const expected = expectedRejections(records, [], [{ partition: 0, offset: 0, code: "no_time" }]);
  expect(expected.map(({ offset, code, repeat }) => `${offset} ${code} ${repeat}`)).toEqual([
    "0 no_time false",
    "1 no_value false",
    "2 schema false",
    "3 not_cbor false",
    "5 no_value false",
    "6 bad_range false",
    "7 bad_source false",
    "8 bad_id false",
    "9 bad_type false",
    "10 bad_key false",
    "12 no_value true",
  ]);
  const actual = expected.map(({ repeat: _, ...one }) => ({ ...one, topology: "x", message: "" }));
  const compare = (some: typeof actual) => compareRejections(expected, some, TOPICS);
  expect(compare(actual)).toEqual([]);
  // The repeat need not be told of; whatever else is missing, double or made up is found.
  expect(compare(actual.slice(0, -1))).toEqual([]);
  expect(compare(actual.slice(1))).toEqual(["events/0/0 no_time: not told"]);
  expect(compare([...actual, ...actual.slice(0, 1)])).toEqual(["events/0/0 no_time: told 2 times"]);
  expect(compare([...actual, { ...actual[0], offset: 99 } as (typeof actual)[number]])).toEqual([
    "events/0/99 no_time: nothing is wrong with it",
  ]);
});

test("a status that is none, or another's; a tombstone is no fault", () => {
  const status = encodeEvent("tidegate.gateway-status", {
    gateway: "h",
    time: 1,
    epoch: "000000000a",
    accepted: 1,
    forwarded: 1,
    buffered_bytes: 0,
    capacity_bytes: 1,
    clients: 0,
    interval: 1,
    started: 1,
    version: "1",
  });
  const values = [new Uint8Array([0xff]), encodeCbor({}), null, status];
  const records = values.map((value, at) => decodeStatus(raw(at, "gateway-status", value)));
  expect(expectedRejections([], records, []).map(({ offset, code }) => [offset, code])).toEqual([
    [0, "not_cbor"],
    [1, "schema"],
    [3, "bad_key"],
  ]);
});
