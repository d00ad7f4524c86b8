/**
 * Kafka's record batch, version 2, both ways. kafkajs's own encoder makes several objects for each field and its decoder
 * drops batches that compaction has emptied (a reader then stands before them for ever), and what a processor emits is
 * what it costs; so this is ours, held against kafkajs's in the test.
 *
 *   base offset i64 · length i32 · leader epoch i32 · magic i8 = 2 · CRC-32C u32 of all that follows · attributes i16 ·
 *   last offset delta i32 · base timestamp i64 · max timestamp i64 · producer id i64 · producer epoch i16 ·
 *   base sequence i32 · count i32 · records, compressed as one where attributes say so
 *
 * Source: kafka.apache.org/documentation/#recordbatch.
 */
import { gunzipSync, constants as zlib, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { EventLogError, type RecordHeaders, type StoredRecord } from "../port.ts";
import { crc32C } from "./kafkajs-internals.ts";
import { varintSize, WireReader, WireWriter } from "./wire.ts";

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

/** Fast, and within a tenth of level 3 on these records. */
const ZSTD_LEVEL = 1;
/** Nothing that a broker takes by default grows so large; what does is no batch but a bomb. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

/** What a batch is made of; a null key is for ticks, which belong to a partition and to nobody in it. */
export interface BatchRecord {
  readonly key: string | null;
  readonly headers: RecordHeaders;
  readonly value: Uint8Array | null;
}

/** Records as they stand in a batch, frozen: whatever is sent again is the same. */
export interface PackedRecords {
  readonly count: number;
  readonly bytes: Buffer;
  readonly compressed: boolean;
}

export function packRecords(
  records: readonly BatchRecord[],
  compressFromBytes: number,
): PackedRecords {
  const writer = new WireWriter(1024 + records.length * 128);
  records.forEach((record, i) => {
    const names = Object.keys(record.headers);
    let size = 2 + varintSize(i) + textSize(record.key) + bytesSize(record.value);
    size += varintSize(names.length);
    for (const name of names) size += textSize(name) + textSize(record.headers[name] ?? "");
    writer.varint(size).int8(0).varint(0).varint(i).varText(record.key).varBytes(record.value);
    writer.varint(names.length);
    for (const name of names) writer.varText(name).varText(record.headers[name] ?? "");
  });
  const plain = writer.bytes();
  if (plain.length < compressFromBytes) {
    return { count: records.length, bytes: plain, compressed: false };
  }
  const params = { [zlib.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  return { count: records.length, bytes: zstdCompressSync(plain, { params }), compressed: true };
}

function textSize(text: string | null): number {
  if (text === null) return 1;
  const length = Buffer.byteLength(text);
  return varintSize(length) + length;
}

function bytesSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length;
}

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

export interface RecordSet {
  readonly records: StoredRecord[];
  /** Where to go on reading: behind everything that was looked at, also behind what is not for readers. */
  readonly next: number;
}

/**
 * Records from the position on, in order, without those of aborted transactions and without transaction marks. A batch
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
  const records: StoredRecord[] = [];
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
    const base = reader.int64();
    reader.at = ATTRIBUTES_AT;
    const attributes = reader.int16();
    const last = base + reader.int32();
    const firstTime = reader.int64();
    const maxTime = reader.int64();
    const producerId = reader.int64();
    reader.at += 6;
    const count = reader.int32();
    at = end;
    while (upcoming[0] && upcoming[0].firstOffset <= last) {
      aborting.add((upcoming.shift() as AbortedTransaction).producerId);
    }
    if (attributes & CONTROL) {
      if (count > 0 && isAbortMark(reader)) aborting.delete(producerId);
    } else if (!((attributes & TRANSACTIONAL) !== 0 && aborting.has(producerId))) {
      const body = unpack(reader, attributes & COMPRESSION_MASK, topic, partition, base);
      for (let i = 0; i < count; i++) {
        const size = body.varint();
        const recordEnd = body.at + size;
        body.at += 1;
        const delta = body.varlong();
        const offset = base + body.varint();
        if (offset >= position) {
          const timestamp = attributes & APPEND_TIME ? maxTime : firstTime + delta;
          records.push(readRecord(body, topic, partition, offset, timestamp));
        }
        body.at = recordEnd;
      }
    }
    next = Math.max(next, last + 1);
  }
  return { records, next };
}

function readRecord(
  body: WireReader,
  topic: string,
  partition: number,
  offset: number,
  timestamp: number,
): StoredRecord {
  const key = body.varText();
  const value = body.varBytes();
  const headers: Record<string, string> = {};
  for (let left = body.varint(); left > 0; left--) {
    const name = body.varText() ?? "";
    const text = body.varText() ?? "";
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

function unpack(
  reader: WireReader,
  compression: number,
  topic: string,
  partition: number,
  offset: number,
): WireReader {
  if (compression === 0) return reader;
  const packed = reader.bytes.subarray(HEADER_BYTES);
  const limit = { maxOutputLength: MAX_UNPACKED_BYTES };
  if (compression === ZSTD) return new WireReader(zstdDecompressSync(packed, limit));
  if (compression === GZIP) return new WireReader(gunzipSync(packed, limit));
  const name = compression === 2 ? "snappy" : compression === 3 ? "lz4" : `code ${compression}`;
  throw unreadable(topic, partition, offset, `is compressed with ${name}; use zstd, gzip or none`);
}

function unreadable(topic: string, partition: number, offset: number, why: string): EventLogError {
  return new EventLogError("invalid", `Kafka: ${topic}/${partition} at offset ${offset} ${why}`);
}
