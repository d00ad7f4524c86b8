import { mkdtempSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "@prometheus-io/client";
import fastify from "fastify";
import mqtt from "mqtt";
import { pino } from "pino";
import Type from "typebox";
import { Value } from "typebox/value";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import { parseEventId } from "../events/ids.ts";
import { topicNames } from "../events/topics.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import type { EventLog, StoredRecord } from "../stream/port.ts";
import { type GatewaySettings, gatewaySettings } from "./config.ts";
import { Gateway } from "./gateway.ts";
import { gatewayRoutes } from "./http.ts";
import { registerGatewayMetrics } from "./metrics.ts";

const topics = topicNames("t");
const SPECS = [
  { name: topics.events, partitions: 2, cleanup: "delete" },
  { name: topics.status, partitions: 2, cleanup: "compact" },
] as const;

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-gateway-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

async function startLog(): Promise<EventLog> {
  const log = new EmbeddedEventLog({ directory: join(directory, "log") });
  await log.start();
  cleanups.push(() => log.stop());
  await log.createTopics(SPECS);
  return log;
}

async function startGateway(log?: EventLog, overrides: object = {}): Promise<Gateway> {
  const settings = Value.Default(Type.Object(gatewaySettings), {
    mqtt: { port: 0 },
    status_interval_ms: 100,
    ...overrides,
  }) as GatewaySettings;
  const gateway = new Gateway({
    settings,
    dataDir: join(directory, "gateway"),
    namespace: "t",
    version: "1.2.3",
    logger: pino({ level: "silent" }),
    ...(log ? { log, topics: SPECS } : {}),
  });
  await gateway.start();
  cleanups.push(() => gateway.stop());
  return gateway;
}

async function publish(gateway: Gateway, ...values: number[]): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.mqttPort}`);
  await Promise.all(values.map((n) => client.publishAsync("sensors/d/n", String(n), { qos: 1 })));
  await client.endAsync();
}

/** Collects the journal until a record satisfies the condition. */
async function journalUntil(
  log: EventLog,
  done: (record: StoredRecord) => boolean,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  await new Promise<void>((resolve, reject) => {
    const tail = log.tail([topics.events], {
      from: "start",
      onRecords(records) {
        found.push(...records);
        if (records.some(done)) resolve();
      },
    });
    cleanups.push(() => tail.stop());
    tail.start().catch(reject);
  });
  return found;
}

const metrics = (record: StoredRecord) =>
  record.headers.ce_type === "tidegate.reading"
    ? decodeEvent("tidegate.reading", record.value ?? new Uint8Array()).metrics
    : undefined;

/** The mark is a link that leads nowhere but to itself: nobody can read it. @returns its path */
async function unreadableMark(): Promise<string> {
  const mark = join(directory, "gateway", "buffer.mark");
  await mkdir(join(directory, "gateway"));
  await symlink(mark, mark);
  return mark;
}

describe("gateway", () => {
  test("its journal in the log has its epoch, heartbeat and readings in order, without holes", async () => {
    const log = await startLog();
    const gateway = await startGateway(log);
    await publish(gateway, 1, 2, 3);
    const journal = await journalUntil(log, (record) => metrics(record)?.n === 3);
    expect(journal.map((r) => r.headers.ce_type?.replace("tidegate.", ""))).toEqual([
      "epoch",
      "heartbeat",
      "reading",
      "reading",
      "reading",
    ]);
    expect(journal.map((r) => parseEventId(r.headers.ce_id ?? "")?.sequence)).toEqual([
      1, 2, 3, 4, 5,
    ]);
    expect(new Set(journal.map((r) => `${r.key} ${r.partition}`)).size).toBe(1);
    expect(journal[0]?.headers.ce_source).toBe(`/gateways/${gateway.id}`);
  });

  test("without a log it takes readings, and sends them on once it has one", async () => {
    const alone = await startGateway();
    await publish(alone, 1, 2);
    expect(alone.report()).toMatchObject({ sink: undefined, intake: { readings: 2 } });
    const { id } = alone;
    await alone.stop();
    const log = await startLog();
    const again = await startGateway(log);
    expect(again.id).toBe(id);
    await publish(again, 3);
    const journal = await journalUntil(log, (record) => metrics(record)?.n === 3);
    expect(journal.map(metrics).filter(Boolean)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test("its status says what it holds", async () => {
    const log = await startLog();
    const gateway = await startGateway(log);
    const [status] = await new Promise<readonly StoredRecord[]>((resolve, reject) => {
      const tail = log.tail([topics.status], { from: "start", onRecords: resolve });
      cleanups.push(() => tail.stop());
      tail.start().catch(reject);
    });
    expect(status?.key).toBe(gateway.id);
    expect(decodeEvent("tidegate.gateway-status", status?.value ?? new Uint8Array())).toMatchObject(
      {
        gateway: gateway.id,
        accepted: 2,
        interval: 100,
        version: "1.2.3",
        capacity_bytes: 1024 ** 3,
      },
    );
  });

  test("health and metrics over HTTP", async () => {
    const gateway = await startGateway();
    const registry = new Registry();
    registerGatewayMetrics(registry, gateway);
    const app = fastify();
    cleanups.push(() => app.close());
    await app.register(gatewayRoutes, { gateway, registry });
    await publish(gateway, 1);
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.mqttPort}`);
    await client.publishAsync("sensors/d", "{", { qos: 1 });
    await client.publishAsync("other", "x", { qos: 1 });
    await client.endAsync();

    expect((await app.inject("/health/live")).statusCode).toBe(200);
    expect((await app.inject("/health/ready")).json()).toMatchObject({
      status: "ready",
      log: "none",
    });
    const { body } = await app.inject("/metrics");
    expect(body).toMatch(/^tidegate_readings_total 1$/m);
    expect(body).toMatch(/^tidegate_rejected_payloads_total\{reason="not_json"\} 1$/m);
    expect(body).toMatch(/^tidegate_unmatched_messages_total 1$/m);
    expect(body).toMatch(/^tidegate_buffer_events 4$/m);
    expect(body).toMatch(/^tidegate_buffer_state\{state="open"\} 1$/m);
    expect(body).toMatch(/^tidegate_buffer_state\{state="recovering"\} 0$/m);
    expect(body).toMatch(/^tidegate_buffer_lost_events_total\{reason="full"\} 0$/m);
    expect(body).toMatch(/^tidegate_buffer_hours_left (nan|\d)/im);
    expect(body).toMatch(/^tidegate_buffer_free_disk_bytes [1-9]/m);
    expect((await app.inject("/api/v1/gateway")).json()).toMatchObject({
      gateway: gateway.id,
      rejected: 1,
      buffer: { state: "open", policy: "drop-oldest", waiting: 4, lost: { full: 0, damage: 0 } },
    });

    await gateway.stop();
    expect((await app.inject("/health/ready")).statusCode).toBe(503);
    expect((await app.inject("/health/live")).statusCode).toBe(200);
  });

  test("a buffer that cannot be opened yet stops nothing but readings, and is told", async () => {
    const log = await startLog();
    const mark = await unreadableMark();
    const gateway = await startGateway(log);
    const app = fastify();
    cleanups.push(() => app.close());
    const registry = new Registry();
    registerGatewayMetrics(registry, gateway);
    await app.register(gatewayRoutes, { gateway, registry });
    const { statusCode, body } = await app.inject("/health/ready");
    expect([statusCode, body]).toEqual([503, expect.stringContaining("being recovered: ")]);
    expect((await app.inject("/api/v1/gateway")).statusCode).toBe(503);
    expect((await app.inject("/metrics")).body).toMatch(
      /^tidegate_buffer_state\{state="recovering"\} 1$/m,
    );
    expect(gateway.status()).toBeUndefined();

    await rm(mark);
    await expect.poll(async () => (await app.inject("/health/ready")).statusCode).toBe(200);
    await publish(gateway, 1);
    const journal = await journalUntil(log, (record) => metrics(record)?.n === 1);
    expect(journal.map((r) => parseEventId(r.headers.ce_id ?? "")?.sequence)).toEqual([1, 2, 3]);
    const statuses: StoredRecord[] = [];
    const tail = log.tail([topics.status], {
      from: "start",
      onRecords: (records) => void statuses.push(...records),
    });
    cleanups.push(() => tail.stop());
    await tail.start();
    await expect.poll(() => statuses.length).toBeGreaterThan(0);
    for (const { value } of statuses) {
      const status = decodeEvent("tidegate.gateway-status", value ?? new Uint8Array());
      expect(status).toMatchObject({
        epoch: gateway.report().buffer.epoch,
        buffer: { state: "open" },
      });
    }
  });

  test("it stops while its buffer is still being recovered", async () => {
    await unreadableMark();
    const gateway = await startGateway();
    await gateway.stop();
    expect(gateway.started).toBe(false);
  });

  test("a full buffer that refuses keeps acknowledgements back, and heartbeats still find room", async () => {
    const gateway = await startGateway(undefined, {
      buffer: { capacity_bytes: 1024 ** 2, on_full: "refuse" },
      heartbeat_interval_ms: 100,
      mqtt: { port: 0, max_payload_bytes: 500_000 },
      payloads: { over_bytes: 500_000 },
    });
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.mqttPort}`, {
      reconnectPeriod: 0,
    });
    cleanups.push(async () => client.end(true));
    const many = JSON.stringify(
      Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`m${i}`, "x".repeat(1000)])),
    );
    let acknowledged = 0;
    for (let i = 0; i < 5; i += 1) {
      client.publish("sensors/d", many, { qos: 1 }, (error) => {
        if (!error) acknowledged += 1;
      });
    }
    await expect.poll(() => gateway.report().buffer.state).toBe("full");
    expect(gateway.status()?.buffer).toMatchObject({ state: "full", near_full: true });
    const app = fastify();
    cleanups.push(() => app.close());
    await app.register(gatewayRoutes, { gateway, registry: new Registry() });
    const ready = await app.inject("/health/ready");
    expect([ready.statusCode, ready.body]).toEqual([
      503,
      expect.stringContaining("full: nothing more is acknowledged until the log takes some"),
    ]);
    const { buffer } = gateway.report();
    await expect.poll(() => gateway.report().buffer.accepted).toBeGreaterThan(buffer.accepted);
    expect(gateway.report().intake.readings).toBe(3);
    expect(acknowledged).toBe(3);
  });
});

test("an identity that is gone is known by what stands beside it, and what waits goes out under it", async () => {
  const named = { gateway_id: "plant-7", hardware: { id: "board one" } };
  const first = await startGateway(undefined, named);
  await publish(first, 1);
  await first.stop();
  for (const name of ["gateway.json", "gateway.json.copy"]) {
    await rm(join(directory, "gateway", name));
  }
  const log = await startLog();
  const again = await startGateway(log, { hardware: { id: "board one" } });
  expect(again.id).toBe("plant-7");
  const journal = await journalUntil(log, (record) => metrics(record)?.n === 1);
  expect(new Set(journal.map(({ key }) => key))).toEqual(new Set(["plant-7"]));
});

test("on other hardware what waits goes out under the old id, and what comes under its own", async () => {
  const first = await startGateway(undefined, { gateway_id: "plant-7", hardware: { id: "one" } });
  await publish(first, 1);
  await first.stop();
  const log = await startLog();
  const moved = await startGateway(log, { gateway_id: "plant-7", hardware: { id: "two" } });
  expect(moved.id).toMatch(/^plant-7-[0-9a-z]{5}$/);
  expect(moved.status()).toMatchObject({ gateway: moved.id, copy_of: "plant-7", accepted: 2 });
  await publish(moved, 2);
  // Their journals may stand in two partitions, of which either may be read first.
  const keys = new Map<unknown, string | null>();
  await journalUntil(log, (record) => {
    const n = metrics(record)?.n;
    if (n !== undefined) keys.set(n, record.key);
    return keys.size === 2;
  });
  expect(keys).toEqual(
    new Map([
      [1, "plant-7"],
      [2, moved.id],
    ]),
  );
});
