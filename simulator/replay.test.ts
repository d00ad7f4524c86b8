import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { csvReadings } from "./oracle-csv.ts";
import { type ArrivedReading, checkLedger, readLedger } from "./oracle-ledger.ts";
import { deviceOfFile, replayCsv } from "./replay.ts";
import type { ReplayOptions, ReplayProgress } from "./replay-options.ts";
import { type Taken, TestBroker } from "./test-support/test-broker.ts";

const OFFICE = join(import.meta.dirname, "../test/fixtures/recordings/office-occupancy.csv");
const SMALL =
  'timestamp,value\n"2026-01-01 00:00:00",1\n2026-01-01 00:00:00,1\n2026-01-01 00:00:30,2\n';

describe("replay", () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function broker(): Promise<TestBroker> {
    const made = await new TestBroker().start();
    cleanups.push(() => made.stop());
    return made;
  }

  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), "tidegate-replay-"));
    cleanups.push(() => rm(made, { recursive: true }));
    return made;
  }

  function csv(text: string): string {
    const file = join(folder(), "recording.csv");
    writeFileSync(file, text);
    return file;
  }

  const at = (port: number, file: string, more: Partial<ReplayOptions> = {}) =>
    replayCsv({ host: "127.0.0.1", port, file, ...more });

  function arrived(taken: readonly Taken[]): ArrivedReading[] {
    return taken.map(({ topic, payload: { time, ...metrics } }, index) => ({
      id: `epoch-${index + 1}`,
      gateway: "g",
      device: topic.replace("sensors/", ""),
      time: Date.parse(String(time)),
      metrics: metrics as ArrivedReading["metrics"],
    }));
  }

  test("a real recording goes out row by row, as the oracle reads it", async () => {
    const { port, taken } = await broker();
    const ledger = join(folder(), "ledger.ndjson");
    const progress: ReplayProgress[] = [];
    const summary = await at(port, OFFICE, {
      ledger,
      onProgress: (now) => progress.push(now),
    });
    expect(summary).toMatchObject({
      device: "office-occupancy",
      metrics: ["Temperature", "Humidity", "Light", "CO2", "HumidityRatio", "Occupancy"],
      rows: 8143,
      sent: 8143,
      acknowledged: 8143,
      skipped: 0,
      firstTime: Date.UTC(2015, 1, 4, 17, 51),
      lastTime: Date.UTC(2015, 1, 10, 9, 33),
      aborted: false,
    });
    const expected = csvReadings(readFileSync(OFFICE, "utf8"), "g", "office-occupancy");
    expect(arrived(taken).map(({ id: _, ...reading }) => reading)).toEqual(expected);
    expect(checkLedger(readLedger(ledger), arrived(taken))).toMatchObject({ ok: true, sent: 8143 });
    expect(progress.at(-1)).toMatchObject({ acknowledged: 8143, total: 8143, connected: true });
  });

  test("two rows of the same time and value are two readings", async () => {
    const { port, taken } = await broker();
    const ledger = join(folder(), "ledger.ndjson");
    const summary = await at(port, csv(SMALL), { device: "lab", ledger });
    expect(summary).toMatchObject({ sent: 3, acknowledged: 3 });
    expect(taken.map(({ topic, payload }) => [topic, payload])).toEqual([
      ["sensors/lab", { time: "2026-01-01T00:00:00.000Z", value: 1 }],
      ["sensors/lab", { time: "2026-01-01T00:00:00.000Z", value: 1 }],
      ["sensors/lab", { time: "2026-01-01T00:00:30.000Z", value: 2 }],
    ]);
    expect(checkLedger(readLedger(ledger), arrived(taken))).toMatchObject({ ok: true });
    expect(checkLedger(readLedger(ledger), arrived(taken.slice(1)))).toMatchObject({ ok: false });
  });

  test("no more than the window is unacknowledged", async () => {
    const server = await broker();
    server.silent = true;
    const controller = new AbortController();
    const run = at(server.port, OFFICE, { window: 7, signal: controller.signal, drainMs: 20 });
    await server.until((taken) => taken.length === 7);
    controller.abort();
    const summary = await run;
    expect(summary).toMatchObject({ sent: 7, acknowledged: 0, aborted: true });
  });

  test("a pace: thirty recorded seconds at 300 times the speed take a tenth of one", async () => {
    const { port } = await broker();
    const summary = await at(port, csv(SMALL), { speed: 300 });
    expect(summary.acknowledged).toBe(3);
    expect(summary.elapsedMs).toBeGreaterThanOrEqual(99);
  });

  test("the signal ends a wait for the next row at once", async () => {
    const server = await broker();
    const controller = new AbortController();
    const run = at(server.port, csv(SMALL), { speed: 0.001, signal: controller.signal });
    await server.until((taken) => taken.length === 2);
    controller.abort();
    expect(await run).toMatchObject({ sent: 2, acknowledged: 2, aborted: true });
  });

  test("a broker that goes away and comes back loses nothing", async () => {
    const server = await broker();
    const ledger = join(folder(), "ledger.ndjson");
    const run = at(server.port, OFFICE, { ledger });
    await server.until((taken) => taken.length >= 500);
    await server.stop();
    await server.start();
    expect(await run).toMatchObject({ acknowledged: 8143 });
    expect(checkLedger(readLedger(ledger), arrived(server.taken))).toMatchObject({ ok: true });
  });

  test("a file with a bad row is refused before anything is sent, with file and line", async () => {
    const { port, taken } = await broker();
    const file = csv(`${SMALL}2026-01-01 00:01:00,broken\n2026-01-01 00:02:00,3\n`);
    await expect(at(port, file)).rejects.toMatchObject({
      code: "recording",
      message: expect.stringMatching(/recording\.csv:5: value is "broken", not a number/),
    });
    expect(taken).toEqual([]);
    const summary = await at(port, file, { skipBad: true });
    expect(summary).toMatchObject({ rows: 5, sent: 4, acknowledged: 4, skipped: 1 });
    expect(summary.skippedBecause).toEqual([expect.stringMatching(/:5: value is "broken"/)]);
  });

  test.each([
    ["an empty file", "", /the file is empty/],
    ["no time column", "a,b\n1,2\n", /:1: no column is called date, time/],
    ["a quote that never ends", 'time,a\n"1500000000,2\n', /:2: a quote .* never closed/],
    ["bytes that are no text", Buffer.from([0x74, 0xff, 0x0a]), /not UTF-8/],
  ])("%s is told, even where bad rows may be skipped", async (_, text, message) => {
    const file = join(folder(), "bad.csv");
    writeFileSync(file, text);
    await expect(at(1, file, { skipBad: true })).rejects.toMatchObject({
      code: "recording",
      message: expect.stringMatching(message),
    });
  });

  test("a file that is not there, a folder, and wrong options are told", async () => {
    const missing = join(folder(), "none.csv");
    await expect(at(1, missing)).rejects.toThrow(/none\.csv: no such file/);
    await expect(at(1, folder())).rejects.toThrow(/not a file/);
    await expect(at(1, missing, { device: "a/b", window: 0 })).rejects.toThrow(
      /window is 0.*device "a\/b"/,
    );
  });

  test("without a broker it says so, and what to do", async () => {
    const server = await broker();
    await server.stop();
    await expect(at(server.port, csv(SMALL), { connectMs: 50 })).rejects.toMatchObject({
      code: "broker_unreachable",
      message: expect.stringMatching(
        /no broker answers at 127\.0\.0\.1:\d+ \(connect ECONNREFUSED\): start one/,
      ),
    });
  });

  test("a file's name becomes the device's", () => {
    expect(deviceOfFile("/data/Cold room #2.csv")).toBe("Cold-room-2");
  });
});
