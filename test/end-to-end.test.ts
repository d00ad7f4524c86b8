/** The whole on one machine, from an MQTT client to what everybody can see, through the real program and its ports. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareRollups, expectedRollups } from "../simulator/oracle.ts";
import { csvReadings } from "../simulator/oracle-csv.ts";
import { missingCommand } from "./debian.ts";
import { Program, root, run } from "./program.ts";
import { auditOf, recordsOf, rollupsOf } from "./verify.ts";

const directory = mkdtempSync(join(tmpdir(), "tidegate-e2e-"));
const where = ["--data-dir", join(directory, "data")];
const rules = join(directory, "rules.yaml");
writeFileSync(
  rules,
  "rules:\n  - name: freezer-warm\n    when: temperature above -15 for 0s\n    severity: critical\n",
);
const args = ["start", ...where, "--mqtt-port", "0", "--http-port", "0", "--rules", rules];
const program = new Program(args);

beforeAll(async () => {
  await program.start();
});
afterAll(async () => {
  await program.kill();
  await rm(directory, { recursive: true });
});

async function publish(topic: string, payload: string): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${program.mqttPort}`);
  await client.publishAsync(topic, payload, { qos: 1 });
  await client.endAsync();
}

async function api<T>(path: string): Promise<T> {
  const response = await fetch(new URL(`/api/v1/${path}`, program.address("Dashboard")));
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

interface Items {
  readonly items: readonly Record<string, unknown>[];
}

/** Follows the live stream until something in it satisfies the condition. */
async function live(condition: (data: string) => boolean, act: () => Promise<void>): Promise<void> {
  const response = await fetch(new URL("/api/v1/live", program.address("Dashboard")));
  const decoder = new TextDecoder();
  let text = "";
  let acted = false;
  // Leaving the loop cancels the stream.
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (!acted && text.includes("event: hello")) {
      acted = true;
      await act();
      text = "";
    }
    if (acted && condition(text)) return;
  }
  throw new Error(`the stream ended: ${text}`);
}

describe("everything on one machine", () => {
  test("a reading is pushed to open pages, and its alert", async () => {
    await live(
      (data) => data.includes("-12.5") && data.includes("freezer-warm") && data.includes("firing"),
      () => publish("sensors/freezer-1", '{"temperature": -12.5}'),
    );
    const { items: alerts } = await api<Items>("alerts");
    expect(alerts).toMatchObject([
      { rule: "freezer-warm", device: "freezer-1", state: "firing", value: -12.5, threshold: -15 },
    ]);
    const { items: devices } = await api<Items>("devices?limit=10");
    expect(devices).toMatchObject([
      { device: "freezer-1", readings: 1, metrics: { temperature: { value: -12.5 } } },
    ]);
  });

  test("tail prints it as a line of JSON while the system runs", async () => {
    const readings = (await recordsOf("events", where)).filter(
      (r) => r.type === "tidegate.reading",
    );
    expect(readings[0]).toMatchObject({
      topic: "telemetry.events.v1",
      type: "tidegate.reading",
      source: expect.stringMatching(/^\/gateways\/gw-/),
      id: expect.stringMatching(/^[0-9a-z]{10}-\d+$/),
      data: { device: "freezer-1", metrics: { temperature: -12.5 }, clock: "synced" },
    });
    const { stdout } = await run(["tail", "alerts", "-n", "1", "--no-follow", ...where]);
    expect(JSON.parse(stdout)).toMatchObject({ data: { state: "firing" } });
  });

  test("tail follows: what comes later is printed when it comes", async () => {
    const tail = new Program(["tail", "events", "-n", "0", ...where]).launch();
    let n = 0;
    // A reading every so often until the first is seen: nobody tells from outside when the tail has begun.
    const sending = setInterval(() => {
      n += 1;
      void publish("sensors/tailed/n", String(n));
    }, 100);
    const [line] = await tail.outputMatches(/^\{.*"device":"tailed".*\}$/m);
    clearInterval(sending);
    expect(JSON.parse(line)).toMatchObject({ data: { device: "tailed" } });
    await tail.kill();
  });

  test("audit: nothing is missing, exit status 0", { timeout: 60_000 }, async () => {
    const onTheWay = async () => (await auditOf(where)).report.totals.onTheWay;
    await expect.poll(onTheWay, { timeout: 30_000 }).toBe(0);
    const { code, stdout } = await run(["audit", ...where]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /gateway\s+epoch\s+accepted\s+arrived\s+on the way\s+missing\s+duplicate\s+declared lost/,
    );
    expect(stdout).toMatch(/Nothing is missing\.$/m);
  });

  test("mosquitto_pub is understood", { timeout: 120_000 }, async ({ skip }) => {
    const missing = await missingCommand("mosquitto_pub", "mosquitto-clients");
    if (missing) return skip(missing);
    await promisify(execFile)("mosquitto_pub", [
      ...["-p", String(program.mqttPort), "-q", "1"],
      ...["-t", "sensors/freezer-2", "-m", '{"temperature": -22}'],
    ]);
    await expect
      .poll(async () => (await api<Items>("devices?limit=10&search=freezer-2")).items)
      .toMatchObject([{ device: "freezer-2", metrics: { temperature: { value: -22 } } }]);
  });

  test.each([
    ["office-occupancy.csv", "office-occupancy", 8143],
    ["ambient-temperature.csv", "ambient-temperature", 7267],
  ])(
    "the rollups of %s agree with those computed from the file",
    async (name, device, rows) => {
      const file = join(root, "test", "fixtures", "recordings", name);
      const replay = await run(["replay", file, "--mqtt-port", String(program.mqttPort)]);
      expect(replay.code).toBe(0);
      const { items } = await api<Items>("gateways");
      const gateway = String(items[0]?.gateway);
      const readings = csvReadings(readFileSync(file, "utf8"), gateway, device);
      expect(readings).toHaveLength(rows);
      // Minutes older than their keeping are refused with a record; hours are kept 400 days behind the newest.
      const hours = expectedRollups(readings).filter((rollup) => rollup.resolution === "1h");
      const actual = async () =>
        (await rollupsOf(where)).filter((r) => r.device === device && r.resolution === "1h");
      await expect
        .poll(async () => compareRollups(hours, await actual()), { timeout: 30_000 })
        .toEqual([]);
      expect(hours.length).toBeGreaterThan(500);
    },
    60_000,
  );

  test("after a restart everything is there, and the buffer's sequence goes on", async () => {
    const before = (await auditOf(where)).report.totals;
    expect(await program.stop()).toBe(0);
    await program.start();
    expect((await api<Items>("devices?limit=10&search=freezer-1")).items).toMatchObject([
      { metrics: { temperature: { value: -12.5 } } },
    ]);
    await publish("sensors/freezer-1", '{"temperature": -20}');
    await expect.poll(async () => (await api<Items>("alerts")).items).toEqual([]);
    await expect.poll(async () => (await auditOf(where)).report.totals.onTheWay).toBe(0);
    const { report } = await auditOf(where);
    expect(report.verdict).toBe("complete");
    expect(report.totals.accepted).toBeGreaterThan(before.accepted ?? 0);
  });

  test("when nothing runs, tail and audit open the store themselves", async () => {
    await program.stop();
    expect((await auditOf(where)).report.verdict).toBe("complete");
    expect((await recordsOf("alerts", where)).at(-1)?.data).toMatchObject({ state: "resolved" });
  });
});
