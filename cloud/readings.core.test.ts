import { expect, test } from "vitest";
import type { DeviceReading } from "../events/schema.ts";
import { readingsTopology } from "./readings.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";

function driver() {
  const { events, readings } = NAMES;
  return new TopologyTestDriver(readingsTopology({ events, readings, changelog: "changelog" }));
}

const all = (run: TopologyTestDriver) => run.events<DeviceReading>(NAMES.readings);
const sequences = (run: TopologyTestDriver) => all(run).map(({ sequence }) => sequence);

test("a reading says whose it is, when it was true and where it stands in its journal", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([journal.reading("line/1", { t: 1.5, open: true, mode: "auto" })]);
  expect(all(run)).toEqual([
    {
      gateway: "gw-one",
      device: "line/1",
      time: NOON,
      clock: "synced",
      metrics: { t: 1.5, open: true, mode: "auto" },
      received: NOON,
      epoch: "0000000001",
      sequence: 1,
    },
  ]);
  expect(run.outputs[0]).toMatchObject({
    key: "gw-one/line%2F1",
    id: "gw-one/0000000001-1",
    type: "tidegate.device-reading",
    time: NOON,
  });
});

test("a batch that comes twice, whole or in pieces, counts once, and a hole may fill later", () => {
  const run = driver();
  const journal = new TestJournal();
  const records = Array.from({ length: 10 }, (_, i) => journal.reading("a", { t: i }));
  run.records([...records.slice(0, 4), ...records.slice(2, 4), ...records.slice(6)]);
  run.records([...records.slice(6), ...records.slice(4, 6), ...records]);
  expect(sequences(run)).toEqual([1, 2, 3, 4, 7, 8, 9, 10, 5, 6]);
});

test("the same sequence of another epoch or gateway is another reading", () => {
  const run = driver();
  const journals = [
    new TestJournal(),
    new TestJournal("gw-one", "0000000002"),
    new TestJournal("b"),
  ];
  run.records(journals.map((journal) => journal.reading("a", { t: 1 })));
  expect(all(run).map(({ gateway, epoch }) => [gateway, epoch])).toEqual([
    ["gw-one", "0000000001"],
    ["gw-one", "0000000002"],
    ["b", "0000000001"],
  ]);
});

test("only readings are passed on; the others are no holes, so that state stays small", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.opening(),
    journal.heartbeat(),
    journal.reading("a", { t: 1 }),
    journal.record("tidegate.of-a-later-version", new Uint8Array([0xa0])),
    journal.record("tidegate.reading", new Uint8Array([0xff])),
    journal.record("tidegate.reading", null),
    journal.reading("a", { t: 2 }),
  ]);
  expect(sequences(run)).toEqual([3, 7]);
  expect([...run.state]).toEqual([["seen/gw-one/0000000001", { older: [], from: 1, to: 7 }]]);
  run.pipe([{ kind: "tick", partition: 0, offset: 99, time: NOON }]);
  expect(all(run)).toHaveLength(2);
});

test("a reading that was declared lost and turns up after all is a reading", () => {
  const run = driver();
  const journal = new TestJournal();
  const found = journal.reading("a", { t: 1 });
  journal.sequence = 0;
  run.records([journal.loss(5), journal.reading("a", { t: 6 }), found]);
  expect(sequences(run)).toEqual([6, 1]);
});

test("where nobody knows the time it is that of sending, and the reading says so", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.reading("a", { t: 1 }, { received: 5000, sent: NOON + 77, clock: "unsynced" }),
    journal.reading("a", { t: 2 }, { received: 6000, time: NOON - 9, clock: "device" }),
  ]);
  expect(all(run).map(({ time, clock, received }) => [time, clock, received])).toEqual([
    [NOON + 77, "unsynced", 5000],
    [NOON - 9, "device", 6000],
  ]);
});
