/**
 * Records as they stand in batches, packed one by one as they are made: what a commit holds is bytes, compressed as soon
 * as they fill a batch, and not the objects that they were made of.
 *
 *   length varint · attributes i8 = 0 · timestamp delta varint = 0 · offset delta varint · key · value ·
 *   count of headers varint · for each name and value; each text and value with its length before it as a varint
 *
 * Source: kafka.apache.org/documentation/#recordbatch.
 */
import { constants as zlib, zstdCompressSync } from "node:zlib";
import { eventHeaders, isoTime } from "../../events/cloudevents.ts";
import type { EventType } from "../../events/schema.ts";
import type { RecordHeaders } from "../port.ts";
import { WireWriter } from "./wire.ts";

/** Fast, and within a tenth of level 3 on these records. */
const ZSTD_LEVEL = 1;
/** Brokers take batches of 1 MiB by default; packed they are smaller than this, never much larger. */
const BATCH_BYTES = 768 * 1024;

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
    const params = { [zlib.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
    const bytes = compressed ? zstdCompressSync(plain, { params }) : Buffer.from(plain);
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
  readonly #beforeId: Uint8Array;
  readonly #beforeTime: Uint8Array;
  readonly #rest: Uint8Array;

  constructor(type: EventType, source: string) {
    const { ce_id: _, ce_time: __, ...same } = eventHeaders(type, "", source, 0);
    const names = Object.keys(same) as (keyof typeof same)[];
    const rest = new WireWriter();
    for (const name of names) rest.varText(name).varText(same[name]);
    this.#beforeId = new WireWriter()
      .varint(names.length + 2)
      .varText("ce_id")
      .bytes();
    this.#beforeTime = new WireWriter().varText("ce_time").bytes();
    this.#rest = rest.bytes();
  }

  write(writer: WireWriter, id: string, time: number): void {
    writer.raw(this.#beforeId).varText(id).raw(this.#beforeTime).varText(isoTime(time));
    writer.raw(this.#rest);
  }
}
