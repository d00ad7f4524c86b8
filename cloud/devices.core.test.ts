import { expect, test } from "vitest";
import { encodeEvent } from "../events/codec.ts";
import type { Device } from "../events/schema.ts";
import { deviceTopology } from "./devices.core.ts";
import { TopologyTestDriver } from "./test-driver.ts";
import { NAMES, NOON, TestJournal } from "./test-support/journal.ts";

function driver() {
  const { events, devices } = NAMES;
  return new TopologyTestDriver(deviceTopology({ events, devices, changelog: "changelog" }));
}

const device = (run: TopologyTestDriver, key = "gw-one/a") =>
  run.latest<Device>(NAMES.devices).get(key);

test("a device keeps the last value of each metric", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.reading("a", { t: 1, mode: "auto" }),
    journal.reading("a", { t: 2, open: true }),
  ]);
  expect(device(run)).toEqual({
    gateway: "gw-one",
    device: "a",
    last_seen: NOON + 1000,
    readings: 2,
    metrics: {
      t: { value: 2, time: NOON + 1000 },
      mode: { value: "auto", time: NOON },
      open: { value: true, time: NOON + 1000 },
    },
  });
});

test("a late reading changes only what it is newer in, and a duplicate nothing", () => {
  const run = driver();
  const journal = new TestJournal();
  const first = journal.reading("a", { t: 1, u: 1 });
  run.records([first, journal.reading("a", { t: 2 })]);
  run.records([journal.reading("a", { t: 0, u: 9 }, { time: NOON + 500 }), first]);
  expect(device(run)).toMatchObject({
    last_seen: NOON + 1000,
    readings: 3,
    metrics: { t: { value: 2, time: NOON + 1000 }, u: { value: 9, time: NOON + 500 } },
  });
});

test("a device whose clock runs ahead is still heard afterwards", () => {
  const run = driver();
  const journal = new TestJournal();
  run.records([
    journal.reading("a", { t: 1 }, { time: NOON + 1e12, clock: "device" }),
    journal.reading("a", { t: 2 }),
  ]);
  expect(device(run)?.metrics.t).toEqual({ value: 2, time: NOON + 1000 });
});

test("a device that makes up names keeps the most recent ones", () => {
  const run = driver();
  const journal = new TestJournal();
  for (let i = 0; i < 3; i++) {
    const names = Array.from({ length: 500 }, (_, n) => [`m${i}-${n}`, n] as const);
    run.records([journal.reading("a", Object.fromEntries(names))]);
  }
  const names = Object.keys(device(run)?.metrics ?? {});
  expect(names).toHaveLength(1024);
  expect(names.filter((name) => name.startsWith("m2"))).toHaveLength(500);
  expect(names.filter((name) => name.startsWith("m0"))).toHaveLength(24);
});

test("a device with many long texts is kept small enough for any log: the newest metrics stay", () => {
  const run = driver();
  const journal = new TestJournal();
  const texts = (round: number) =>
    Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`m${round}-${i}`, "€".repeat(1024)]));
  for (let round = 0; round < 16; round++) run.records([journal.reading("a", texts(round))]);
  run.records([journal.reading("a", { t: 1 })]);
  const kept = device(run);
  expect(kept?.readings).toBe(17);
  expect(encodeEvent("tidegate.device", kept as Device).length).toBeLessThan(768 * 1024);
  expect(kept?.metrics).toMatchObject({ t: { value: 1 }, "m15-0": {}, "m15-63": {} });
  expect(kept?.metrics).not.toHaveProperty("m0-0");
});

test("a clock that was years ahead, or is set back over midnight, leaves no device standing still", () => {
  const run = driver();
  const journal = new TestJournal();
  const at = (received: number) => ({ received, sent: received });
  const ahead = NOON + 10 * 365 * 86_400_000;
  run.records([
    journal.reading("a", { t: 1 }, at(ahead)),
    journal.reading("a", { t: 2 }, at(NOON)),
    journal.reading("a", { t: 3 }, at(NOON - 13 * 3_600_000)),
    // Also one whose time the device gives.
    journal.reading("b", { t: 1 }, at(ahead)),
    journal.reading("b", { t: 2 }, { ...at(NOON), time: NOON - 1000, clock: "device" }),
  ]);
  expect(device(run)).toMatchObject({
    last_seen: NOON - 13 * 3_600_000,
    metrics: { t: { value: 3, time: NOON - 13 * 3_600_000 } },
  });
  expect(device(run, "gw-one/b")).toMatchObject({
    last_seen: NOON - 1000,
    metrics: { t: { value: 2, time: NOON - 1000 } },
  });
});

test("what comes before any clock is set is newer than what came before it, and not shown as of 1970", () => {
  const run = driver();
  const journal = new TestJournal();
  const unset = { received: 5000, sent: 5000, clock: "unsynced" } as const;
  run.records([journal.reading("a", { t: 1 }), journal.reading("a", { t: 2 }, unset)]);
  expect(device(run)).toMatchObject({ last_seen: NOON, metrics: { t: { value: 2, time: NOON } } });
});

test("a device keeps the newest of its large payloads and counts them, also one that sends nothing else", () => {
  const run = driver();
  const journal = new TestJournal("gw-one", "0000000001", { now: NOON + 60_000 });
  const stored = (payload: string, accepted: number) =>
    journal.event("tidegate.payload-stored", {
      ...journal.stamp(),
      ...{ payload, device: "a", topic: "t", size: 7, sha256: "0".repeat(64), accepted },
      ...{ key: `k/${payload}`, ref: `s3://b/k/${payload}` },
    });
  const second = stored("2", NOON + 2);
  run.records([second, stored("1", NOON + 1)]);
  expect(device(run)).toMatchObject({
    last_seen: NOON + 2,
    readings: 0,
    payloads: 2,
    payload: { payload: "2", time: NOON + 2, ref: "s3://b/k/2" },
  });
  run.records([second, journal.reading("a", { t: 1 }), stored("3", NOON + 1e12)]);
  // What a clock that ran ahead said is no later than when it was sent.
  expect(device(run)).toMatchObject({ readings: 1, payloads: 3, payload: { payload: "3" } });
  expect(device(run)?.last_seen).toBeLessThan(NOON + 1e6);
});
