/** Bytes that version 1 wrote once and has to read for ever. The files are never made anew: add, don't change. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "./codec.ts";
import { EVENT_SCHEMAS, type EventType } from "./schema.ts";

const directory = join(import.meta.dirname, "../test/fixtures/events-v1");
const names = readdirSync(directory)
  .filter((name) => name.endsWith(".hex"))
  .map((name) => name.slice(0, -".hex".length));
const typeOf = (name: string) => `tidegate.${name.split(".")[0]}` as EventType;

/** Byte strings stand in the JSON as `{ "$hex": "…" }`. */
function expected(name: string): unknown {
  const text = readFileSync(join(directory, `${name}.json`), "utf8");
  return JSON.parse(text, (_, value: unknown) => {
    const hex = (value as { $hex?: unknown } | null)?.$hex;
    return typeof hex === "string" ? Buffer.from(hex, "hex") : value;
  });
}

test("every event type has bytes of version 1", () => {
  expect([...new Set(names.map(typeOf))].toSorted()).toEqual(Object.keys(EVENT_SCHEMAS).toSorted());
});

test.each(names)("%s is read as it was written", (name) => {
  const bytes = Buffer.from(
    readFileSync(join(directory, `${name}.hex`), "utf8").replaceAll("\n", ""),
    "hex",
  );
  const event = decodeEvent(typeOf(name), bytes);
  expect(event).toEqual(expected(name));
  // And what is written now says the same.
  expect(decodeEvent(typeOf(name), encodeEvent(typeOf(name), event))).toEqual(event);
});
