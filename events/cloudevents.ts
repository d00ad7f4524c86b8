/** CloudEvents 1.0 in Kafka's binary mode: the attributes are headers, the value is the event's CBOR. */
import type { EventType } from "./schema.ts";

export interface EventHeaders {
  readonly ce_specversion: "1.0";
  readonly ce_id: string;
  readonly ce_source: string;
  readonly ce_type: EventType;
  /** RFC 3339, UTC. */
  readonly ce_time: string;
  readonly "content-type": "application/cbor";
}

/**
 * @param source who says so: `/gateways/<id>` or `/processors/<topology>`
 * @param time event time, ms since 1970; a time that no calendar has becomes 1970
 */
export function eventHeaders(
  type: EventType,
  id: string,
  source: string,
  time: number,
): EventHeaders {
  // What neighbours have in common first, what tells them apart last, beside the next record's beginning: in one piece
  // each for a compressor, which takes a tenth off a batch. Readers go by names.
  return {
    "content-type": "application/cbor",
    ce_specversion: "1.0",
    ce_source: source,
    ce_type: type,
    ce_time: isoTime(time),
    ce_id: id,
  };
}

/** Events of a batch are of the same few ms or windows, and a date costs more than all else about their headers. */
const texts = new Map<number, string>();
const TEXTS_KEPT = 256;

/** RFC 3339 text; Date covers ±8.64e15 ms and throws beyond. */
export function isoTime(ms: number): string {
  const known = texts.get(ms);
  if (known !== undefined) return known;
  const text = new Date(Math.abs(ms) <= 8.64e15 ? ms : 0).toISOString();
  if (texts.size >= TEXTS_KEPT) texts.clear();
  texts.set(ms, text);
  return text;
}
