/**
 * The log away: Kafka is killed while devices publish. They are acknowledged all the same, at a rate that stays near what
 * it was (the claim of 0.9 is measured by bench/log-away.ts; here it must not collapse), and when Kafka is back the
 * backlog drains in order to zero.
 */
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterAll, describe, expect, test } from "vitest";
import { Fleet } from "../simulator/fleet.ts";
import { KafkaBroker } from "./kafka/kafka-broker.ts";
import { kafkaCanRun } from "./kafka/shared-kafka.ts";
import { Program } from "./program.ts";
import { recordsOf, verifyRun } from "./verify.ts";

const possible = await kafkaCanRun("Kafka killed under a gateway");
const directory = mkdtempSync(join(tmpdir(), "tidegate-away-"));
const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

interface Ready {
  readonly buffered_events: number;
  readonly log: string;
}

describe.skipIf(!possible)("Kafka away", () => {
  test("devices are acknowledged, the backlog drains in order to zero", {
    timeout: 180_000,
  }, async () => {
    const kafka = new KafkaBroker();
    await kafka.start();
    cleanups.push(() => kafka.stop());
    const where = ["--brokers", kafka.address];
    const gateway = new Program([
      ...["gateway", ...where, "--data-dir", join(directory, "gateway")],
      ...["--mqtt-port", "0", "--http-port", "0"],
    ]);
    const cloud = new Program(["cloud", ...where, "--http-port", "0"]);
    cleanups.push(
      () => gateway.kill(),
      () => cloud.kill(),
    );
    await Promise.all([gateway.start(), cloud.start()]);
    const ready = async () => (await (await fetch(gateway.address("Health"))).json()) as Ready;
    await expect.poll(async () => (await ready()).log, { timeout: 30_000 }).toBe("idle");

    const ledger = join(directory, "sent.ndjson");
    const fleet = new Fleet({
      host: "127.0.0.1",
      port: gateway.mqttPort,
      devices: 20,
      rate: 20,
      seed: 5,
      ledger,
      reconnectEveryMs: 0,
    });
    await fleet.start();
    cleanups.push(() => fleet.stop());
    const acknowledged = (more: number) => {
      const goal = fleet.progress().acknowledged + more;
      return expect
        .poll(() => fleet.progress().acknowledged, { timeout: 30_000 })
        .toBeGreaterThanOrEqual(goal);
    };
    await acknowledged(500);

    await kafka.kill();
    const before = fleet.progress();
    await acknowledged(2000);
    const { buffered_events: backlog } = await ready();
    expect(backlog).toBeGreaterThan(1000);
    expect(fleet.progress().reconnects).toBe(before.reconnects);

    await kafka.start();
    await acknowledged(200);
    const summary = await fleet.stop();
    expect(summary).toMatchObject({ unacknowledged: 0, unsent: 0, dropped: 0 });
    await expect
      .poll(async () => (await ready()).buffered_events, { timeout: 60_000 })
      .toBeLessThanOrEqual(1);
    await verifyRun(where, ledger);
    const sequences = (await recordsOf("events", where))
      .filter((record) => record.type !== "tidegate.tick")
      .map((record) => Number(record.id?.split("-")[1]));
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });
});

/** Ports that nobody listens on. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

test("a start while Kafka is away keeps no device waiting for it", {
  timeout: 60_000,
}, async () => {
  const [port, nobody] = await freePorts(2);
  const program = new Program([
    ...["start", "--brokers", `127.0.0.1:${nobody}`, "--data-dir", join(directory, "start")],
    ...["--mqtt-port", `${port}`, "--http-port", "0"],
  ]).launch();
  cleanups.push(() => program.kill());
  const device = mqtt.connect(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 50 });
  cleanups.push(() => device.endAsync(true));
  // Refused until the port is open.
  device.on("error", () => {});
  await device.publishAsync("sensors/d", "1", { qos: 1 });
  // The dashboard's address is told only once the question to Kafka was given up.
  expect(program.stdout).toBe("");
});
