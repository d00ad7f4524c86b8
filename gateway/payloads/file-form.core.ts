/**
 * The form of a payload's file: the payload as it came, so that anybody can look at it, and behind it what is known of it.
 * Pure.
 *
 *   file := payload | event in CBOR | length of the event u32 | crc u32 | "tidegate-payload"      (little endian)
 *
 * The checksum is of the event and its length; the payload's own digest stands in the event.
 */
import { crc32 } from "node:zlib";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import type { LargePayload } from "../../events/schema.ts";
import type { FoundPayload } from "./port.ts";

const MAGIC = Buffer.from("tidegate-payload");
const TAIL_BYTES = 4 + 4 + MAGIC.length;

export function encodeTrailer(event: LargePayload): Buffer {
  const value = encodeEvent("tidegate.payload", event);
  const trailer = Buffer.alloc(value.length + TAIL_BYTES);
  trailer.set(value);
  trailer.writeUInt32LE(value.length, value.length);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, value.length + 4)), value.length + 4);
  trailer.set(MAGIC, value.length + 8);
  return trailer;
}

/** What a file holds; without an event where its end is not what was written. */
export function decodeFile(file: Buffer): FoundPayload {
  const damaged = { bytes: file, event: undefined };
  const tail = file.length - TAIL_BYTES;
  if (tail < 0 || !file.subarray(tail + 8).equals(MAGIC)) return damaged;
  const begin = tail - file.readUInt32LE(tail);
  if (begin < 0) return damaged;
  if (crc32(file.subarray(begin, tail + 4)) !== file.readUInt32LE(tail + 4)) return damaged;
  try {
    const event = decodeEvent("tidegate.payload", file.subarray(begin, tail));
    return { bytes: file.subarray(0, begin), event };
  } catch {
    return damaged;
  }
}
