import { expect, test } from "vitest";
import type { RejectedRecord } from "../events/schema.ts";
import type { Topology } from "../stream/port.ts";
import { guarded } from "./guarded.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, TestJournal } from "./test-support/journal.ts";

/** Counts records, and cannot take the third. */
const fragile: Topology = {
  name: "fragile",
  inputs: [NAMES.events],
  outputs: [{ topic: NAMES.devices, coalesce: true }],
  changelog: "changelog",
  step(state, input) {
    if (input.kind === "record" && input.record.offset === 2) throw new Error("planted");
    return { state: [["n", ((state.get("n") as number | undefined) ?? 0) + 1]], outputs: [] };
  },
};

test("a record that a step cannot take is told of with its place and value, and what is behind it is processed", () => {
  const journal = new TestJournal();
  const run = new TopologyTestDriver(guarded(fragile, NAMES.rejected));
  const records = Array.from({ length: 5 }, (_, i) => journal.reading("a", { t: i }));
  run.records(records);
  expect(run.state.get("n")).toBe(4);
  const third = records[2];
  expect(run.events<RejectedRecord>(NAMES.rejected)).toEqual([
    {
      topology: "fragile",
      topic: NAMES.events,
      partition: third?.partition,
      offset: 2,
      code: "processor_failed",
      message: "the processor failed at it: planted",
      value: third?.value,
    },
  ]);
});

test("ticks are no records: a topology that cannot take one has to be mended", () => {
  const failing: Topology = {
    ...fragile,
    step() {
      throw new Error("planted");
    },
  };
  const run = new TopologyTestDriver(guarded(failing, NAMES.rejected));
  expect(() => run.pipe([{ kind: "tick", partition: 0, offset: 0, time: 1 }])).toThrow("planted");
});
