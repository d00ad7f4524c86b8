/**
 * Kafka's record batch, version 2, both ways. kafkajs's own encoder makes several objects for each field and its decoder
 * drops batches that compaction has emptied (a reader then stands before them for ever), and what a processor emits is
 * what it costs; so this is ours, held against kafkajs's in the test.
 *
 *   base offset i64 · length i32 · leader epoch i32 · magic i8 = 2 · CRC-32C u32 of all that follows · attributes i16 ·
 *   last offset delta i32 · base timestamp i64 · max timestamp i64 · producer id i64 · producer epoch i16 ·
 *   base sequence i32 · count i32 · records, compressed as one where attributes say so
 *
 * What stands in it is packed in record-packer.ts.
 *
 * Source: kafka.apache.org/documentation/#recordbatch.
 */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { EventLogError, type StoredRecord } from "../port.ts";
import { crc32C } from "./kafkajs-internals.ts";
import type { PackedRecords } from "./record-packer.ts";
import { WireReader, WireWriter } from "./wire.ts";

const HEADER_BYTES = 61;
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const MAGIC = 2;

const COMPRESSION_MASK = 0x07;
const APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const GZIP = 1;
const ZSTD = 4;

/** Nothing that a broker takes by default grows so large; what does is no batch but a bomb. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

/** Kafka's "no time": the broker then goes by when it wrote the file. */
export const NO_TIME = -1;

/** A clock that shows less was never set: 2020-01-01T00:00:00Z. */
const UNSET_BEFORE_MS = 1_577_836_800_000;

/** Time of sending. Kafka deletes by it, so that of a clock that was never set must not go into a record. */
export function sendingTime(now: number): number {
  return now < UNSET_BEFORE_MS ? NO_TIME : now;
}

export interface BatchSeal {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly sequence: number;
  /** Time of sending, ms since 1970; of all records. `NO_TIME` where it is not known. */
  readonly timestamp: number;
  readonly transactional: boolean;
}

/** The batch as it goes over the wire. The broker tells a resend by producer id and sequence, not by the bytes. */
export function sealBatch(packed: PackedRecords, seal: BatchSeal): Buffer {
  const attributes = (packed.compressed ? ZSTD : 0) | (seal.transactional ? TRANSACTIONAL : 0);
  const batch = new WireWriter(HEADER_BYTES + packed.bytes.length)
    .int64(0)
    .int32(HEADER_BYTES - LENGTH_AT - 4 + packed.bytes.length)
    .int32(-1)
    .int8(MAGIC)
    .int32(0)
    .int16(attributes)
    .int32(packed.count - 1)
    .int64(seal.timestamp)
    .int64(seal.timestamp)
    .int64(seal.producerId)
    .int16(seal.producerEpoch)
    .int32(seal.sequence)
    .int32(packed.count)
    .raw(packed.bytes)
    .bytes();
  batch.writeUInt32BE(crc32C(batch.subarray(ATTRIBUTES_AT)) >>> 0, CRC_AT);
  return batch;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** A batch as it was fetched, packed: what is read ahead costs its bytes on the wire and no more. */
export interface RecordBatch {
  /** On the wire. */
  readonly bytes: number;
  /** Behind its last record. */
  readonly next: number;
  /** Its records from the position on that was asked for, in order; unpacked at each call. */
  records(): StoredRecord[];
}

export interface RecordSet {
  readonly batches: readonly RecordBatch[];
  /** Where to go on reading: behind everything that was looked at, also behind what is not for readers. */
  readonly next: number;
}

export function recordsOf(batches: readonly RecordBatch[]): StoredRecord[] {
  return batches.flatMap((one) => one.records());
}

/**
 * Batches from the position on, in order, without those of aborted transactions and without transaction marks. A batch
 * that the broker cut off at the end is left for the next fetch.
 * @throws EventLogError `invalid` where records are compressed in a way that is not known here
 */
export function readRecordSet(
  set: Buffer,
  topic: string,
  partition: number,
  position: number,
  aborted: readonly AbortedTransaction[],
): RecordSet {
  const batches: RecordBatch[] = [];
  const upcoming = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<number>();
  let next = position;
  for (let at = 0; at + HEADER_BYTES <= set.length; ) {
    const end = at + LENGTH_AT + 4 + set.readInt32BE(at + LENGTH_AT);
    if (end > set.length) break;
    if (set.readInt8(at + MAGIC_AT) !== MAGIC) {
      throw unreadable(topic, partition, next, "is in a format from before Kafka 0.11");
    }
    const reader = new WireReader(set.subarray(at, end));
    const head = readHead(reader, topic, partition);
    const { attributes, last, producerId, count } = head;
    const bytes = end - at;
    at = end;
    while (upcoming[0] && upcoming[0].firstOffset <= last) {
      aborting.add((upcoming.shift() as AbortedTransaction).producerId);
    }
    if (attributes & CONTROL) {
      if (count > 0 && isAbortMark(reader)) aborting.delete(producerId);
    } else if (!((attributes & TRANSACTIONAL) !== 0 && aborting.has(producerId))) {
      refuseUnknown(head);
      const behind = last + 1;
      const records = () => unpacked(head, reader.bytes, position);
      if (count > 0 && behind > position) batches.push({ bytes, next: behind, records });
    }
    next = Math.max(next, last + 1);
  }
  return { batches, next };
}

interface Head {
  readonly topic: string;
  readonly partition: number;
  readonly base: number;
  /** Offset of the last record that was ever in it. */
  readonly last: number;
  readonly attributes: number;
  readonly firstTime: number;
  readonly maxTime: number;
  readonly producerId: number;
  readonly count: number;
}

/** Leaves the reader before the first record. */
function readHead(reader: WireReader, topic: string, partition: number): Head {
  const base = reader.int64();
  reader.at = ATTRIBUTES_AT;
  const attributes = reader.int16();
  const last = base + reader.int32();
  const firstTime = reader.int64();
  const maxTime = reader.int64();
  const producerId = reader.int64();
  reader.at += 6;
  const count = reader.int32();
  return { topic, partition, base, last, attributes, firstTime, maxTime, producerId, count };
}

function unpacked(head: Head, batch: Buffer, position: number): StoredRecord[] {
  const { topic, partition, base, attributes, firstTime, maxTime, count } = head;
  const body = unpack(batch.subarray(HEADER_BYTES), attributes & COMPRESSION_MASK);
  const texts = new Texts(body);
  const records: StoredRecord[] = [];
  for (let i = 0; i < count; i++) {
    const size = body.varint();
    const recordEnd = body.at + size;
    body.at += 1;
    const delta = body.varlong();
    const offset = base + body.varint();
    if (offset >= position) {
      const timestamp = attributes & APPEND_TIME ? maxTime : firstTime + delta;
      records.push(readRecord(body, texts, topic, partition, offset, timestamp));
    }
    body.at = recordEnd;
  }
  return records;
}

/**
 * Keys, header names and values as texts. Neighbours in a journal have most of them in common, and to make a string of
 * bytes is most of what reading a record costs: the text that stood in the same place before is taken again where the
 * bytes are the same.
 */
class Texts {
  readonly #reader: WireReader;
  readonly #known: { at: number; length: number; text: string }[] = [];

  constructor(reader: WireReader) {
    this.#reader = reader;
  }

  /** @param place in a record: what stands in the same place is likely the same */
  read(place: number): string | null {
    const reader = this.#reader;
    const length = reader.varint();
    if (length < 0) return null;
    const known = this.#known[place];
    if (known?.length === length && this.#same(known.at, reader.at, length)) {
      reader.at += length;
      return known.text;
    }
    const at = reader.at;
    const text = reader.text(length);
    if (known) {
      known.at = at;
      known.length = length;
      known.text = text;
    } else this.#known[place] = { at, length, text };
    return text;
  }

  #same(a: number, b: number, length: number): boolean {
    const { bytes } = this.#reader;
    if (b + length > bytes.length) return false;
    // What differs in ids and times differs at their ends.
    for (let i = length - 1; i >= 0; i--) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  }
}

function readRecord(
  body: WireReader,
  texts: Texts,
  topic: string,
  partition: number,
  offset: number,
  timestamp: number,
): StoredRecord {
  const key = texts.read(0);
  const value = body.varBytes();
  const headers: Record<string, string> = {};
  const count = body.varint();
  for (let i = 1; i <= count; i++) {
    const name = texts.read(2 * i) ?? "";
    const text = texts.read(2 * i + 1) ?? "";
    // A header may have any name, and this one is no property like the others.
    if (name === "__proto__")
      Object.defineProperty(headers, name, { value: text, enumerable: true });
    else headers[name] = text;
  }
  return { topic, partition, offset, timestamp, key, headers, value };
}

/** A transaction's mark: version i16 and type i16 in its key; 0 is abort, 1 is commit. */
function isAbortMark(reader: WireReader): boolean {
  reader.varint();
  reader.at += 1;
  reader.varlong();
  reader.varint();
  const key = reader.varBytes();
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}

function unpack(packed: Buffer, compression: number): WireReader {
  const limit = { maxOutputLength: MAX_UNPACKED_BYTES };
  if (compression === ZSTD) return new WireReader(zstdDecompressSync(packed, limit));
  if (compression === GZIP) return new WireReader(gunzipSync(packed, limit));
  return new WireReader(packed);
}

function refuseUnknown({ topic, partition, base, attributes }: Head): void {
  const compression = attributes & COMPRESSION_MASK;
  if ([0, ZSTD, GZIP].includes(compression)) return;
  const name = compression === 2 ? "snappy" : compression === 3 ? "lz4" : `code ${compression}`;
  throw unreadable(topic, partition, base, `is compressed with ${name}; use zstd, gzip or none`);
}

function unreadable(topic: string, partition: number, offset: number, why: string): EventLogError {
  return new EventLogError("invalid", `Kafka: ${topic}/${partition} at offset ${offset} ${why}`);
}
