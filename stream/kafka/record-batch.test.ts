/** Our record batches against kafkajs's, both ways, and what its decoder cannot do. */
import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AbortedTransaction,
  type BatchSeal,
  readRecordSet as readBatches,
  recordsOf,
  sealBatch,
} from "./record-batch.ts";
import { type BatchRecord, packRecords, packSmall } from "./record-packer.ts";

const require = createRequire(import.meta.url);
const Decoder = require("kafkajs/src/protocol/decoder") as new (bytes: Buffer) => unknown;
const decodeBatch = require("kafkajs/src/protocol/recordBatch/v0/decoder") as (
  decoder: unknown,
) => Promise<{
  producerId: string;
  producerEpoch: number;
  firstSequence: number;
  inTransaction: boolean;
  records: {
    offset: string;
    timestamp: string;
    key: Buffer | null;
    value: Buffer | null;
    headers: Record<string, Buffer>;
  }[];
}>;
const { RecordBatch } = require("kafkajs/src/protocol/recordBatch/v0") as {
  RecordBatch(batch: object): Promise<{ buffer: Buffer }>;
};
const KafkajsRecord = require("kafkajs/src/protocol/recordBatch/record/v0") as (
  record: object,
) => unknown;

const NEVER = Number.POSITIVE_INFINITY;
const SEAL: BatchSeal = {
  producerId: 4000n,
  producerEpoch: 3,
  sequence: 17,
  timestamp: 1_790_000_000_123,
  transactional: false,
};

/** kafkajs's decoder keeps headers in a plain object and mixes up names that all objects have. */
const decodableByKafkajs = (record: BatchRecord) =>
  Object.keys(record.headers).every((name) => !(name in {}));

const someRecord: fc.Arbitrary<BatchRecord> = fc.record({
  key: fc.option(fc.string({ unit: "grapheme" })),
  headers: fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: "grapheme" })),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
});
const someRecords = fc.array(someRecord, { minLength: 1, maxLength: 40 });

/** A batch as the broker gives it: with the offset that it assigned. */
function stored(batch: Buffer, baseOffset: number): Buffer {
  const copy = Buffer.from(batch);
  copy.writeBigInt64BE(BigInt(baseOffset));
  return copy;
}

function batchOf(records: readonly BatchRecord[], seal: Partial<BatchSeal> = {}): Buffer {
  return sealBatch(packRecords(records, NEVER), { ...SEAL, ...seal });
}

/** A transaction's mark, as a broker writes it. */
async function mark(producerId: number, offset: number, commit: boolean): Promise<Buffer> {
  const record = { key: Buffer.from([0, 0, 0, commit ? 1 : 0]), value: Buffer.alloc(6) };
  const batch = await RecordBatch({ records: [KafkajsRecord(record)], producerId });
  const bytes = stored(batch.buffer, offset);
  bytes.writeInt16BE(0x30, 21);
  return bytes;
}

/** A record set with all its batches unpacked. */
function readRecordSet(
  set: Buffer,
  topic: string,
  partition: number,
  position: number,
  aborted: readonly AbortedTransaction[],
) {
  const { batches, next } = readBatches(set, topic, partition, position, aborted);
  return { records: recordsOf(batches), next };
}

const plain = (key: string): BatchRecord => ({ key, headers: {}, value: Buffer.from(key) });

describe("record batches", () => {
  test("come back as they were, compressed or not", () => {
    fc.assert(
      fc.property(someRecords, fc.constantFrom(0, NEVER), fc.nat(), (records, from, offset) => {
        const set = stored(sealBatch(packRecords(records, from), SEAL), offset);
        const { records: read, next } = readRecordSet(set, "t", 2, 0, []);
        expect(next).toBe(offset + records.length);
        expect(read).toEqual(
          records.map((record, i) => ({
            topic: "t",
            partition: 2,
            offset: offset + i,
            timestamp: SEAL.timestamp,
            key: record.key,
            headers: record.headers,
            value: record.value && Buffer.from(record.value),
          })),
        );
      }),
    );
  });

  test("packed small they are the same records in fewer bytes, also where they are packed beside us", async () => {
    for (const count of [50, 5000]) {
      const records = Array.from({ length: count }, (_, i) => ({
        key: "gw-1",
        headers: { ce_type: "tidegate.reading", ce_id: `epoch-${i}` },
        value: Buffer.from(
          `{"device":"d-${i % 50}","temperature":${20 + ((i * 7919) % 1000) / 100}}`,
        ),
      }));
      const [fast, small] = [packRecords(records, 0), await packSmall(records, 0)];
      expect(small.bytes.length).toBeLessThan(0.97 * fast.bytes.length);
      const read = [fast, small].map(
        (packed) => readRecordSet(stored(sealBatch(packed, SEAL), 0), "t", 0, 0, []).records,
      );
      expect(read[0]).toHaveLength(count);
      expect(read[1]).toEqual(read[0]);
    }
    expect(await packSmall([plain("a")], NEVER)).toMatchObject({ count: 1, compressed: false });
  });

  test("are what kafkajs reads", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(someRecord.filter(decodableByKafkajs), { minLength: 1 }),
        async (records) => {
          const set = stored(batchOf(records, { transactional: true }), 7);
          const read = await decodeBatch(new Decoder(set));
          expect(read).toMatchObject({
            producerId: "4000",
            producerEpoch: 3,
            firstSequence: 17,
            inTransaction: true,
          });
          expect(read.records.map((one) => Number(one.offset))).toEqual(
            records.map((_, i) => 7 + i),
          );
          records.forEach((record, i) => {
            const one = read.records[i];
            expect(one?.timestamp).toBe(String(SEAL.timestamp));
            expect(one?.key?.toString() ?? null).toBe(record.key);
            expect(one?.value ?? null).toEqual(record.value && Buffer.from(record.value));
            const headers = Object.entries(one?.headers ?? {}).map(([k, v]) => [k, v.toString()]);
            expect(Object.fromEntries(headers)).toEqual({ ...record.headers });
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  test("of kafkajs are read, gzip and differing timestamps included", async () => {
    for (const compression of [0, 1]) {
      const records = [0, 1, 2].map((i) =>
        KafkajsRecord({
          offsetDelta: i,
          timestampDelta: i * 100_000,
          key: `k${i}`,
          value: Buffer.from(`v${i}`),
          headers: { h: `x${i}` },
        }),
      );
      const batch = await RecordBatch({
        compression,
        records,
        firstTimestamp: 1000,
        maxTimestamp: 201_000,
        lastOffsetDelta: 2,
      });
      const { records: read } = readRecordSet(stored(batch.buffer, 10), "t", 0, 0, []);
      expect(read.map((one) => [one.offset, one.timestamp, one.key, one.headers])).toEqual([
        [10, 1000, "k0", { h: "x0" }],
        [11, 101_000, "k1", { h: "x1" }],
        [12, 201_000, "k2", { h: "x2" }],
      ]);
    }
  });

  test("begin at the position, also in the middle of a batch", () => {
    const set = stored(batchOf(["a", "b", "c"].map(plain)), 5);
    const { records, next } = readRecordSet(set, "t", 0, 6, []);
    expect(records.map((one) => one.key)).toEqual(["b", "c"]);
    expect(next).toBe(8);
  });

  test("cut off at the end are left for the next fetch", () => {
    const whole = stored(batchOf(["a"].map(plain)), 0);
    const second = stored(batchOf(["b"].map(plain)), 1);
    for (const length of [0, 1, 11, 12, 60, 61, second.length - 1]) {
      const set = Buffer.concat([whole, second.subarray(0, length)]);
      expect(readRecordSet(set, "t", 0, 0, []).next, `${length}`).toBe(1);
    }
  });

  test("that compaction has emptied are passed", () => {
    const empty = stored(batchOf(["a", "b", "c"].map(plain)), 5).subarray(0, 61);
    const set = Buffer.from(empty);
    set.writeInt32BE(61 - 12, 8);
    set.writeInt32BE(0, 57);
    expect(readRecordSet(set, "t", 0, 5, [])).toEqual({ records: [], next: 8 });
  });

  test("of aborted transactions are left out, and marks are passed", async () => {
    const set = Buffer.concat([
      stored(batchOf(["aborted-1"].map(plain), { transactional: true, producerId: 1n }), 0),
      stored(batchOf(["kept-1"].map(plain), { transactional: true, producerId: 2n }), 1),
      stored(batchOf(["kept-2"].map(plain)), 2),
      await mark(1, 3, false),
      stored(batchOf(["kept-3"].map(plain), { transactional: true, producerId: 1n }), 4),
      await mark(2, 5, true),
      await mark(1, 6, true),
      stored(batchOf(["aborted-2"].map(plain), { transactional: true, producerId: 2n }), 7),
      await mark(2, 8, false),
    ]);
    const aborted = [
      { producerId: 2, firstOffset: 7 },
      { producerId: 1, firstOffset: 0 },
    ];
    const { records, next } = readRecordSet(set, "t", 0, 0, aborted);
    expect(records.map((one) => one.key)).toEqual(["kept-1", "kept-2", "kept-3"]);
    expect(next).toBe(9);
  });

  test("in a compression that is not known here say so", () => {
    const set = stored(batchOf([plain("a")]), 3);
    set.writeInt16BE(2, 21);
    expect(() => readRecordSet(set, "t", 1, 0, [])).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining("snappy") }),
    );
  });
});
