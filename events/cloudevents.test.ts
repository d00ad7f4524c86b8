import { expect, test } from "vitest";
import { eventHeaders, isoTime } from "./cloudevents.ts";
import { changelogTopic, topicNames } from "./topics.ts";

test("headers are CloudEvents 1.0 in Kafka's binary mode", () => {
  const time = Date.UTC(2026, 2, 1, 12, 0, 0, 5);
  expect(eventHeaders("tidegate.reading", "0a1b2c3d4e-7", "/gateways/gw-1", time)).toEqual({
    ce_specversion: "1.0",
    ce_id: "0a1b2c3d4e-7",
    ce_source: "/gateways/gw-1",
    ce_type: "tidegate.reading",
    ce_time: "2026-03-01T12:00:00.005Z",
    "content-type": "application/cbor",
  });
});

test("what tells neighbours apart stands last, side by side: batches are a tenth smaller for it", () => {
  const [a, b] = [1, 2].map((i) => eventHeaders("tidegate.reading", `e-${i}`, "/gateways/g", i));
  const same = Object.entries(a ?? {}).map(([name, text]) => b?.[name as keyof typeof b] === text);
  expect(same).toEqual([true, true, true, true, false, false]);
});

test("a time that no calendar has is 1970, never an exception", () => {
  expect([8.64e15 + 1, Number.NaN, Number.POSITIVE_INFINITY].map(isoTime)).toEqual(
    Array.from({ length: 3 }, () => "1970-01-01T00:00:00.000Z"),
  );
  expect(isoTime(-1)).toBe("1969-12-31T23:59:59.999Z");
});

test("topic names carry namespace and version, and none stands for two things", () => {
  const names = Object.values(topicNames("site-a"));
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^site-a\.[a-z-]+\.v1$/);
  expect(changelogTopic("site-a", "ledger")).toBe("site-a.ledger-changelog.v1");
});
