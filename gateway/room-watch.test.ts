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
  return { look, said };
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
      msg: expect.stringMatching(/nearly full.*oldest/),
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
    { room_percent: 15, free: 250 * MB, msg: expect.stringContaining("held back") },
  ]);
});

test("a steady rate that leaves less than a day is announced while there is room", () => {
  const { look, said } = watched();
  for (let minute = 0; minute < 5; minute += 1) look(minute, { bytes: minute * MB });
  expect(said).toEqual([]);
  expect(look(5, { bytes: 5 * MB })).toMatchObject({ isNearlyFull: true, hoursLeft: 16.58 });
  expect(said).toHaveLength(1);
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
