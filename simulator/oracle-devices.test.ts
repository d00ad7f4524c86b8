import { expect, test } from "vitest";
import { compareDevices, expectedDevices } from "./oracle-devices.ts";
import { HandJournal, NOON } from "./test-support/oracle-records.ts";

const DAY = 86_400_000;

test("the newest value of each metric, by the device's time; the later in the journal at the same", () => {
  const journal = new HandJournal();
  const at = (time: number, metrics: Record<string, number>) =>
    journal.reading("d", metrics, { time: NOON + time, clock: "device" });
  journal.now = NOON + 100;
  const records = [at(10, { a: 1, b: 1 }), at(5, { a: 2, c: 2 }), at(10, { a: 3 })];
  expect(expectedDevices([...records, ...records])).toEqual([
    {
      gateway: "g",
      device: "d",
      last_seen: NOON + 10,
      readings: 3,
      metrics: {
        a: { value: 3, time: NOON + 10 },
        b: { value: 1, time: NOON + 10 },
        c: { value: 2, time: NOON + 5 },
      },
    },
  ]);
});

test("by the gateway's time the later in the journal is the newer; without any it is no earlier than what was", () => {
  const journal = new HandJournal();
  const first = journal.reading("d", { a: 1 });
  journal.now = NOON - 500;
  const back = journal.reading("d", { a: 2 });
  expect(expectedDevices([first, back])[0]).toMatchObject({ last_seen: NOON - 500 });
  const unknown = journal.reading("d", { a: 3 }, { clock: "unsynced", received: 5, sent: 7 });
  expect(expectedDevices([first, unknown])[0]).toMatchObject({
    last_seen: NOON,
    metrics: { a: { value: 3, time: NOON } },
  });
});

test("what a clock more than a day ahead said gives way to what comes after", () => {
  const journal = new HandJournal();
  journal.now = NOON + 2 * DAY;
  const ahead = journal.reading("d", { a: 1 });
  journal.now = NOON;
  const right = journal.reading("d", { a: 2 }, { time: NOON, clock: "device" });
  expect(expectedDevices([ahead, right])[0]).toMatchObject({
    last_seen: NOON,
    metrics: { a: { value: 2 } },
  });
});

test("devices that are missing, unexpected or different are found", () => {
  const journal = new HandJournal();
  const [one] = expectedDevices([journal.reading("d", { a: 1, b: "x" })]);
  if (!one) throw new Error("no device");
  const turned = { ...one, metrics: Object.fromEntries(Object.entries(one.metrics).reverse()) };
  expect(compareDevices([one], [turned])).toEqual([]);
  const changes = [{ readings: 2 }, { last_seen: 1 }, { metrics: {} }, { device: "e" }];
  expect(changes.map((change) => compareDevices([one], [{ ...one, ...change }]).length)).toEqual([
    1, 1, 1, 2,
  ]);
  expect(compareDevices([one], [])).toHaveLength(1);
});
