/**
 * A block: one or more consecutive records of a partition as one LevelDB value. One value for each append instead of
 * one for each record makes writing and reading several times as fast, and the headers that records of a batch share
 * (source, type, content type) stand once in it.
 *
 *   crc u32      CRC-32 over the block's key, then everything after these four bytes
 *   time f64     time of sending of all its records, ms since 1970
 *   count u32    records; the key has the offset of the last
 *   strings      varint count, then for each: varint byte length, UTF-8. Numbered from 1.
 *   records      for each: varint key (0 null, else string number), varint header count, (name, value) as string
 *                numbers, varint value length + 1 (0 null), value
 *
 * A block is encoded when it is handed in and gets its time and checksum when its offset is known (finishBlock).
 */
import { crc32 } from "node:zlib";
import type { RecordHeaders, StoredRecord } from "../port.ts";

/** A record to store; ticks have no key. */
export interface NewRecord {
  readonly key: string | null;
  readonly headers: RecordHeaders;
  readonly value: Uint8Array | null;
}

/** Most records in one block: what a reader decodes at once. */
export const MAX_BLOCK_RECORDS = 1000;
/** A block takes no further record from here on, in bytes: what a reader holds, and retention deletes, at once. */
export const MAX_BLOCK_BYTES = 256 * 1024;

const CRC_BYTES = 4;
const HEAD_BYTES = 16;
const MAX_VARINT_BYTES = 5;

/** Rough size of a record in a block, bytes; never too small for its key, headers and value. */
export function recordBytes(record: NewRecord): number {
  let bytes = (record.value?.length ?? 0) + Buffer.byteLength(record.key ?? "");
  for (const name in record.headers) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(record.headers[name] as string);
  }
  return bytes;
}

function writeVarint(target: Buffer, value: number, start: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Encodes records (at least one) without time and checksum. */
export function encodeBlock(records: readonly NewRecord[]): Buffer {
  const numbers = new Map<string, number>();
  let stringBytes = 0;
  const numberOf = (text: string): number => {
    let number = numbers.get(text);
    if (number === undefined) {
      number = numbers.size + 1;
      numbers.set(text, number);
      stringBytes += Buffer.byteLength(text) + MAX_VARINT_BYTES;
    }
    return number;
  };
  const fields: number[] = [];
  let valueBytes = 0;
  for (const { key, headers, value } of records) {
    fields.push(key === null ? 0 : numberOf(key));
    const names = Object.keys(headers);
    fields.push(names.length);
    for (const name of names) fields.push(numberOf(name), numberOf(headers[name] as string));
    fields.push(value === null ? 0 : value.length + 1);
    valueBytes += value?.length ?? 0;
  }
  const most = HEAD_BYTES + (fields.length + 1) * MAX_VARINT_BYTES + stringBytes + valueBytes;
  const block = Buffer.allocUnsafe(most);
  block.writeUInt32BE(records.length, 12);
  let at = writeVarint(block, numbers.size, HEAD_BYTES);
  for (const text of numbers.keys()) {
    at = writeVarint(block, Buffer.byteLength(text), at);
    at += block.write(text, at, "utf8");
  }
  let field = 0;
  for (const { value } of records) {
    at = writeVarint(block, fields[field++] as number, at);
    const count = fields[field++] as number;
    at = writeVarint(block, count, at);
    for (let i = 0; i < count * 2; i++) at = writeVarint(block, fields[field++] as number, at);
    at = writeVarint(block, fields[field++] as number, at);
    if (value !== null) {
      block.set(value, at);
      at += value.length;
    }
  }
  return block.subarray(0, at);
}

/** Gives an encoded block its time and, its key being known, its checksum. */
export function finishBlock(block: Buffer, key: Buffer, time: number): void {
  block.writeDoubleBE(time, CRC_BYTES);
  block.writeUInt32BE(crc32(block.subarray(CRC_BYTES), crc32(key)), 0);
}

export function isWhole(block: Buffer, key: Buffer): boolean {
  if (block.length <= HEAD_BYTES) return false;
  return crc32(block.subarray(CRC_BYTES), crc32(key)) === block.readUInt32BE(0);
}

export function blockTime(block: Buffer): number {
  return block.readDoubleBE(CRC_BYTES);
}

export function blockCount(block: Buffer): number {
  return block.readUInt32BE(12);
}

/** The records of a block that isWhole(). Their values are views of it. */
export function decodeBlock(
  topic: string,
  partition: number,
  lastOffset: number,
  block: Buffer,
): StoredRecord[] {
  const timestamp = blockTime(block);
  const count = blockCount(block);
  let at = HEAD_BYTES;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = block[at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const strings: string[] = [""];
  for (let left = varint(); left > 0; left--) {
    const length = varint();
    strings.push(block.toString("utf8", at, at + length));
    at += length;
  }
  const records: StoredRecord[] = [];
  for (let i = 0; i < count; i++) {
    const key = varint();
    const headers: Record<string, string> = {};
    for (let left = varint(); left > 0; left--) {
      const name = strings[varint()] as string;
      const text = strings[varint()] as string;
      if (name === "__proto__") {
        // An assignment would set the object's prototype and lose the header.
        Object.defineProperty(headers, name, { value: text, enumerable: true });
      } else headers[name] = text;
    }
    const length = varint();
    const value = length === 0 ? null : block.subarray(at, at + length - 1);
    at += Math.max(0, length - 1);
    const offset = lastOffset - count + 1 + i;
    const keyText = key === 0 ? null : (strings[key] as string);
    records.push({ topic, partition, offset, timestamp, key: keyText, headers, value });
  }
  return records;
}

/** Cuts records into blocks' worth. */
export function inBlocks(records: readonly NewRecord[]): (readonly NewRecord[])[] {
  const blocks: (readonly NewRecord[])[] = [];
  let from = 0;
  let bytes = 0;
  for (const [i, record] of records.entries()) {
    bytes += recordBytes(record);
    if (i + 1 - from >= MAX_BLOCK_RECORDS || bytes >= MAX_BLOCK_BYTES) {
      blocks.push(records.slice(from, i + 1));
      from = i + 1;
      bytes = 0;
    }
  }
  if (from < records.length) blocks.push(records.slice(from));
  return blocks;
}
