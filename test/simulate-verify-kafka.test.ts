/** `simulate verify --brokers`: what the processors have not processed yet is told from a loss, and waited for. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sharedKafka } from "./kafka/shared-kafka.ts";
import { Program, run } from "./program.ts";

const brokers = await sharedKafka("simulate verify with a real Kafka");

const directory = mkdtempSync(join(tmpdir(), "tidegate-verify-kafka-"));
const path = (name: string) => join(directory, name);
afterAll(() => rm(directory, { recursive: true }));

const namespace = `verify${process.pid}`;
const where = ["--brokers", (brokers ?? []).join(","), "--namespace", namespace];
const data = (name: string) => ["--data-dir", path(name)];
writeFileSync(
  path("scenario.yaml"),
  "name: short\nduration: 2s\ngateways: [{ name: g, devices: [{ kind: freezer, count: 5, every: 50ms }] }]\n",
);

async function verify(...more: readonly string[]) {
  const args = ["simulate", "verify", path("sent.ndjson"), ...where, ...more];
  return await run(args);
}

describe.skipIf(!brokers)("with Kafka", { timeout: 120_000 }, () => {
  test("processors that do not run leave a run unfinished, and are waited for when they do", async () => {
    const cloud = () => new Program(["cloud", ...data("cloud"), ...where, "--http-port", "0"]);
    // Once, so that there are topics and positions.
    const first = await cloud().start();
    const gateway = await new Program([
      ...["gateway", ...data("gateway"), ...where, "--mqtt-port", "0", "--http-port", "0"],
    ]).start();
    const simulate = (ledger: string) =>
      run([
        ...["simulate", path("scenario.yaml"), "--mqtt-port", String(gateway.mqttPort)],
        ...["--ledger", path(ledger)],
      ]);
    let second: Program | undefined;
    try {
      expect((await simulate("before.ndjson")).code).toBe(0);
      await first.stop();
      expect((await simulate("sent.ndjson")).code).toBe(0);
      const early = await verify("--wait", "1s");
      expect(early.stdout).toMatch(/\nreadings {2}200 sent, 200 acknowledged, /);
      expect(early.stdout).toMatch(
        /\nUNFINISHED: .* the processors have [\d,]+ records left to process \(.*rollups \d+.*\): do they run\?/,
      );
      expect(early.code).toBe(2);
      const json = JSON.parse((await verify("--wait", "1s", "--json")).stdout);
      expect(json).toMatchObject({ ok: false, surplus: [], changed: [], unknown: [] });
      expect(json.unfinished.behind.rollups).toBeGreaterThan(100);

      second = await cloud().start();
      const { code, stdout } = await verify("--wait", "60s");
      expect(stdout).toMatch(/\nreadings {2}200 sent, 200 acknowledged, 200 arrived/);
      expect(stdout).toMatch(/\nOK: /);
      expect(code).toBe(0);

      const elsewhere = await verify("--namespace", `${namespace}-never`);
      expect(elsewhere.stderr).toMatch(/could not look: .*never\.ledger\.v1.*tidegate cloud/);
      expect(elsewhere.code).toBe(2);
    } finally {
      await gateway.kill();
      await second?.kill();
    }
  });
});
