/** What stands in a real Kafka, read with a client that knows nothing of us: kcat. */
import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { afterAll, describe, expect, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import { missingCommand } from "./debian.ts";
import { sharedKafka } from "./kafka/shared-kafka.ts";
import { Program } from "./program.ts";
import { recordsOf } from "./verify.ts";

const brokers = await sharedKafka("reading a real Kafka with kcat");
const exec = promisify(execFile);

const directory = mkdtempSync(join(tmpdir(), "tidegate-contract-"));
const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

describe.skipIf(!brokers)("the events topic in Kafka", () => {
  test("kcat reads a reading with its CloudEvents headers and its CBOR value", {
    timeout: 120_000,
  }, async ({ skip }) => {
    const missing = await missingCommand("kcat", "kcat");
    if (missing) return skip(missing);
    const list = (brokers ?? []).join(",");
    const namespace = `contract-${process.pid}-${Date.now()}`;
    const gateway = await new Program([
      ...["gateway", "--brokers", list, "--namespace", namespace, "--gateway-id", "plant-7"],
      ...["--data-dir", join(directory, "gateway"), "--mqtt-port", "0", "--http-port", "0"],
    ]).start();
    cleanups.push(() => gateway.kill());
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.mqttPort}`);
    const payload = '{"temperature": -12.5, "time": "2026-03-01T12:00:00Z"}';
    await device.publishAsync("sensors/freezer-1", payload, { qos: 1 });
    await device.endAsync();

    const where = ["--brokers", list, "--namespace", namespace];
    await expect
      .poll(async () => (await recordsOf("events", where)).length, { timeout: 30_000 })
      .toBe(3);
    const topic = `${namespace}.events.v1`;
    const format = ["-f", "%k|%h|%R%s"];
    const { stdout } = await exec("kcat", ["-C", "-e", "-q", "-b", list, "-t", topic, ...format], {
      encoding: "buffer",
    });
    const records = parse(stdout);
    expect(records.map((record) => record.key)).toEqual(["plant-7", "plant-7", "plant-7"]);
    const reading = records[2];
    expect(reading?.headers).toMatch(
      /^content-type=application\/cbor,ce_specversion=1\.0,ce_source=\/gateways\/plant-7,ce_type=tidegate\.reading,ce_time=2026-03-01T12:00:00\.000Z,ce_id=[0-9a-z]{10}-3$/,
    );
    expect(decodeEvent("tidegate.reading", reading?.value ?? new Uint8Array())).toMatchObject({
      device: "freezer-1",
      metrics: { temperature: -12.5 },
      time: Date.UTC(2026, 2, 1, 12),
      clock: "device",
    });
  });
});

/** `key|headers|` then the value's length as a big endian u32 and the value. */
function parse(bytes: Buffer): { key: string; headers: string; value: Buffer }[] {
  const records = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes.indexOf("|", at);
    const second = bytes.indexOf("|", first + 1);
    const length = bytes.readUInt32BE(second + 1);
    const from = second + 5;
    records.push({
      key: bytes.toString("utf8", at, first),
      headers: bytes.toString("utf8", first + 1, second),
      value: bytes.subarray(from, from + length),
    });
    at = from + length;
  }
  return records;
}
