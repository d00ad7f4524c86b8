import { describe, expect, test } from "vitest";
import type { StoredRecord } from "../port.ts";
import { Lanes } from "./lanes.ts";
import type { RecordBatch } from "./record-batch.ts";

function stored(topic: string, offset: number, timestamp: number): StoredRecord {
  return { topic, partition: 0, offset, timestamp, key: "k", headers: {}, value: null };
}

/** Each of the lists a batch of its own, of 100 bytes. */
function packed(...lists: readonly (readonly StoredRecord[])[]): RecordBatch[] {
  return lists.map((records) => ({
    bytes: 100,
    next: (records.at(-1)?.offset ?? 0) + 1,
    records: () => [...records],
  }));
}

function two(): Lanes {
  const lanes = new Lanes();
  lanes.begin("a", 10, 13);
  lanes.begin("b", 0, 0);
  return lanes;
}

describe("lanes", () => {
  test("take what was sent first first, each input in its own order", () => {
    const lanes = two();
    const a = [stored("a", 10, 5), stored("a", 11, 2), stored("a", 12, 9)];
    const b = [stored("b", 0, 4), stored("b", 1, 6)];
    expect(
      lanes.offer({
        topic: "a",
        position: 10,
        batches: packed(a.slice(0, 2), a.slice(2)),
        next: 13,
        end: 13,
      }),
    ).toBe(true);
    expect(lanes.offer({ topic: "b", position: 0, batches: packed(b), next: 2, end: 5 })).toBe(
      true,
    );
    const ids = (records: StoredRecord[]) => records.map((one) => `${one.topic}${one.offset}`);
    expect(ids(lanes.take(3))).toEqual(["b0", "a10", "a11"]);
    expect([...lanes.next()]).toEqual([
      ["a", 12],
      ["b", 1],
    ]);
    expect(ids(lanes.take(10))).toEqual(["b1", "a12"]);
    expect([...lanes.next()]).toEqual([
      ["a", 13],
      ["b", 2],
    ]);
  });

  test("positions move when they are committed, and over what held no records too", () => {
    const lanes = two();
    expect(lanes.caughtUp()).toBe(false);
    expect(lanes.wouldMove(lanes.next())).toBe(false);
    lanes.offer({ topic: "a", position: 10, batches: [], next: 13, end: 13 });
    expect(lanes.take(10)).toEqual([]);
    expect(lanes.wouldMove(lanes.next())).toBe(true);
    expect(lanes.positions().get("a")).toBe(10);
    lanes.committed(lanes.next());
    expect(lanes.positions().get("a")).toBe(13);
    expect(lanes.caughtUp()).toBe(true);
  });

  test("an answer for another position is of no use", () => {
    const lanes = two();
    const batches = packed([stored("a", 10, 1)]);
    expect(lanes.offer({ topic: "a", position: 9, batches, next: 11, end: 11 })).toBe(false);
    expect(lanes.offer({ topic: "c", position: 0, batches, next: 11, end: 11 })).toBe(false);
    expect(lanes.take(10)).toEqual([]);
  });

  test("with no room are not to be read; a batch that was begun takes none", () => {
    const lanes = two();
    const batches = packed([stored("a", 10, 1), stored("a", 11, 1)], [stored("a", 12, 1)]);
    lanes.offer({ topic: "a", position: 10, batches, next: 13, end: 13 });
    expect(lanes.withRoom(200).map((one) => one.topic)).toEqual(["b"]);
    lanes.take(1);
    expect(lanes.withRoom(200).map((one) => [one.topic, one.ahead])).toEqual([
      ["a", 13],
      ["b", 0],
    ]);
  });
});
