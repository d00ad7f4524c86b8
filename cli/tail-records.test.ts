import { expect, test } from "vitest";
import type { StoredRecord } from "../stream/port.ts";
import { byTime } from "./tail-records.ts";

const record = (partition: number, offset: number, timestamp: number): StoredRecord => ({
  topic: "t",
  partition,
  offset,
  timestamp,
  key: null,
  headers: {},
  value: null,
});

test("partitions are merged by time, and each keeps its order through a clock that jumps", () => {
  const records = [record(0, 1, 10), record(0, 2, 2030), record(0, 3, 3), record(0, 4, 30)];
  const others = [record(1, 1, 20), record(1, 2, 25)];
  const merged = byTime([...records, ...others]).map((one) => [one.partition, one.offset]);
  expect(merged).toEqual([
    [0, 1],
    [1, 1],
    [1, 2],
    [0, 2],
    [0, 3],
    [0, 4],
  ]);
});
