/**
 * What all oracles read: the records of the events and status topics, decoded, in the order of the log. The place of a
 * record in its gateway's journal is read from its headers by the words of docs/events.md, by none of the product's code.
 */
import { CodecError, decodeCbor, decodeEvent } from "../events/codec.ts";
import { isEventType } from "../events/schema.ts";

/** A record of the events or status topic, decoded. */
export interface JournalRecord {
  /** The gateway's id. */
  readonly key: string | null;
  readonly partition: number;
  readonly offset: number;
  /** When the log got it, ms since 1970. */
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
  /** As `ce_type` says; empty where there is none. */
  readonly type: string;
  /** The event, fitting its schema; unchecked where only a later version knows the type, undefined where it is none. */
  readonly data: unknown;
  /** Why there is no event: `no_value`, `not_cbor`, `schema`. */
  readonly fault?: string;
}

/** A record as any log gives it. */
export interface RawRecord {
  readonly key: string | null;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array | null;
}

/** @param type where the topic, and not the header, says what it is */
export function decodeRecord(raw: RawRecord, type = raw.headers.ce_type ?? ""): JournalRecord {
  const { key, partition, offset, timestamp, headers, value } = raw;
  const record = { key, partition, offset, timestamp, headers, type };
  if (value === null) return { ...record, data: undefined, fault: "no_value" };
  const known = isEventType(type);
  try {
    return { ...record, data: known ? decodeEvent(type, value) : decodeCbor(value) };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    // What a later version's event is made of is not for this one to judge.
    return { ...record, data: undefined, ...(known ? { fault: error.code } : {}) };
  }
}

/** A record of the status topic, which holds nothing else. */
export function decodeStatus(raw: RawRecord): JournalRecord {
  return decodeRecord(raw, "tidegate.gateway-status");
}

/** An event of a gateway's journal. */
export interface JournalEvent<Data = unknown> {
  readonly gateway: string;
  readonly epoch: string;
  readonly sequence: number;
  /** `epoch-sequence`. */
  readonly id: string;
  readonly type: string;
  readonly data: Data | undefined;
  readonly record: JournalRecord;
}

/** @returns a code where the record has no place in a journal; undefined for a tick, which needs none */
export function journalEvent(record: JournalRecord): JournalEvent | string | undefined {
  const { key, type, data } = record;
  if (type === "tidegate.tick") return undefined;
  const { ce_id: id = "", ce_source: source = "" } = record.headers;
  const [, gateway] = /^\/gateways\/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})$/.exec(source) ?? [];
  if (gateway === undefined) return "bad_source";
  const [, epoch, digits] = /^([0-9a-z]{10})-([1-9][0-9]{0,15})$/.exec(id) ?? [];
  if (epoch === undefined || !Number.isSafeInteger(Number(digits))) return "bad_id";
  if (type === "") return "bad_type";
  if (key !== gateway) return "bad_key";
  return { gateway, epoch, sequence: Number(digits), id, type, data, record };
}

/** All that have a place in a journal, whatever came twice, in the order of the log. */
export function journalEvents(records: Iterable<JournalRecord>): JournalEvent[] {
  const events: JournalEvent[] = [];
  for (const record of records) {
    const event = journalEvent(record);
    if (typeof event === "object") events.push(event);
  }
  return events;
}

/**
 * Each event once, the first of its id. Declared losses are left out: they stand under a sequence of what they replace,
 * and take nothing from it should it turn up.
 */
export function distinctEvents(records: Iterable<JournalRecord>): JournalEvent[] {
  const seen = new Set<string>();
  return journalEvents(records).filter(({ gateway, id, type }) => {
    const key = `${gateway}/${id}`;
    if (type === "tidegate.loss" || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
