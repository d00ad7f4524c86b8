/** Bytes that version 1 wrote once and has to read for ever. */
import { expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "./codec.ts";
import { EVENT_SCHEMAS } from "./schema.ts";
import { FIXTURES } from "./test-support/fixtures.ts";

test("every event type has bytes of version 1", () => {
  const types = new Set(FIXTURES.map(({ type }) => type));
  expect([...types].toSorted()).toEqual(Object.keys(EVENT_SCHEMAS).toSorted());
});

test.each(FIXTURES)("$name is read as it was written", ({ type, bytes, event: expected }) => {
  const event = decodeEvent(type, bytes);
  expect(event).toEqual(expected);
  // And what is written now says the same.
  expect(decodeEvent(type, encodeEvent(type, event))).toEqual(event);
});
