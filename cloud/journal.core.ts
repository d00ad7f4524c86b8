/**
 * A record of the events topic, read by its headers: whose it is, which epoch and sequence, what type. That much says
 * whether it is new, a duplicate or unreadable, without a look into its value. Pure; all topologies read through this,
 * so that they agree on what counts.
 */
import { CodecError, decodeEvent } from "../events/codec.ts";
import { type Epoch, type GatewayId, parseEventId, parseGatewaySource } from "../events/ids.ts";
import type { EventOf, EventType, Reading } from "../events/schema.ts";
import type { StateView, StoredRecord, TopologyInput } from "../stream/port.ts";
import { type Seen, see } from "./dedupe.core.ts";
import { remembered, rememberedPair } from "./remembered.core.ts";

export interface JournalRecord {
  readonly gateway: GatewayId;
  readonly epoch: Epoch;
  readonly sequence: number;
  /** Event id, `epoch-sequence`. */
  readonly id: string;
  /** As the header says; may be a type that a later version knows. */
  readonly type: string;
  readonly record: StoredRecord;
}

/** Why a record cannot be read. A class, because events may have the same fields. */
export class Fault {
  readonly code: string;
  readonly message: string;
  constructor(code: string, message: string) {
    this.code = code;
    this.message = message;
  }
}

/** Null where the source is not a gateway's. */
const gatewayOf = remembered((source: string) => parseGatewaySource(source) ?? null);

/** The record's place in its gateway's journal, or why it has none. */
export function readJournal(record: StoredRecord): JournalRecord | Fault {
  const { ce_id: id = "", ce_source: source = "", ce_type: type = "" } = record.headers;
  const gateway = gatewayOf(source);
  if (!gateway) {
    return new Fault("bad_source", `ce_source "${cut(source)}" is not a gateway's`);
  }
  const place = parseEventId(id);
  if (!place) {
    return new Fault("bad_id", `ce_id "${cut(id)}" is not <epoch>-<sequence>`);
  }
  if (type === "") return new Fault("bad_type", "there is no ce_type");
  // Under another key it may stand in another partition, beside the state that tells duplicates.
  if (record.key !== gateway) {
    const key = record.key === null ? "no key" : `key "${cut(record.key)}"`;
    return new Fault("bad_key", `${key}, and ce_source is ${source}`);
  }
  return { gateway, epoch: place.epoch, sequence: place.sequence, id, type, record };
}

const cut = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

/** State key of the sequences seen of an epoch. */
export function seenKey({ gateway, epoch }: Pick<JournalRecord, "gateway" | "epoch">): string {
  return keyOfSeen(gateway, epoch);
}

const keyOfSeen = rememberedPair((gateway: GatewayId, epoch: Epoch) => `seen/${gateway}/${epoch}`);

/**
 * The state entry to keep if the event is new; undefined for a duplicate. To be asked for every journal record,
 * of whatever type, or the types passed over would be holes. Only declared losses are none of its business: they stand
 * under the sequence of an event that may yet turn up.
 */
export function firstSeen(
  state: StateView,
  journal: JournalRecord,
): readonly [key: string, value: Seen] | undefined {
  if (journal.type === "tidegate.loss") return undefined;
  const key = seenKey(journal);
  const seen = see(state.get(key) as Seen | undefined, journal.sequence);
  return seen && [key, seen];
}

/** A record of the journal, and the state entry that says that it was seen. */
export interface FirstArrival {
  readonly journal: JournalRecord;
  readonly seen: readonly [key: string, value: Seen];
}

/** @returns undefined for ticks, for duplicates, and for what stands in no journal: the ledger refuses that, once for all */
export function firstArrival(state: StateView, input: TopologyInput): FirstArrival | undefined {
  if (input.kind === "tick") return undefined;
  const journal = readJournal(input.record);
  if (journal instanceof Fault) return undefined;
  const seen = firstSeen(state, journal);
  return seen && { journal, seen };
}

/** The event in a record, or why there is none. */
export function readValue<T extends EventType>(type: T, record: StoredRecord): EventOf<T> | Fault {
  if (record.value === null) return new Fault("no_value", "the record has no value");
  try {
    return decodeEvent(type, record.value);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return new Fault(error.code, error.message);
  }
}

/**
 * When a reading was true, ms since 1970: the device's time, else the gateway's. Where the gateway's clock was not
 * set yet and the device has none, the time of sending is the nearest there is.
 */
export function readingTime(reading: Reading, record: StoredRecord): number {
  return reading.time ?? (reading.clock === "unsynced" ? record.timestamp : reading.received);
}

/** Local time taken for UTC is off by 14 hours at most; beyond a day a clock is wrong. */
export const MAX_AHEAD_MS = 86_400_000;

/** A clock that shows a time from before this software was written has not been set. */
const UNSET_CLOCK_BEFORE = Date.UTC(2024, 0, 1);

/**
 * No reading can be newer than this: a device's clock that runs ahead must not outdate what comes after it. Infinity
 * where neither the gateway's clock nor the log's is set, which then have nothing to say against the device's.
 */
export function latestPossible(stamp: { readonly received: number }, record: StoredRecord): number {
  const now = arrival(stamp, record);
  return now < UNSET_CLOCK_BEFORE ? Number.POSITIVE_INFINITY : now;
}

/** When the log got it, as far as the clocks on the way know. */
export function arrival(stamp: { readonly received: number }, record: StoredRecord): number {
  return Math.max(stamp.received, record.timestamp);
}
