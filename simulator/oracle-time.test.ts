import { expect, test } from "vitest";
import { type JournalEntry, trueTimes } from "./oracle-time.ts";

const entry = (type: string, data: JournalEntry["data"], gateway = "g"): JournalEntry => ({
  gateway,
  type: `tidegate.${type}`,
  data,
});
const unsynced = (boot: string, uptime: number, gateway = "g") =>
  entry("reading", { received: 5, clock: "unsynced", boot, uptime }, gateway);
const told = (boot: string, offset: number) => entry("clock", { boot, offset, clock: "synced" });

test("the device's time, else the gateway's, else what a clock event of the boot says", () => {
  const entries = [
    entry("reading", { time: 7, received: 5, clock: "device", boot: "a", uptime: 1 }),
    entry("reading", { received: 9, clock: "synced", boot: "a", uptime: 1 }),
    unsynced("a", 10),
    unsynced("b", 10),
    unsynced("a", 10, "other"),
    told("a", 1000),
    told("a", 5000),
    unsynced("a", 20),
  ];
  const times = trueTimes(entries).filter((_, i) => i < 5 || i === 7);
  expect(times).toEqual([7, 9, 1010, undefined, undefined, 5020]);
});

test("a day of a large fleet takes no time to speak of", () => {
  const entries = Array.from({ length: 300_000 }, (_, at) => unsynced("never", at, `g${at % 20}`));
  const { length } = trueTimes([...entries, told("a", 1)]);
  expect(length).toBe(300_001);
});
