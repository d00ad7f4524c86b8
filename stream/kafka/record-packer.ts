/**
 * Records as they stand in batches, packed one by one as they are made: what a commit holds is bytes, compressed as soon
 * as they fill a batch, and not the objects that they were made of.
 *
 *   length varint · attributes i8 = 0 · timestamp delta varint = 0 · offset delta varint · key · value ·
 *   count of headers varint · for each name and value; each text and value with its length before it as a varint
 *
 * Source: kafka.apache.org/documentation/#recordbatch.
 */
import { promisify } from "node:util";
import { constants as zlib, zstdCompress, zstdCompressSync } from "node:zlib";
import { eventHeaders, isoTime } from "../../events/cloudevents.ts";
import type { EventType } from "../../events/schema.ts";
import type { RecordHeaders } from "../port.ts";
import { WireWriter } from "./wire.ts";

/** For what is written again and again, as views of a state are: fast, and within a tenth of level 3 on these records. */
const FAST = 1;
/** For what is written once, crosses a link that may be paid by the byte, and is kept: an eighth smaller, 1 µs a record. */
const SMALL = 6;
/** From here on the compressor works beside us, bytes: it takes milliseconds, in which nobody would be acknowledged. */
const BESIDE_FROM_BYTES = 64 * 1024;
const zstdBeside = promisify(zstdCompress);
/** Brokers take batches of 1 MiB by default; larger ones than this pack no better and are held by every partition at once. */
const BATCH_BYTES = 256 * 1024;

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

/** All in one batch, however large. */
export function packRecords(
  records: readonly BatchRecord[],
  compressFromBytes: number,
): PackedRecords {
  const packer = new RecordPacker(compressFromBytes, Number.POSITIVE_INFINITY);
  for (const record of records) packer.add(record);
  const [packed] = packer.finish();
  return packed ?? { count: 0, bytes: Buffer.alloc(0), compressed: false };
}

/** The same, smaller, and without standing in anybody's way. */
export async function packSmall(
  records: readonly BatchRecord[],
  compressFromBytes: number,
): Promise<PackedRecords> {
  const plain = packRecords(records, Number.POSITIVE_INFINITY);
  const { count, bytes } = plain;
  if (bytes.length < compressFromBytes) return plain;
  const beside = bytes.length >= BESIDE_FROM_BYTES;
  const packed = await (beside ? zstdBeside : zstdCompressSync)(bytes, zstdLevel(SMALL));
  return { count, bytes: packed, compressed: true };
}

function zstdLevel(level: number) {
  return { params: { [zlib.ZSTD_c_compressionLevel]: level } };
}

/** The record in hand, whose size stands before it. */
const record = new WireWriter(4096);

export class RecordPacker {
  readonly #compressFromBytes: number;
  readonly #batchBytes: number;
  readonly #packed: PackedRecords[] = [];
  readonly #batch = new WireWriter(4096);
  #count = 0;

  /** @param batchBytes a batch has so many at most before it is compressed, unless a single record has more */
  constructor(compressFromBytes: number, batchBytes = BATCH_BYTES) {
    this.#compressFromBytes = compressFromBytes;
    this.#batchBytes = batchBytes;
  }

  add({ key, headers, value }: BatchRecord): void {
    this.#begin(key, value);
    const names = Object.keys(headers);
    record.varint(names.length);
    for (const name of names) record.varText(name).varText(headers[name] ?? "");
    this.#end();
  }

  /** @param time event time, ms since 1970 */
  addEvent(key: string, head: EventHead, id: string, time: number, value: Uint8Array | null): void {
    this.#begin(key, value);
    head.write(record, id, time);
    this.#end();
  }

  /** All batches, in order. Nothing is added after it. */
  finish(): readonly PackedRecords[] {
    if (this.#count > 0) this.#pack();
    return this.#packed;
  }

  #begin(key: string | null, value: Uint8Array | null): void {
    // Which one of its batch it is, is known when it is there.
    record.clear().varText(key).varBytes(value);
  }

  #end(): void {
    const body = record.bytes();
    const most = body.length + MOST_BEFORE_BODY;
    if (this.#count > 0 && this.#batch.length + most > this.#batchBytes) this.#pack();
    const index = this.#count++;
    this.#batch
      .varint(2 + varintSize(index) + body.length)
      .int8(0)
      .varint(0)
      .varint(index)
      .raw(body);
  }

  #pack(): void {
    const plain = this.#batch.bytes();
    const compressed = plain.length >= this.#compressFromBytes;
    const bytes = compressed ? zstdCompressSync(plain, zstdLevel(FAST)) : Buffer.from(plain);
    this.#packed.push({ count: this.#count, bytes, compressed });
    this.#batch.clear();
    this.#count = 0;
  }
}

/** Length, attributes, time and index. */
const MOST_BEFORE_BODY = 5 + 1 + 1 + 5;

/** How many bytes the zigzag varint of this number has. */
function varintSize(value: number): number {
  const left = ((value << 1) ^ (value >> 31)) >>> 0;
  return left < 128 ? 1 : left < 16_384 ? 2 : left < 2_097_152 ? 3 : left < 268_435_456 ? 4 : 5;
}

/** The headers of all events of one type from one source, which differ in id and time only: the rest is bytes already. */
export class EventHead {
  readonly #beforeTime: Uint8Array;
  readonly #beforeId: Uint8Array;

  constructor(type: EventType, source: string) {
    const { ce_id: _, ce_time: __, ...same } = eventHeaders(type, "", source, 0);
    const names = Object.keys(same) as (keyof typeof same)[];
    // What differs stands at the end, as in eventHeaders().
    const beforeTime = new WireWriter().varint(names.length + 2);
    for (const name of names) beforeTime.varText(name).varText(same[name]);
    this.#beforeTime = beforeTime.varText("ce_time").bytes();
    this.#beforeId = new WireWriter().varText("ce_id").bytes();
  }

  write(writer: WireWriter, id: string, time: number): void {
    writer.raw(this.#beforeTime).varText(isoTime(time)).raw(this.#beforeId).varText(id);
  }
}
