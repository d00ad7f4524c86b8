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
  return {
    ce_specversion: "1.0",
    ce_id: id,
    ce_source: source,
    ce_type: type,
    ce_time: isoTime(time),
    "content-type": "application/cbor",
  };
}

/** Events of a batch come in the same few ms, and a date costs more than all else about their headers. */
let lastTime = 0;
let lastText = "1970-01-01T00:00:00.000Z";

/** RFC 3339 text; Date covers ±8.64e15 ms and throws beyond. */
export function isoTime(ms: number): string {
  if (ms === lastTime) return lastText;
  const text = new Date(Math.abs(ms) <= 8.64e15 ? ms : 0).toISOString();
  lastTime = ms;
  lastText = text;
  return text;
}
