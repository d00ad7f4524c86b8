/** The bytes that version 1 wrote once, with what they say. The files are never made anew: add, don't change. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EventType } from "../schema.ts";

const directory = join(import.meta.dirname, "../../test/fixtures/events-v1");

export interface Fixture {
  readonly name: string;
  readonly type: EventType;
  readonly bytes: Uint8Array;
  readonly event: unknown;
}

export const FIXTURES: readonly Fixture[] = readdirSync(directory)
  .filter((file) => file.endsWith(".hex"))
  .map((file) => {
    const name = file.slice(0, -".hex".length);
    const hex = readFileSync(join(directory, file), "utf8").replaceAll("\n", "");
    return {
      name,
      type: `tidegate.${name.split(".")[0]}` as EventType,
      bytes: Buffer.from(hex, "hex"),
      event: eventIn(readFileSync(join(directory, `${name}.json`), "utf8")),
    };
  });

/** Byte strings stand in the JSON as `{ "$hex": "…" }`. */
function eventIn(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => {
    const hex = (value as { $hex?: unknown } | null)?.$hex;
    return typeof hex === "string" ? Buffer.from(hex, "hex") : value;
  });
}

/** The event as JSON shows it: bytes in base 64. */
export function asJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, asJson(one)]));
}
