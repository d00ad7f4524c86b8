/**
 * Two real gateways from one data directory that was copied as an image is, each on hardware of its own, into one Kafka: nothing
 * of either is missing, what both have counts once, and the dashboard's API says what they are. And two that were given one id.
 */
import { mkdtempSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GatewayView } from "../cloud/read-model/port.ts";
import { MarkFile } from "../gateway/buffer/mark.ts";
import { sharedKafka } from "./kafka/shared-kafka.ts";
import { Program } from "./program.ts";
import { auditOf, recordsOf } from "./verify.ts";

const brokers = await sharedKafka("copied cards with a real Kafka");

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-copied-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

async function started(
  program: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const running = new Program([program, ...flags, "--http-port", "0"], { env });
  cleanups.push(() => running.kill());
  return await running.start();
}

/** A gateway on hardware that is called so. */
function gateway(card: string, hardware: string, flags: readonly string[]): Promise<Program> {
  const own = ["--data-dir", join(directory, card), "--mqtt-port", "0"];
  const env = { TIDEGATE_HARDWARE_ID: hardware, TIDEGATE_STATUS_INTERVAL_MS: "200" };
  return started("gateway", [...own, ...flags], env);
}

/** What the page is told. */
async function views(dashboard: Program): Promise<readonly GatewayView[]> {
  const answer = await fetch(new URL("/api/v1/gateways", dashboard.address("Dashboard")));
  return ((await answer.json()) as { readonly items: readonly GatewayView[] }).items;
}

async function publish({ mqttPort }: Program, device: string, values: readonly number[]) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`);
  const topic = `sensors/${device}/n`;
  await Promise.all(values.map((n) => client.publishAsync(topic, String(n), { qos: 1 })));
  await client.endAsync();
}

/** As an image of the whole card is: even the high-water mark does not know that it is a copy. */
async function imaged(from: string, to: string): Promise<void> {
  await cp(join(directory, from), join(directory, to), { recursive: true });
  const path = join(directory, to, "buffer.mark");
  const mark = await MarkFile.read(path);
  const file = await MarkFile.open(path);
  if (mark) for (let slot = 0; slot < 2; slot += 1) await file.write(mark);
  await file.close();
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** What each gateway's readings said, by gateway and device, each id once. */
async function readings(where: readonly string[]): Promise<Record<string, number[]>> {
  const found = new Map<string, { name: string; n: number }>();
  for (const { key, id, type, data } of await recordsOf("events", where)) {
    if (type !== "tidegate.reading") continue;
    const { device, metrics } = data as { device: string; metrics: { n: number } };
    found.set(`${key} ${id}`, { name: `${key}/${device}`, n: metrics.n });
  }
  const groups = Map.groupBy(found.values(), ({ name }) => name);
  return Object.fromEntries(
    [...groups].map(([name, all]) => [name, all.map(({ n }) => n).sort((a, b) => a - b)]),
  );
}

describe.skipIf(!brokers)("on one Kafka", { timeout: 180_000 }, () => {
  const whereOf = (name: string) => [
    ...["--brokers", (brokers ?? []).join(",")],
    ...["--namespace", `${name}-${process.pid}`],
  ];
  const named = ["--gateway-id", "plant-7"];

  test("a card and its copy count on epochs of their own, and what both hold counts once", async () => {
    const where = whereOf("copied");
    // Alone, with nowhere to send to: what is copied waits in both.
    const alone = await gateway("card", "board one", named);
    await publish(alone, "a", range(1, 20));
    await alone.stop();
    await imaged("card", "copy");
    const [original, copy, dashboard] = await Promise.all([
      gateway("card", "board one", [...named, ...where]),
      gateway("copy", "board two", [...named, ...where]),
      started("dashboard", [...where, "--data-dir", join(directory, "dashboard")]),
      started("cloud", [...where, "--data-dir", join(directory, "cloud")]),
    ]);
    const [, name = ""] = /(plant-7-[0-9a-z]{5}) \(gateway_id was copied/.exec(copy.stderr) ?? [];
    expect(name, copy.stderr).not.toBe("");
    await Promise.all([publish(original, "a", range(21, 40)), publish(copy, "a", range(101, 130))]);
    await expect
      .poll(() => readings(where), { timeout: 60_000, interval: 500 })
      .toEqual({ "plant-7/a": range(1, 40), [`${name}/a`]: range(101, 130) });
    await expect
      .poll(async () => (await auditOf(where)).report, { timeout: 60_000, interval: 500 })
      .toMatchObject({ verdict: "complete", totals: { missing: 0, declaredLost: 0, onTheWay: 0 } });
    await expect
      .poll(async () => (await views(dashboard)).map((one) => [one.gateway, one.status?.copy_of]))
      .toEqual([
        ["plant-7", undefined],
        [name, "plant-7"],
      ]);
    expect((await views(dashboard)).some(({ sharedBy }) => sharedBy)).toBe(false);
  });

  test("two that were given one id lose nothing, and it is said that they are two", async () => {
    const where = whereOf("shared");
    const [one, two, dashboard, cloud] = await Promise.all([
      gateway("one", "board one", [...named, ...where]),
      gateway("two", "board two", [...named, ...where]),
      started("dashboard", [...where, "--data-dir", join(directory, "dashboard")]),
      started("cloud", [...where, "--data-dir", join(directory, "cloud")]),
    ]);
    await Promise.all([publish(one, "a", range(1, 40)), publish(two, "b", range(101, 140))]);
    await expect
      .poll(async () => (await views(dashboard))[0]?.sharedBy, { timeout: 60_000 })
      .toHaveLength(2);
    const told = await (await fetch(dashboard.address("Metrics"))).text();
    expect(told).toMatch(/^tidegate_gateway_ids_shared 1$/m);
    const silent = await (await fetch(cloud.address("Metrics"))).text();
    expect(silent).not.toMatch(/tidegate_ledger_|tidegate_gateway_ids/);
    const [shared] = await views(dashboard);
    expect(new Set(shared?.sharedBy?.map(({ hardware }) => hardware)).size).toBe(2);
    await expect
      .poll(() => readings(where), { timeout: 60_000, interval: 500 })
      .toEqual({ "plant-7/a": range(1, 40), "plant-7/b": range(101, 140) });
    await expect
      .poll(async () => (await auditOf(where)).report, { timeout: 60_000, interval: 500 })
      .toMatchObject({ verdict: "complete", totals: { missing: 0, declaredLost: 0 } });
  });
});
