import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import type { NewEvent } from "./buffer/port.ts";
import type { Mark } from "./clock.core.ts";
import { bootClock, systemClock, timeServiceMark } from "./clock.ts";
import { knownFile } from "./clock-file.ts";
import { ClockWatch } from "./clock-watch.ts";
import { ManualClock } from "./test-support/manual-clock.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const YEAR = 365 * 86_400_000;
const logger = pino({ level: "silent" });

let directory = "";
const running: ClockWatch[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-clock-"));
});
afterEach(async () => {
  for (const watch of running.splice(0)) await watch.stop();
  await rm(directory, { recursive: true });
});

async function watching(
  clock: ManualClock,
  mark: () => Mark = () => ({ kind: "none" }),
  to: pino.Logger = logger,
) {
  const file = join(directory, "clock.json");
  const known = knownFile(file);
  const watch = new ClockWatch({ clock, mark, known, waitMs: 300_000, logger: to });
  await watch.start();
  running.push(watch);
  return watch;
}

/** A journal that takes what it is told, or refuses. */
function journal(watch: ClockWatch) {
  const events: NewEvent[] = [];
  const taken: { refuse: boolean; resolve: () => void } = { refuse: false, resolve: () => {} };
  watch.follow(async (event) => {
    if (taken.refuse) {
      taken.resolve();
      throw new Error("full");
    }
    events.push(event);
  });
  return { events, taken };
}

const told = (events: readonly NewEvent[]) =>
  events.map(({ value }) => {
    const { offset, before, reason } = decodeEvent("tidegate.clock", value);
    return before === undefined ? [reason, offset] : [reason, offset, before];
  });

test("a leap of a day or more is told as what it is, ahead or back", async () => {
  const lines: string[] = [];
  const to = pino({ level: "warn" }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
  const clock = new ManualClock(NOW, 20_000);
  const watch = await watching(clock, undefined, to);
  clock.jump(-86_400_001);
  watch.look();
  clock.jump(3 * 86_400_000);
  watch.look();
  expect(lines).toEqual([
    expect.stringMatching(/^the clock leapt back by a day or more: forwarding waits 300 s/),
    expect.stringMatching(/^the clock leapt ahead by a day or more: forwarding waits 300 s/),
  ]);
});

test("stamps say whether the time is known, and keep what the clock showed", async () => {
  const clock = new ManualClock(1000, 20_000);
  const watch = await watching(clock);
  expect(watch.stamp()).toEqual({
    received: 1000,
    clock: "unsynced",
    boot: "boot-1",
    uptime: 20_000,
  });
  clock.set(NOW);
  expect(watch.stamp()).toMatchObject({ received: NOW, clock: "synced", uptime: 20_000 });
  clock.jump(-3 * YEAR);
  // Back by years: not believed, and what the time is, is still known.
  expect(watch.stamp()).toMatchObject({ received: NOW - 3 * YEAR, clock: "unsynced" });
  expect(watch.now()).toBe(NOW);
  expect(watch.status()).toEqual({ synced: true, off: -3 * YEAR });
});

test("the journal is told when the time becomes known and when it is set, with what was believed before", async () => {
  const clock = new ManualClock(1000, 20_000);
  const watch = await watching(clock);
  watch.stamp();
  clock.set(NOW);
  watch.look();
  const { events } = journal(watch);
  clock.jump(3_600_000);
  watch.look();
  await watch.stop();
  expect(told(events)).toEqual([
    ["synced", NOW - 20_000],
    ["stepped", NOW + 3_580_000, NOW - 20_000],
  ]);
});

test("a boot whose time was known before anything was stamped is not worth an event", async () => {
  const watch = await watching(new ManualClock(NOW, 20_000));
  const { events } = journal(watch);
  watch.look();
  await watch.stop();
  expect(events).toEqual([]);
  // Nor is the next process of the same boot.
  const again = await watching(new ManualClock(NOW + 1000, 21_000));
  const { events: later } = journal(again);
  again.look();
  await again.stop();
  expect(later).toEqual([]);
});

test("what was stamped before the time was known is told of by the next process, if the clock was set meanwhile", async () => {
  const watch = await watching(new ManualClock(1000, 20_000));
  watch.stamp();
  await watch.stop();
  const again = await watching(new ManualClock(NOW, 60_000));
  const { events } = journal(again);
  await again.stop();
  expect(told(events)).toEqual([["synced", NOW - 60_000]]);
  expect(again.offsetOf("boot-1")).toBe(NOW - 60_000);
});

test("a change that the journal does not take is told again, and not taken for told", async () => {
  const clock = new ManualClock(1000, 20_000);
  const watch = await watching(clock);
  const { events, taken } = journal(watch);
  const refused = new Promise<void>((resolve) => {
    taken.resolve = resolve;
  });
  taken.refuse = true;
  clock.set(NOW);
  watch.look();
  await refused;
  await watch.stop();
  expect(events).toEqual([]);
  const again = await watching(new ManualClock(NOW, 20_000));
  const { events: later } = journal(again);
  await again.stop();
  expect(told(later)).toEqual([["synced", NOW - 20_000]]);
});

test("the offset of a boot that ended is known to the next one", async () => {
  const watch = await watching(new ManualClock(NOW, 20_000));
  await watch.stop();
  const next = await watching(new ManualClock(1000, 500, "boot-2"));
  expect(next.offsetOf("boot-1")).toBe(NOW - 20_000);
  expect(next.offsetOf("boot-2")).toBeUndefined();
});

test("the newest time is on disk at the stop, and now and then before", async () => {
  const clock = new ManualClock(NOW, 20_000);
  const watch = await watching(clock);
  const floor = () => JSON.parse(readFileSync(join(directory, "clock.json"), "utf8")).floor;
  expect(floor()).toBe(0);
  clock.pass(660_000);
  watch.look();
  clock.pass(60_000);
  watch.look();
  await watch.stop();
  expect(floor()).toBe(NOW + 720_000);
});

test("forwarding is held while the time is awaited, and let go with the look that knows it", async () => {
  const clock = new ManualClock(1000, 20_000);
  const watch = await watching(clock);
  const signal = AbortSignal.timeout(10_000);
  expect(watch.holding()).toBe(true);
  const released = watch.released(signal);
  clock.set(NOW);
  watch.look();
  await released;
  const abort = new AbortController();
  clock.jump(2 * YEAR);
  watch.look();
  const waiting = watch.released(abort.signal);
  abort.abort();
  await expect(waiting).rejects.toThrow();
});

test.each([
  "",
  "{",
  '{"format":2}',
  '{"format":1,"boot":5}',
  '{"format":1,"boot":"b","trail":[null]}',
])("a file that holds %j is as good as none", async (content) => {
  writeFileSync(join(directory, "clock.json"), content);
  const watch = await watching(new ManualClock(NOW, 20_000));
  expect(watch.stamp().clock).toBe("synced");
});

test("the time service's mark: none, waiting, and when it was renewed", async () => {
  const file = join(directory, "timesync", "synchronized");
  expect(timeServiceMark("")).toEqual({ kind: "none" });
  expect(timeServiceMark(file)).toEqual({ kind: "none" });
  expect(timeServiceMark(join(directory, "synchronized"))).toEqual({ kind: "waiting" });
  writeFileSync(join(directory, "synchronized"), "");
  expect(timeServiceMark(join(directory, "synchronized"))).toMatchObject({ kind: "synced" });
});

test("a machine that slept did not set its clock", async () => {
  let counted = 20_000;
  let whole = 20_005;
  let wall = NOW;
  const boot = bootClock(
    () => counted,
    () => whole,
  );
  const clock = { now: () => wall, ...boot, boot: "boot-1" };
  const file = join(directory, "clock.json");
  const mark = () => ({ kind: "none" }) as const;
  const watch = new ClockWatch({ clock, mark, known: knownFile(file), waitMs: 300_000, logger });
  await watch.start();
  running.push(watch);
  const { events } = journal(watch);
  // Eight hours with the lid shut: the exact clock stood still.
  wall += 28_800_000;
  whole += 28_800_000;
  expect(watch.stamp()).toMatchObject({ received: wall, clock: "synced", uptime: 28_820_005 });
  counted += 1000;
  expect(watch.uptime()).toBe(28_821_005);
  await watch.stop();
  expect(events).toEqual([]);
  // A container that was started after its machine: its shorter uptime says nothing.
  expect(
    bootClock(
      () => 5000,
      () => 10,
    ).uptime(),
  ).toBe(5000);
});

test("the machine's own boot clock counts on, and is that of /proc/uptime where there is one", () => {
  const clock = systemClock();
  const first = clock.uptime();
  clock.refresh?.();
  const second = clock.uptime();
  expect(second).toBeGreaterThanOrEqual(first);
  if (process.platform === "linux") {
    const seconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(Math.abs(clock.uptime() - seconds * 1000)).toBeLessThan(5000);
  }
});
