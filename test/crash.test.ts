/**
 * `kill -9` at random, again and again, while a fleet publishes: every acknowledged reading is in the log and in the
 * ledger, the rollups are those of the distinct events, and each reading stands once in the readings topic. Once with everything in one process on the embedded log,
 * once with gateway and processors apart on a real Kafka, where each of them is killed.
 *
 * A failing run prints its seed; TEST_SEED replays its moments (the machine's own timing stays its own).
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Fleet } from "../simulator/fleet.ts";
import { sfc32 } from "../simulator/random.ts";
import { sharedKafka } from "./kafka/shared-kafka.ts";
import { Program } from "./program.ts";
import { auditOf, verifyReadings, verifyRun } from "./verify.ts";

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const DEVICES = 100;
const RATE = 5;
const KILLS = 5;
/** Off by default: the readings topic. */
const READINGS = { TIDEGATE_READINGS_ENABLED: "true" };

const brokers = await sharedKafka("kill -9 with a real Kafka");

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-crash-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

/** A port that stays the same over restarts, so that devices find the gateway again. */
async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String(typeof address === "object" ? address?.port : 0);
}

async function startFleet(mqttPort: string): Promise<{ fleet: Fleet; ledger: string }> {
  const ledger = join(directory, "sent.ndjson");
  const fleet = new Fleet({
    host: "127.0.0.1",
    port: Number(mqttPort),
    devices: DEVICES,
    rate: RATE,
    seed,
    ledger,
    reconnectEveryMs: 5000,
    drainMs: 30_000,
  });
  await fleet.start();
  cleanups.push(() => fleet.stop());
  return { fleet, ledger };
}

/** Waits a random while, then until the fleet has had something acknowledged since: a kill must have something to kill. */
async function whilePublishing(fleet: Fleet, random: () => number): Promise<void> {
  const before = fleet.progress().acknowledged;
  await pause(200 + random() * 800);
  await expect
    .poll(() => fleet.progress().acknowledged, { timeout: 20_000 })
    .toBeGreaterThan(before);
}

describe(`kill -9 (TEST_SEED=${seed})`, () => {
  test("everything in one process, on the embedded log", { timeout: 180_000 }, async () => {
    const random = sfc32(seed);
    const mqttPort = await freePort();
    const where = ["--data-dir", join(directory, "data")];
    const program = new Program(["start", ...where, "--mqtt-port", mqttPort, "--http-port", "0"], {
      env: READINGS,
    });
    cleanups.push(() => program.kill());
    await program.start();
    const { fleet, ledger } = await startFleet(mqttPort);
    for (let i = 0; i < KILLS; i += 1) {
      await whilePublishing(fleet, random);
      await program.kill();
      await program.start();
    }
    const summary = await fleet.stop();
    expect(summary.unacknowledged).toBe(0);
    expect(summary.acknowledged).toBeGreaterThan(DEVICES * KILLS);
    await verifyRun(where, ledger);
    await verifyReadings(where);
  });

  test.skipIf(!brokers)(
    "gateway and processors apart, on Kafka",
    { timeout: 240_000 },
    async () => {
      const random = sfc32(seed + 1);
      const mqttPort = await freePort();
      const namespace = `crash-${process.pid}-${seed}`;
      const where = ["--brokers", (brokers ?? []).join(","), "--namespace", namespace];
      const gateway = new Program([
        ...["gateway", ...where, "--data-dir", join(directory, "gateway")],
        ...["--mqtt-port", mqttPort, "--http-port", "0"],
      ]);
      const cloud = new Program(["cloud", ...where, "--http-port", "0"], { env: READINGS });
      cleanups.push(
        () => gateway.kill(),
        () => cloud.kill(),
      );
      await Promise.all([gateway.start(), cloud.start()]);
      const { fleet, ledger } = await startFleet(mqttPort);
      for (let i = 0; i < KILLS; i += 1) {
        await whilePublishing(fleet, random);
        const victim = i % 3 === 2 ? cloud : gateway;
        await victim.kill();
        await victim.start();
      }
      const summary = await fleet.stop();
      expect(summary.unacknowledged).toBe(0);
      await expect
        .poll(async () => (await auditOf(where)).report.verdict, { timeout: 60_000 })
        .toBe("complete");
      await verifyRun(where, ledger);
      await verifyReadings(where);
    },
  );
});
