import { pino } from "pino";
import { expect, test } from "vitest";
import type { BufferStats } from "./buffer/port.ts";
import { RoomWatch } from "./room-watch.ts";

const MINUTE = 60_000;
const MB = 1_000_000;
const STATS = {
  state: "open",
  policy: "drop-oldest",
  bytes: 0,
  capacityBytes: 1000 * MB,
  freeBytes: 5000 * MB,
} as BufferStats;

function watched() {
  const said: { level: number; msg: string; hours_left?: number; room_percent: number }[] = [];
  let stats = STATS;
  let now = 0;
  const watch = new RoomWatch({
    stats: () => stats,
    uptime: () => now,
    capacityBytes: STATS.capacityBytes,
    floorBytes: 100 * MB,
    logger: pino({ level: "info" }, { write: (line) => said.push(JSON.parse(line)) }),
  });
  const look = (minute: number, change: Partial<BufferStats> = {}) => {
    now = minute * MINUTE;
    stats = { ...STATS, ...change };
    watch.look();
    return watch.room;
  };
  const become = (change: Partial<BufferStats>) => {
    stats = { ...STATS, ...change };
  };
  return { look, become, watch, said };
}

test("the end of the room is announced once, and once that it is over", () => {
  const { look, said } = watched();
  expect(look(0, { bytes: 700 * MB })).toEqual({ hoursLeft: undefined, isNearlyFull: false });
  expect(look(1, { bytes: 850 * MB })).toEqual({ hoursLeft: 0.02, isNearlyFull: true });
  look(2, { bytes: 990 * MB });
  look(3, { bytes: 790 * MB });
  expect(said).toMatchObject([
    {
      level: 40,
      room_percent: 15,
      hours_left: 0.02,
      msg: "the buffer is nearly full: when it is full, the oldest readings give way",
    },
  ]);
  expect(look(4, { bytes: 100 * MB }).isNearlyFull).toBe(false);
  expect(said).toHaveLength(2);
  expect(said[1]).toMatchObject({ level: 30, msg: "the buffer has room again" });
});

test("so is that of the disk, and what it will come to", () => {
  const { look, said } = watched();
  look(0, { freeBytes: 250 * MB, policy: "refuse" });
  expect(said).toMatchObject([
    {
      room_percent: 15,
      free: 250 * MB,
      msg: expect.stringContaining("acknowledgements are held back"),
    },
  ]);
});

test("a steady rate that leaves less than a day is announced while there is room", () => {
  const { look, said } = watched();
  for (let second = 0; second < 60; second += 5)
    expect(look(second / 60, { bytes: (second * MB) / 60 }).hoursLeft).toBeUndefined();
  expect(said).toEqual([]);
  expect(look(1, { bytes: 1 * MB })).toMatchObject({ isNearlyFull: true, hoursLeft: 16.65 });
  expect(said).toHaveLength(1);
});

test("a matter of minutes is announced at once, by the hours that are told", () => {
  const { look, said } = watched();
  look(0);
  expect(look(5 / 60, { bytes: 220 * MB })).toEqual({ hoursLeft: 0, isNearlyFull: true });
  expect(said).toMatchObject([{ hours_left: 0, room_percent: 78 }]);
});

test("what is full is nearly full at once, also between two looks, and says so only once", () => {
  const { look, become, watch, said } = watched();
  look(0);
  become({ bytes: 500 * MB, state: "full" });
  expect(watch.room.isNearlyFull).toBe(true);
  expect(said).toEqual([]);
  look(20, { bytes: 10 * MB });
  expect(said).toMatchObject([{ msg: "the buffer has room again" }]);
});

test("the rate is that of the last ten minutes", () => {
  const { look } = watched();
  look(0, { bytes: 500 * MB });
  look(5, { bytes: 100 * MB });
  expect(look(11, { bytes: 160 * MB }).hoursLeft).toBe(1.4);
});

test("what cannot be opened has no level", () => {
  const { look, said } = watched();
  look(0, { bytes: 900 * MB });
  expect(look(1, { state: "recovering", bytes: 0, capacityBytes: 0 }).isNearlyFull).toBe(true);
  expect(said).toHaveLength(1);
});
