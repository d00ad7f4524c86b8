import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readingsTopology } from "../cloud/readings.core.ts";
import { TopologyTestDriver } from "../cloud/test-driver.ts";
import type { DeviceReading } from "../events/schema.ts";
import type { StoredRecord } from "../stream/port.ts";
import { decodeRecord } from "./oracle-journal.ts";
import { compareReadings, expectedReadings, type ReadingRecord } from "./oracle-readings.ts";
import { NAMES, playSteps, type Step, steps } from "./test-support/random-journals.ts";

const { events, readings } = NAMES;

function processed(records: readonly StoredRecord[], commitInputs: number): ReadingRecord[] {
  const topology = readingsTopology({ events, readings, changelog: "changelog" });
  const run = new TopologyTestDriver(topology, { commitInputs });
  run.records(records);
  return run.stored().map((record) => {
    return { ...record, data: decodeRecord(record).data as DeviceReading };
  });
}

const played = (some: readonly Step[]) => playSteps(some).filter(({ topic }) => topic === events);
const expected = (records: readonly StoredRecord[]) =>
  expectedReadings(records.map((record) => decodeRecord(record)));

test("the processor says what the oracle says, of any journals", () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(1, 3, 50), (some, commitInputs) => {
      const records = played(some);
      expect(compareReadings(expected(records), processed(records, commitInputs))).toEqual([]);
    }),
    { numRuns: Number(process.env.TEST_RUNS ?? 300) },
  );
});

describe("what is planted is found", () => {
  const records = played([
    ...Array.from({ length: 6 }, (_, t): Step => ({ kind: "reading", on: 0, device: "b/c", t })),
    { kind: "link", on: 0 },
    { kind: "heartbeat", on: 0 },
  ]);
  const wanted = expected(records);
  const right = processed(records, 1);
  const [first, second] = right as [ReadingRecord, ReadingRecord];
  const rest = right.slice(2);

  test("and nothing in what is right", () => {
    expect(wanted).toHaveLength(6);
    expect(compareReadings(wanted, right)).toEqual([]);
  });
  test.each<[string, readonly ReadingRecord[], string]>([
    ["a loss", right.slice(1), "stands 0 times"],
    ["a duplicate", [...right, first], "stands 2 times"],
    ["a reorder", [second, first, ...rest], "stands behind"],
    ["another key", [{ ...first, key: "gw-0/b/c" }, second, ...rest], "under gw-0/b/c, and not"],
    [
      "another value",
      [{ ...first, data: { ...first.data, metrics: { t: 99 } } }, second, ...rest],
      'is {"gateway"',
    ],
    [
      "another type",
      [{ ...first, headers: { ...first.headers, ce_type: "tidegate.reading" } }, second, ...rest],
      "its ce_type is tidegate.reading",
    ],
    [
      "one that nobody sent",
      [...right, { ...first, headers: { ...first.headers, ce_id: "gw-0/x-1" } }],
      "no journal has it",
    ],
  ])("%s", (_, actual, said) => {
    expect(compareReadings(wanted, actual).join("\n")).toContain(said);
  });
});
