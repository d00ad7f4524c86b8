/** A record of the log as one line of JSON, for people and for tools like jq. */
import { CodecError, decodeCbor } from "../events/codec.ts";
import type { StoredRecord } from "../stream/port.ts";

export interface RecordJson {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Time of sending, RFC 3339. */
  readonly sent: string;
  readonly key: string | null;
  readonly type?: string;
  readonly id?: string;
  readonly source?: string;
  readonly time?: string;
  /** The event; bytes inside it as base 64. */
  readonly data: unknown;
  /** Present where the value is not CBOR; `data` is then its bytes in base 64. */
  readonly error?: string;
}

export function recordJson(record: StoredRecord): RecordJson {
  const { ce_type, ce_id, ce_source, ce_time } = record.headers;
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    sent: new Date(record.timestamp).toISOString(),
    key: record.key,
    ...(ce_type === undefined ? {} : { type: ce_type }),
    ...(ce_id === undefined ? {} : { id: ce_id }),
    ...(ce_source === undefined ? {} : { source: ce_source }),
    ...(ce_time === undefined ? {} : { time: ce_time }),
    ...valueJson(record.value),
  };
}

/** The value of a record or of a buffered event. */
export function valueJson(value: Uint8Array | null): Pick<RecordJson, "data" | "error"> {
  if (value === null) return { data: null };
  try {
    return { data: plain(decodeCbor(value)) };
  } catch (fault) {
    if (!(fault instanceof CodecError)) throw fault;
    return { data: Buffer.from(value).toString("base64"), error: fault.message };
  }
}

/** CBOR has bytes, JSON has not. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) {
    return typeof value === "bigint" ? value.toString() : value;
  }
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, plain(child)]));
}
