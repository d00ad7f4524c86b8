import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import type { FleetOptions } from "./fleet-options.ts";
import type { FleetProgress } from "./fleet-progress.ts";
import { makeDevices, sample } from "./kinds.ts";
import { type ArrivedReading, checkLedger, readLedger } from "./oracle-ledger.ts";
import { type Taken, TestBroker } from "./test-support/test-broker.ts";

describe("fleet", () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function broker(): Promise<TestBroker> {
    const made = await new TestBroker().start();
    cleanups.push(() => made.stop());
    return made;
  }

  function ledgerFile(): string {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-fleet-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    return join(folder, "ledger.ndjson");
  }

  async function fleet(port: number, options: Partial<FleetOptions>): Promise<Fleet> {
    const made = new Fleet({
      host: "127.0.0.1",
      port,
      devices: 5,
      rate: 200,
      reconnectEveryMs: 0,
      drainMs: 5000,
      ...options,
    });
    cleanups.push(() => made.stop());
    await made.start();
    return made;
  }

  /** What the broker took, as if every message became an event. */
  function arrived(taken: readonly Taken[]): ArrivedReading[] {
    return taken.map(({ topic, payload: { time, ...metrics } }, index) => ({
      id: `epoch-${index + 1}`,
      gateway: "g",
      device: topic.replace("sensors/", ""),
      time: Number(time),
      metrics: metrics as ArrivedReading["metrics"],
    }));
  }

  test("each device sends its count in the order of its time, all acknowledged and in the ledger", async () => {
    const { port, taken } = await broker();
    const ledger = ledgerFile();
    const summary = await (await fleet(port, { count: 20, ledger })).finished;
    expect(summary).toMatchObject({ devices: 5, sent: 100, acknowledged: 100, unacknowledged: 0 });
    expect(summary.latencyP99Ms).toBeGreaterThan(0);
    for (const { name } of makeDevices(5, 1)) {
      const times = taken
        .filter(({ topic }) => topic === `sensors/${name}`)
        .map(({ payload }) => Number(payload.time));
      expect(times).toHaveLength(20);
      expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    }
    expect(checkLedger(readLedger(ledger), arrived(taken))).toMatchObject({
      ok: true,
      sent: 100,
      acknowledged: 100,
      arrived: 100,
    });
    expect(readLedger(ledger).complete).toBe(true);
    const [header] = readFileSync(ledger, "utf8").split("\n");
    expect(JSON.parse(header ?? "")).toMatchObject({ kind: "fleet", seed: 1, version: 2 });
  });

  test("values are those of the seed at that moment", async () => {
    const { port, taken } = await broker();
    await (await fleet(port, { count: 3, seed: 42 })).finished;
    const devices = new Map(makeDevices(5, 42).map((device) => [device.name, device]));
    for (const { topic, payload } of taken) {
      const { time, ...metrics } = payload;
      const device = devices.get(topic.replace("sensors/", ""));
      expect(device && sample(device, Number(time))).toEqual(metrics);
    }
    expect(taken).toHaveLength(15);
  });

  test("what was not acknowledged is sent again with DUP, before anything new, and counted once", async () => {
    const server = await broker();
    const refused = new Set<string>();
    server.refuse = ({ topic, messageId, payload }) => {
      // Every seventh second of a message is refused once.
      const name = `${topic} ${payload.time}`;
      if (refused.has(name) || messageId === undefined || messageId % 7 !== 0) return false;
      refused.add(name);
      return true;
    };
    const ledger = ledgerFile();
    const running = await fleet(server.port, { count: 15, devices: 4, window: 3, ledger });
    const summary = await running.finished;
    expect(summary).toMatchObject({ sent: 60, acknowledged: 60 });
    expect(refused.size).toBeGreaterThan(0);
    expect(summary.resent).toBeGreaterThanOrEqual(refused.size);
    expect(summary.reconnects).toBeGreaterThanOrEqual(refused.size);
    const again = server.taken.filter(({ dup }) => dup);
    for (const name of refused) {
      expect(again.some(({ topic, payload }) => `${topic} ${payload.time}` === name)).toBe(true);
    }
    // The same identifier as before [MQTT-4.4.0-1].
    for (const { topic, payload, messageId } of again) {
      const first = server.taken.find(
        (one) => one.topic === topic && one.payload.time === payload.time,
      );
      expect(messageId).toBe(first?.messageId);
    }
    expect(checkLedger(readLedger(ledger), arrived(server.taken))).toMatchObject({ ok: true });
  });

  test("a device keeps its readings while the broker is away, and drops the oldest beyond its memory", async () => {
    const server = await broker();
    const ledger = ledgerFile();
    const progress = Promise.withResolvers<FleetProgress>();
    const running = await fleet(server.port, {
      devices: 2,
      window: 4,
      maxQueued: 10,
      ledger,
      progressEveryMs: 10,
      onProgress: (now) => {
        // The first fault is the connection that broke; later ones are refused.
        const refused = /ECONNREFUSED/.test(now.fault ?? "");
        if (now.dropped > 0 && now.queued === 20 && refused) progress.resolve(now);
      },
    });
    await server.until((taken) => taken.length >= 20);
    await server.stop();
    expect(await progress.promise).toMatchObject({ connected: 0, queued: 20 });
    const before = server.taken.length;
    await server.start();
    await server.until((taken) => taken.length >= before + 30);
    const summary = await running.stop();
    expect(summary).toMatchObject({ unacknowledged: 0, unsent: 0, sent: summary.acknowledged });
    expect(summary.dropped).toBeGreaterThan(0);
    const read = readLedger(ledger);
    expect(read.dropped).toBe(summary.dropped);
    expect(checkLedger(read, arrived(server.taken))).toMatchObject({
      ok: true,
      acknowledged: summary.acknowledged,
    });
  });

  test("connections that are cut come back, and nothing is lost", async () => {
    const server = await broker();
    const ledger = ledgerFile();
    const running = await fleet(server.port, { count: 100, ledger, reconnectEveryMs: 250 });
    await server.until((taken) => taken.length >= 100);
    running.cutConnections();
    const summary = await running.finished;
    expect(summary.reconnects).toBeGreaterThanOrEqual(5);
    expect(summary).toMatchObject({ sent: 500, acknowledged: 500 });
    expect(checkLedger(readLedger(ledger), arrived(server.taken))).toMatchObject({ ok: true });
  });

  test("history goes first, with its own times, then the present", async () => {
    const { port, taken } = await broker();
    const before = Date.now();
    const summary = await (
      await fleet(port, { devices: 2, count: 5, backfillMs: 3_600_000, backfillStepMs: 30_000 })
    ).finished;
    expect(summary.sent).toBe(2 * (121 + 5));
    for (const name of ["room-1", "freezer-1"]) {
      const times = taken
        .filter(({ topic }) => topic === `sensors/${name}`)
        .map(({ payload }) => Number(payload.time));
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times[0]).toBeGreaterThanOrEqual(before - 3_600_000);
      expect(times[0]).toBeLessThan(before - 3_590_000);
      const steps = times.slice(1, 121).map((time, index) => time - (times[index] ?? 0));
      expect(new Set(steps)).toEqual(new Set([30_000]));
      expect(times[121]).toBeGreaterThanOrEqual(before);
    }
  });

  test("stop waits for acknowledgements only so long", async () => {
    const server = await broker();
    server.silent = true;
    const running = await fleet(server.port, { devices: 3, window: 2, drainMs: 50 });
    await server.until((taken) => taken.length === 6);
    const summary = await running.stop();
    expect(summary).toMatchObject({ sent: 6, acknowledged: 0, unacknowledged: 6 });
    expect(await running.stop()).toBe(summary);
  });

  test("where no broker ever was, a fleet with a deadline says so, also one that has sent its count by then", async () => {
    const server = await broker();
    await server.stop();
    const endless = await fleet(server.port, { connectMs: 300 });
    const short = await fleet(server.port, { connectMs: 300, count: 1, drainMs: 60_000 });
    cleanups.splice(-2);
    for (const one of [endless, short]) {
      await expect(one.finished).rejects.toMatchObject({
        code: "broker_unreachable",
        message: expect.stringMatching(
          /^no broker answers at 127\.0\.0\.1:\d+ \(connect ECONNREFUSED\): start one/,
        ),
      });
    }
  });

  test("a deadline is for the first connection only", async () => {
    const server = await broker();
    const past = Promise.withResolvers<void>();
    const running = await fleet(server.port, {
      connectMs: 200,
      drainMs: 100,
      progressEveryMs: 20,
      onProgress: ({ elapsedMs }) => {
        if (elapsedMs > 300) past.resolve();
      },
    });
    await expect.poll(() => running.progress().connected).toBe(5);
    await server.stop();
    await past.promise;
    const summary = await running.stop();
    expect(summary.sent).toBeGreaterThan(0);
  });

  test("where no broker ever was, stop does not wait for one, and the fault is told", async () => {
    const server = await broker();
    await server.stop();
    const refused = Promise.withResolvers<void>();
    const faults: (string | undefined)[] = [];
    const running = await fleet(server.port, {
      drainMs: 60_000,
      progressEveryMs: 10,
      onProgress: ({ fault, queued }) => {
        faults.push(fault);
        if (fault !== undefined && queued > 0) refused.resolve();
      },
    });
    await refused.promise;
    const summary = await running.stop();
    expect(summary).toMatchObject({ sent: 0 });
    expect(summary.unsent).toBeGreaterThan(0);
    expect(faults.at(-1)).toMatch(/ECONNREFUSED/);
  });

  test("a duration ends it", async () => {
    const { port } = await broker();
    const summary = await (await fleet(port, { devices: 2, rate: 100, durationMs: 100 })).finished;
    expect(summary).toMatchObject({ sent: 20, acknowledged: 20 });
  });

  test("persistent sessions keep their client ids", async () => {
    const server = await broker();
    await (await fleet(server.port, { devices: 2, count: 2, clean: false, seed: 9 })).finished;
    expect(new Set(server.taken.map(({ client }) => client))).toEqual(
      new Set(["sim-9-room-1", "sim-9-freezer-1"]),
    );
  });

  test("a fleet that was never started stops at once; faults of options are all told", async () => {
    const file = ledgerFile();
    const options = { host: "127.0.0.1", port: 1883, devices: 1, ledger: file };
    expect(await new Fleet(options).stop()).toMatchObject({ sent: 0 });
    expect(existsSync(file)).toBe(false);
    expect(() => new Fleet({ ...options, rate: 0, port: 70_000, devices: 0.5 })).toThrow(
      /devices is 0.5.*rate is 0; it must be 1\/86400 \(one a day\) to 1000.*port is 70000/,
    );
    const twins = [...makeDevices(1, 1), ...makeDevices(1, 2)];
    expect(() => new Fleet({ ...options, devices: twins })).toThrow(/same name/);
    const named = makeDevices(1, 1, "a/");
    expect(() => new Fleet({ ...options, devices: named })).toThrow(/no \+, # or \//);
  });

  test("a ledger that cannot be written is told at the start, or ends the run", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-fleet-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    const lost = new Fleet({
      host: "127.0.0.1",
      port: 1883,
      devices: 1,
      ledger: join(folder, "none", "ledger.ndjson"),
    });
    await expect(lost.start()).rejects.toMatchObject({ code: "ledger" });
    // A device on which every write fails as on a full disk.
    const server = await broker();
    const full = await fleet(server.port, { ledger: "/dev/full", progressEveryMs: 20 });
    await expect(full.finished).rejects.toMatchObject({
      code: "ledger",
      message: expect.stringMatching(/ENOSPC/),
    });
    await expect(full.stop()).rejects.toMatchObject({ code: "ledger" });
    cleanups.splice(cleanups.length - 1);
    await server.stop();
  });
});
