/**
 * The way of a reading under a clock that does what it likes: the gateway's clock watch, buffer and forwarder, the log,
 * the processors; only the machine's clocks and the log's transport are played by the test. Whatever the wall clock
 * shows, nothing is lost, doubled or reordered, each reading counts once or is refused with a record, and where the
 * time came to be known the rollups are those of the plain oracle.
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import pino from "pino";
import { afterEach, expect, test } from "vitest";
import { alertTopology } from "../cloud/alerts.core.ts";
import { deviceTopology } from "../cloud/devices.core.ts";
import { rollupTopology } from "../cloud/rollups.core.ts";
import { TopologyTestDriver } from "../cloud/test-driver.ts";
import { decodeEvent, encodeEvent } from "../events/codec.ts";
import { type GatewayId, makeEpoch, parseEventId } from "../events/ids.ts";
import type { Alert, Device, RejectedRecord, Rollup } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { MemoryBuffer, memoryDisk } from "../gateway/buffer/memory.ts";
import type { Mark } from "../gateway/clock.core.ts";
import { knownFile } from "../gateway/clock-file.ts";
import { ClockWatch } from "../gateway/clock-watch.ts";
import { Forwarder, type ForwarderClock } from "../gateway/forwarder/forwarder.ts";
import { ManualClock } from "../gateway/test-support/manual-clock.ts";
import { parseRules } from "../rules/file.ts";
import { compareRollups, expectedRollups } from "../simulator/oracle.ts";
import type { EventLog, FrozenBatch, SinkSource, StoredRecord } from "../stream/port.ts";

const NAMES = topicNames("test");
const NOON = Date.UTC(2026, 10, 21, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const YEAR = 365 * 24 * HOUR;
const WAIT = 5 * MINUTE;
const GATEWAY = "gw-1" as GatewayId;
const logger = pino({ level: "silent" });

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A gateway with its machine, and what came of it in the log. */
class Site {
  readonly log: StoredRecord[] = [];
  /** Readings taken: value → when that really was. */
  readonly taken: number[] = [];
  /** The true time. */
  truth = NOON;
  mark: Mark = { kind: "none" };
  clock = new ManualClock(NOON, 20_000);
  readonly #disk = memoryDisk();
  readonly #directory = mkdtempSync(join(tmpdir(), "tidegate-path-"));
  #boots = 1;
  #marks = 0;
  #watch!: ClockWatch;
  #buffer!: MemoryBuffer;
  #source!: SinkSource;
  #onHeld = (): void => {};

  async start(wall = NOON): Promise<this> {
    cleanups.push(() => rm(this.#directory, { recursive: true, force: true }));
    this.clock.set(wall);
    await this.#begin();
    return this;
  }

  async #begin(): Promise<void> {
    const watch = new ClockWatch({
      clock: this.clock,
      mark: () => this.mark,
      known: knownFile(join(this.#directory, "clock.json")),
      waitMs: WAIT,
      logger,
    });
    await watch.start();
    const buffer = new MemoryBuffer(
      { firstEpoch: makeEpoch(new Uint8Array(10)), capacityBytes: 1e8, stamp: () => watch.stamp() },
      this.#disk,
    );
    await buffer.start();
    const log = {
      sink: (source: SinkSource) => {
        this.#source = source;
        return { start: async () => {}, stop: async () => {}, status: () => ({}) };
      },
    } as unknown as EventLog;
    const journal = { gateway: GATEWAY, topic: NAMES.events };
    const limits = { batchEvents: 7, batchBytes: 1e6 };
    const clock: ForwarderClock = {
      boot: watch.boot,
      holding: () => watch.holding(),
      offsetOf: (boot) => watch.offsetOf(boot),
      released: (signal) => {
        this.#onHeld();
        return watch.released(signal);
      },
    };
    await new Forwarder({ buffer, log, journal, clock, ...limits, logger }).start();
    watch.follow((event) => buffer.append([event], { reserved: true }));
    this.#watch = watch;
    this.#buffer = buffer;
    cleanups.push(() => watch.stop());
  }

  /** @param inFlight what was sent and not acknowledged when the process ended comes again */
  async restart(inFlight = false): Promise<void> {
    const batch = inFlight ? await this.#next() : undefined;
    if (batch) this.#arrive(batch);
    await this.#buffer.stop();
    await this.#watch.stop();
    await this.#begin();
  }

  async reboot(wall: number, offMs = MINUTE): Promise<void> {
    await this.#buffer.stop();
    await this.#watch.stop();
    this.truth += offMs;
    this.#boots += 1;
    this.clock = new ManualClock(wall, 10_000, `boot-${this.#boots}`);
    await this.#begin();
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10_000) {
      const step = Math.min(left, 10_000);
      this.truth += step;
      this.clock.pass(step);
      this.#watch.look();
    }
  }

  jump(ms: number): void {
    this.clock.jump(ms);
    this.#watch.look();
  }

  /** The time service sets the clock and says so. */
  ntp(): void {
    this.#marks += 1;
    this.mark = { kind: "synced", at: this.#marks };
    this.clock.set(this.truth);
    this.#watch.look();
  }

  async read(count = 3): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.pass(1000);
      const value = this.taken.push(this.truth) - 1;
      const stamp = this.#watch.stamp();
      const reading = { ...stamp, device: "d", metrics: { t: value } };
      const event = encodeEvent("tidegate.reading", reading);
      await this.#buffer.append([{ type: "tidegate.reading", time: stamp.received, value: event }]);
    }
  }

  async beat(): Promise<void> {
    const stamp = this.#watch.stamp();
    const value = encodeEvent("tidegate.heartbeat", { ...stamp, interval: 10_000 });
    await this.#buffer.append([{ type: "tidegate.heartbeat", time: stamp.received, value }]);
  }

  /** Sends all that need not wait. */
  async forward(): Promise<void> {
    for (;;) {
      const batch = await this.#next();
      if (!batch) return;
      this.#arrive(batch);
      await this.#source.acknowledged(batch, { ms: 1, tries: 1 });
    }
  }

  get holding(): boolean {
    return this.#watch.holding();
  }

  get #waits(): number {
    const { accepted, released } = this.#buffer.stats().positions;
    return accepted - released;
  }

  /** @returns undefined where nothing is there, or what is there waits for the time */
  async #next(): Promise<FrozenBatch | undefined> {
    if (this.#waits === 0) return undefined;
    const held = new AbortController();
    this.#onHeld = () => held.abort();
    return await this.#source.next(held.signal).catch((error) => {
      if (held.signal.aborted) return undefined;
      throw error;
    });
  }

  #arrive({ records }: FrozenBatch): void {
    for (const record of records) {
      const offset = this.log.length;
      // The log's clock is the machine's.
      const timestamp = this.clock.now();
      this.log.push({ topic: NAMES.events, partition: 0, offset, timestamp, ...record });
    }
  }

  /** Every sequence is there, in order; what came twice has the id of what came before. */
  expectWhole(): void {
    let last = 0;
    for (const record of this.log) {
      const sequence = parseEventId(record.headers.ce_id ?? "")?.sequence ?? 0;
      expect(sequence).toBeLessThanOrEqual(last + 1);
      last = Math.max(last, sequence);
    }
    expect(last).toBe(this.#buffer.stats().accepted);
    const values = this.readings().map(({ metrics }) => metrics.t);
    expect([...new Set(values)]).toEqual([...this.taken.keys()]);
  }

  readings() {
    return this.log
      .filter((record) => record.headers.ce_type === "tidegate.reading")
      .map((record) => decodeEvent("tidegate.reading", record.value ?? new Uint8Array()));
  }

  get clocks(): string {
    return [...new Set(this.readings().map(({ clock }) => clock))].join(" ");
  }

  rollups() {
    const { events, rollups, rejected } = NAMES;
    const keepHours = { "1m": 24 * 7, "1h": 24 * 400 };
    const options = { events, rollups, rejected, changelog: "changelog", keepHours };
    const run = new TopologyTestDriver(rollupTopology(options), { commitInputs: 5 });
    run.records(this.log);
    const told = run.outputs.filter((one) => one.topic === rollups && one.event !== null);
    return {
      all: [...run.latest<Rollup>(rollups).values()],
      /** With those that went because they were older than what is kept. */
      ever: [...new Map(told.map((one) => [one.key, one.event as Rollup])).values()],
      refused: run.events<RejectedRecord>(rejected),
      held: [...run.state.keys()].filter((key) => key.startsWith(`held/${GATEWAY}/`)).length,
    };
  }

  /** Rollups as if the clock had been right all along. */
  expectTrueRollups(): void {
    const { all, refused } = this.rollups();
    const truth = this.taken.map((time, t) => ({
      gateway: GATEWAY,
      device: "d",
      time,
      metrics: { t },
    }));
    expect(refused).toEqual([]);
    expect(compareRollups(expectedRollups(truth), all)).toEqual([]);
  }
}

test("a clock that starts at 1970 and is set within the wait: everything goes with its time", async () => {
  const site = await new Site().start(20_000);
  await site.read();
  await site.forward();
  expect(site.log).toEqual([]);
  site.pass(MINUTE);
  site.ntp();
  await site.read();
  await site.forward();
  site.expectWhole();
  expect(site.clocks).toBe("restamped synced");
  site.expectTrueRollups();
});

test("a clock that starts at 1970 and is set after the wait: what was sent is placed by the clock event, once", async () => {
  const site = await new Site().start(20_000);
  await site.read();
  site.pass(WAIT);
  await site.read();
  await site.forward();
  expect(site.clocks).toBe("unsynced");
  await site.read();
  await site.restart(true);
  site.pass(HOUR);
  site.ntp();
  await site.read();
  await site.forward();
  site.expectWhole();
  expect(site.clocks).toBe("unsynced restamped synced");
  site.expectTrueRollups();
});

test("set while the gateway's process was away: the next one tells", async () => {
  const site = await new Site().start(20_000);
  site.pass(WAIT);
  await site.read();
  await site.forward();
  site.clock.set(site.truth);
  await site.restart();
  await site.read();
  await site.forward();
  expect(site.clocks).toBe("unsynced synced");
  site.expectWhole();
  site.expectTrueRollups();
});

test("years ahead for minutes, years back for a day: the time is what the boot clock counts", async () => {
  const site = await new Site().start();
  await site.read();
  site.jump(10 * YEAR);
  await site.read();
  expect(site.holding).toBe(true);
  await site.forward();
  expect(site.log).toEqual([]);
  site.jump(-10 * YEAR);
  await site.read();
  await site.forward();
  site.jump(-3 * YEAR);
  await site.read();
  await site.forward();
  site.pass(24 * HOUR);
  await site.read();
  site.jump(3 * YEAR);
  await site.read();
  await site.forward();
  site.expectWhole();
  expect(site.clocks).toBe("synced restamped");
  site.expectTrueRollups();
});

test("years ahead for good minutes too long: what was sent stands there, and everything after it counts as ever", async () => {
  const site = await new Site().start();
  await site.read();
  await site.forward();
  site.jump(10 * YEAR);
  site.pass(WAIT + MINUTE);
  await site.read();
  await site.forward();
  site.jump(-10 * YEAR);
  await site.read();
  await site.beat();
  await site.forward();
  site.expectWhole();
  const { all, refused } = site.rollups();
  expect(refused).toEqual([]);
  const hours = all.filter((one) => one.resolution === "1h").map((one) => [one.window, one.count]);
  const ahead = Math.floor((NOON + 10 * YEAR) / HOUR) * HOUR;
  expect(hours).toEqual([
    [NOON, 6],
    [ahead, 3],
  ]);
  const devices = new TopologyTestDriver(
    deviceTopology({ events: NAMES.events, devices: NAMES.devices, changelog: "c" }),
  );
  devices.records(site.log);
  expect(devices.latest<Device>(NAMES.devices).get("gw-1/d")).toMatchObject({
    last_seen: site.truth,
    readings: 9,
    metrics: { t: { value: 8 } },
  });
});

test("five hours ahead and set back over midnight: what waits is put right, nothing is late, alerts go on", async () => {
  const site = await new Site().start();
  site.truth = NOON - 14 * HOUR;
  // It is 22:00; the clock shows 03:00 of the next day.
  site.clock.set(site.truth + 5 * HOUR);
  await site.restart();
  await site.read();
  site.jump(-5 * HOUR);
  await site.read(5);
  await site.forward();
  site.expectWhole();
  expect(site.clocks).toBe("restamped synced");
  site.expectTrueRollups();
  const { events, alerts, alertState, rejected } = NAMES;
  const rules = parseRules("rules:\n  - name: high\n    when: t above 4\n", "rules.yaml");
  const run = new TopologyTestDriver(
    alertTopology({ events, alerts, alertState, rejected, changelog: "c", rules, version: "v" }),
  );
  run.records(site.log);
  expect(run.events<Alert>(alerts)).toMatchObject([{ state: "firing", value: 5 }]);
});

test("small steps of a time service are none of anybody's business", async () => {
  const site = await new Site().start();
  for (let i = 0; i < 10; i += 1) {
    await site.read(1);
    site.jump(i % 2 === 0 ? 900 : -900);
  }
  await site.forward();
  expect(site.clocks).toBe("synced");
  expect(site.log.some((record) => record.headers.ce_type === "tidegate.clock")).toBe(false);
  site.expectWhole();
});

test("a reboot to 1970 with a backlog: what the earlier boot knew stays, and the new one waits for its own time", async () => {
  const site = await new Site().start();
  await site.read();
  await site.reboot(10_000, 3 * HOUR);
  await site.read();
  await site.forward();
  // The earlier boot's are on their way already.
  expect(site.readings()).toHaveLength(3);
  site.ntp();
  await site.read();
  await site.forward();
  site.expectWhole();
  expect(site.clocks).toBe("synced restamped");
  site.expectTrueRollups();
});

test("a boot that never knew the time: its readings are refused with a record each, none is forgotten", async () => {
  const site = await new Site().start(20_000);
  await site.read();
  await site.reboot(10_000);
  site.ntp();
  await site.read();
  await site.forward();
  site.expectWhole();
  const { all, refused } = site.rollups();
  expect(refused.map(({ code }) => code)).toEqual(["no_time", "no_time", "no_time"]);
  const hours = all.filter((one) => one.resolution === "1h");
  expect(hours.reduce((sum, one) => sum + one.count, 0)).toBe(3);
});

test("whatever the clock does: nothing lost, doubled or reordered, each reading counted once or refused with a record", async () => {
  const jump = fc.oneof(
    fc.constantFrom(10 * YEAR, -10 * YEAR, -5 * HOUR, 5 * HOUR, 900, -900, -56 * YEAR),
    fc.integer({ min: -2 * YEAR, max: 2 * YEAR }),
  );
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant(["read"] as const) },
    { weight: 3, arbitrary: fc.constant(["forward"] as const) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("jump" as const), jump) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constant("pass" as const), fc.constantFrom(1000, WAIT, HOUR)),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant("restart" as const), fc.boolean()) },
    {
      weight: 1,
      arbitrary: fc.tuple(
        fc.constant("reboot" as const),
        fc.constantFrom(10_000, NOON - YEAR / 2, NOON),
      ),
    },
    { weight: 1, arbitrary: fc.constant(["ntp"] as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.constantFrom(20_000, NOON, NOON - YEAR / 2),
      async (steps, wall) => {
        const site = await new Site().start(wall);
        for (const [kind, by] of steps) {
          if (kind === "read") await site.read();
          else if (kind === "forward") await site.forward();
          else if (kind === "jump") site.jump(by);
          else if (kind === "pass") site.pass(by);
          else if (kind === "restart") await site.restart(by);
          else if (kind === "reboot") await site.reboot(by);
          else site.ntp();
        }
        site.pass(2 * WAIT);
        site.ntp();
        await site.beat();
        await site.forward();
        site.expectWhole();
        const { ever, refused, held } = site.rollups();
        expect(held).toBe(0);
        for (const resolution of ["1m", "1h"]) {
          const windows = ever.filter((one) => one.resolution === resolution);
          const counted = windows.reduce((sum, one) => sum + one.count, 0);
          // One that is too late for the minutes may still be in its hour.
          expect(counted).toBeLessThanOrEqual(site.taken.length);
          expect(counted + refused.length).toBeGreaterThanOrEqual(site.taken.length);
        }
        // Under a clock that is right everything counts, whatever was before.
        const before = site.taken.length;
        await site.read();
        await site.forward();
        const after = site.rollups();
        expect(after.refused).toHaveLength(refused.length);
        const count = (list: readonly Rollup[]) => list.reduce((sum, one) => sum + one.count, 0);
        expect(count(after.ever) - count(ever)).toBe(2 * (site.taken.length - before));
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
