import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventHeaders } from "../../events/cloudevents.ts";
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import { partitionOf } from "../partitioner.ts";
import type { Output } from "../port.ts";
import { CommitRecords } from "./commit-records.ts";
import { readRecordSet, recordsOf, sealBatch } from "./record-batch.ts";
import { type BatchRecord, type PackedRecords, RecordPacker } from "./record-packer.ts";

const SEAL = { producerId: 1n, producerEpoch: 0, sequence: 0, timestamp: 5, transactional: true };
const NEVER = Number.POSITIVE_INFINITY;

function unpacked(batches: readonly PackedRecords[]) {
  return batches.flatMap((packed) => {
    const set = sealBatch(packed, SEAL);
    const { records } = { records: recordsOf(readRecordSet(set, "t", 0, 0, []).batches) };
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, i) => i));
    expect(packed.count).toBe(records.length);
    return records.map(({ key, headers, value }) => ({ key, headers, value }));
  });
}

const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 80 }), fc.string({ maxLength: 80 }));

describe("records are packed as they come", () => {
  test("into batches of the size, in order, and come out as they were", () => {
    const record = fc.record<BatchRecord>({
      key: fc.option(text),
      headers: fc.dictionary(fc.string({ minLength: 1 }), text),
      value: fc.option(fc.uint8Array({ maxLength: 300 })),
    });
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(0, NEVER),
        fc.integer({ min: 1, max: 2000 }),
        (records, compressFrom, batchBytes) => {
          const packer = new RecordPacker(compressFrom, batchBytes);
          for (const one of records) packer.add(one);
          const batches = packer.finish();
          expect(unpacked(batches)).toEqual(
            records.map((one) => ({ ...one, value: one.value && Buffer.from(one.value) })),
          );
          for (const { count, bytes, compressed } of batches) {
            if (count > 1 && !compressed) expect(bytes.length).toBeLessThanOrEqual(batchBytes);
          }
        },
      ),
    );
  });

  test("outputs with the headers of an event, in the partition of their key; the changelog without any", () => {
    const output = (key: string, event: unknown, time = 1000): Output => ({
      ...{ topic: "out", key, type: "tidegate.device", id: `${key}@7`, time, event },
    });
    const outputs = [output("a", { n: 1 }), output("b\u00e9", null, 2000), output("c", "x")];
    const records = new CommitRecords("count", new Map([["out", 3]]), NEVER);
    for (const one of outputs) records.output(one);
    records.plain("log", 4, "k", encodeCbor(1));
    records.plain("log", 4, "gone", null);
    const parts = records.parts();
    const found = parts.map(({ topic, partition, batches }) => ({
      ...{ topic, partition, records: unpacked(batches) },
    }));
    expect(found.find(({ topic }) => topic === "log")).toEqual({
      ...{ topic: "log", partition: 4 },
      records: [
        { key: "k", headers: {}, value: Buffer.from(encodeCbor(1)) },
        { key: "gone", headers: {}, value: null },
      ],
    });
    for (const { key, type, id, time, event } of outputs) {
      const part = found.find(
        (one) => one.topic === "out" && one.partition === partitionOf(key, 3),
      );
      const record = part?.records.find((one) => one.key === key);
      expect(record?.headers).toEqual(eventHeaders(type, id, "/processors/count", time));
      expect(record?.value && decodeCbor(record.value)).toEqual(event);
    }
  });
});
