/**
 * A scenario over real MQTT against the real program, and `simulate verify` on what came of it: that it says ok where all is
 * well, also after the gateway was killed in the middle, and finds what is planted into ledger and log.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventHeaders } from "../events/cloudevents.ts";
import { decodeEvent, encodeEvent } from "../events/codec.ts";
import type { Alert, EventType, Rollup } from "../events/schema.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import type { StoredRecord } from "../stream/port.ts";
import { Program, run } from "./program.ts";

const SCENARIO = `
name: short
duration: 4s
rules:
  - { name: warm, when: temperature above -8, for: 300ms, clear: below -12, device: "*freezer-*" }
gateways:
  - name: store
    devices:
      - { kind: freezer, count: 3, every: 50ms }
      - { kind: room, count: 2, every: 100ms, duplicates: 30%, reconnect_every: 1s }
      - { kind: pump, name: "pump-{n}", every: 100ms, qos: 2, persistent: true, reconnect_every: 1s }
      - { kind: door, every: 100ms, time: none }
events:
  - { at: 1s, for: 1500ms, device: freezer-1, metric: temperature, add: 20 }
`;

const directory = mkdtempSync(join(tmpdir(), "tidegate-verify-"));
const path = (name: string) => join(directory, name);
const where = ["--data-dir", path("data")];
// Heartbeats and ports that stay the same over a restart.
const env = { TIDEGATE_HEARTBEAT_INTERVAL_MS: "500" };
writeFileSync(path("scenario.yaml"), SCENARIO);

async function started(port = "0"): Promise<Program> {
  const args = ["start", ...where, "--mqtt-port", port, "--http-port", "0"];
  return await new Program([...args, "--rules", path("rules.yaml")], { env }).start();
}

async function simulate(port: number, ledger: string, ...more: readonly string[]) {
  const args = ["simulate", path("scenario.yaml"), "--mqtt-port", String(port)];
  return await run([...args, "--ledger", path(ledger), ...more]);
}

async function verify(ledger: string, ...more: readonly string[]) {
  const { code, stdout, stderr } = await run([
    ...["simulate", "verify", path(ledger), "--wait", "3"],
    ...(more.includes("--dashboard") ? [] : where),
    ...more,
  ]);
  return { code, text: stdout === "" ? stderr : stdout };
}

/** A copy of the ledger with other lines. */
function changed(name: string, change: (lines: string[]) => string[]): string {
  const lines = readFileSync(path("good.ndjson"), "utf8").trimEnd().split("\n");
  writeFileSync(path(name), `${change(lines).join("\n")}\n`);
  return name;
}

const isSent = (line: string) => line.startsWith('["s",');

beforeAll(async () => {
  const { stdout } = await run(["simulate", path("scenario.yaml"), "--print-rules"]);
  writeFileSync(path("rules.yaml"), stdout);
});
afterAll(() => rm(directory, { recursive: true }));

describe("a run over real MQTT, verified", () => {
  let program: Program;
  beforeAll(async () => {
    program = await started();
    // Somebody else is there all the time, and again with the same names afterwards.
    const other = simulate(program.mqttPort, "other.ndjson", "--seed", "9", "--duration", "1");
    expect((await other).code).toBe(0);
    expect((await simulate(program.mqttPort, "good.ndjson")).code).toBe(0);
    expect((await simulate(program.mqttPort, "later.ndjson", "--duration", "1")).code).toBe(0);
  });
  afterAll(() => program.kill());

  test("where all is well it says so, from the directory and over HTTP", async () => {
    const { code, text } = await verify("good.ndjson");
    expect(text).toMatch(/^short, seed 1, 7 devices, .* on gw-/);
    expect(text).toMatch(/alerts {4}3 changes had to come\n/);
    expect(text).toMatch(/there once more because sent once more/);
    expect(text).toMatch(
      /\nOK: nothing is missing, nothing counts twice; every alert came at its time, and no other\.\n$/,
    );
    expect(code).toBe(0);
    const url = program.address("Dashboard").href;
    const { stdout } = await run([
      ...["simulate", "verify", path("good.ndjson"), "--dashboard", url, "--json"],
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      missing: [],
      run: { scenario: "short", seed: 1, complete: true },
      alerts: { expected: 3, differences: [] },
    });
    for (const ledger of ["other.ndjson", "later.ndjson"]) {
      expect(await verify(ledger)).toMatchObject({ code: 0 });
    }
  });

  test("a ledger that was cut off says nothing of what came after its last line", async () => {
    const half = changed("half.ndjson", (lines) => lines.slice(0, lines.length >> 1));
    const { code, text } = await verify(half);
    expect(text).toContain("the ledger was cut off before the end of the run");
    expect(text).toMatch(/\nOK: /);
    expect(code).toBe(0);
  });

  test("an acknowledgement of what never arrived: missing", async () => {
    const forged = changed("forged.ndjson", (lines) => {
      const at = lines.findIndex(isSent);
      const [, , ms, name, , ...values] = JSON.parse(lines[at] ?? "");
      const line = JSON.stringify(["s", 999_999, ms, name, ms + 1.5, ...values]);
      return lines.toSpliced(at + 1, 0, line, `["a",${ms},999999]`);
    });
    const { code, text } = await verify(forged);
    expect(text).toMatch(/\nMISSING: acknowledged, and not in the log\n {2}\S+ 20\d\d-/);
    expect(text).toMatch(/\nNOT OK: 1 reading missing\.\n$/);
    expect(code).toBe(1);
  });

  test("a reading that the ledger does not know: unexpected; another value: changed", async () => {
    const number = (line: string) => JSON.parse(line)[1] as number;
    const shorter = changed("shorter.ndjson", (lines) => {
      const at = lines.findIndex(isSent);
      const n = number(lines[at] ?? "");
      return lines.toSpliced(at, 1).map((line) => {
        const entry = JSON.parse(line);
        if (entry[0] !== "a") return line;
        return JSON.stringify(entry.filter((one: number, i: number) => i < 2 || one !== n));
      });
    });
    const unexpected = await verify(shorter);
    expect(unexpected.text).toMatch(
      /\nUNEXPECTED: in the log, and not sent by this run .*\n {2}gw-/,
    );
    expect(unexpected.text).toMatch(/\nNOT OK: 1 unexpected\.\n$/);
    expect(unexpected.code).toBe(1);
    const other = changed("changed.ndjson", (lines) => {
      const at = lines.findIndex((line) => isSent(line) && /,-\d+\.\d+/.test(line));
      return lines.with(at, (lines[at] ?? "").replace(/,-(\d+)\.\d+/, ",-$1.777"));
    });
    const { code, text } = await verify(other);
    expect(text).toMatch(/\nCHANGED: in the log with another content\n/);
    expect(text).toMatch(/\nNOT OK: 1 reading missing, 1 changed\.\n$/);
    expect(code).toBe(1);
  });

  test("rules by which other alerts had to come", async () => {
    const file = path("stricter.yaml");
    writeFileSync(file, readFileSync(path("rules.yaml"), "utf8").replace("above -8", "above -9"));
    const { code, text } = await verify("good.ndjson", "--rules", file);
    expect(text).toMatch(/\nNOT OK: \d+ alerts? wrong\.\n$/);
    expect(code).toBe(1);
  });

  test("what cannot be looked at is no answer: exit status 2", async () => {
    expect(await verify("none.ndjson")).toMatchObject({
      code: 2,
      text: expect.stringMatching(/verify could not look: .*none\.ndjson/),
    });
    writeFileSync(path("empty.ndjson"), "{}\n");
    expect(await verify("empty.ndjson")).toMatchObject({
      code: 2,
      text: expect.stringContaining("not a ledger of version 2"),
    });
    const away = await verify("good.ndjson", "--dashboard", "http://127.0.0.1:1");
    expect(away).toMatchObject({ code: 2, text: expect.stringContaining("nobody answers") });
  });

  async function clients(): Promise<number> {
    const metrics = await (await fetch(program.address("Metrics"))).text();
    return Number(/^tidegate_mqtt_clients (\d+)$/m.exec(metrics)?.[1]);
  }

  test("a scenario that there is not, and flags that do not go with one, are told", async () => {
    const unknown = await run(["simulate", "cold-chains"]);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("cold-chain,") });
    const rate = await run(["simulate", "cold-chain", "--rate", "5"]);
    expect(rate).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--rate: with a scenario, its own file says that"),
    });
    const nowhere = await run(["simulate", "cold-chain", "--gateway", "attic=127.0.0.1:1"]);
    expect(nowhere).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the scenario cold-chain has no gateway attic"),
    });
    const rules = await run(["simulate", "--print-rules"]);
    expect(rules).toMatchObject({ code: 1, stderr: expect.stringContaining("needs a scenario") });
    const { stdout } = await run(["simulate", "--list"]);
    expect(stdout).toMatch(/^cold-chain +A cold store/m);
  });

  test("Ctrl-C ends it before its time, with all that was sent acknowledged", async () => {
    const args = ["simulate", path("scenario.yaml"), "--duration", "3600", "--seed", "4"];
    const ledger = ["--ledger", path("stopped.ndjson")];
    const port = ["--mqtt-port", String(program.mqttPort)];
    const simulator = new Program([...args, ...port, ...ledger]).launch();
    await expect.poll(clients, { timeout: 20_000 }).toBeGreaterThan(4);
    expect(await simulator.stop()).toBe(0);
    expect(await verify("stopped.ndjson")).toMatchObject({ code: 0 });
  });

  test("the gateway is killed in the middle and comes back: still everything, once", async () => {
    const port = program.mqttPort;
    const running = simulate(port, "killed.ndjson", "--duration", "6", "--seed", "3");
    await expect.poll(clients, { timeout: 20_000 }).toBeGreaterThan(4);
    await program.kill();
    program = await started(String(port));
    const { code, stderr } = await running;
    expect(stderr).toMatch(/reconnects/);
    expect(code).toBe(0);
    const { code: verified, text } = await verify("killed.ndjson");
    expect(text).toMatch(/\nOK: /);
    expect(verified).toBe(0);
  });

  describe("planted into the log", () => {
    const log = new EmbeddedEventLog({
      directory: join(path("data"), "log"),
      logger: pino({ level: "silent" }),
    });

    async function plant<Event>(
      topic: string,
      type: EventType,
      wanted: (event: Event, record: StoredRecord) => boolean,
      change: (event: Event) => Event,
      id: (before: string) => string,
    ): Promise<void> {
      await log.start();
      const name = `telemetry.${topic}.v1`;
      let found: { readonly event: Event; readonly record: StoredRecord } | undefined;
      for await (const record of log.read(name)) {
        if (record.headers.ce_type !== type || !record.value) continue;
        const event = decodeEvent(type, record.value) as Event;
        if (wanted(event, record)) found = { event, record };
      }
      if (!found) throw new Error(`nothing fits in ${topic}`);
      const { ce_id = "", ce_source = "" } = found.record.headers;
      const value = encodeEvent(type, change(found.event) as never);
      const headers = { ...eventHeaders(type, id(ce_id), ce_source, Date.now()) };
      await log.append(name, [{ key: found.record.key ?? "", headers, value }]);
      await log.stop();
    }

    function begun(): number {
      const [first = ""] = readFileSync(path("good.ndjson"), "utf8").split("\n");
      return (JSON.parse(first) as { at: number }).at;
    }

    beforeAll(async () => {
      // What the processors had left to do when they stopped would be missing.
      await verify("killed.ndjson");
      await program.stop();
    });

    test("when nothing runs, the store itself is looked at", async () => {
      expect(await verify("good.ndjson")).toMatchObject({ code: 0 });
    });

    test("an alert too many: unexpected", async () => {
      const from = begun();
      await plant<Alert>(
        "alerts",
        "tidegate.alert",
        ({ state, since }) => state === "firing" && since > from && since < from + 4000,
        (alert) => ({
          ...alert,
          alert: alert.alert.replace("freezer-1", "freezer-2"),
          device: "freezer-2",
        }),
        (before) => `${before}-planted`,
      );
      const { code, text } = await verify("good.ndjson");
      expect(text).toMatch(
        /\nUNEXPECTED ALERTS: came and must not have\n {2}warm@gw-\w+\/freezer-2\/temperature: firing at 20/,
      );
      expect(text).toMatch(/\nNOT OK: \d+ alerts? wrong\.\n$/);
      expect(code).toBe(1);
    });

    test("a window that counts one more, and a reading that is there twice", async () => {
      const from = begun();
      await plant<Rollup>(
        "rollups",
        "tidegate.rollup",
        ({ device, resolution }) => device === "freezer-3" && resolution === "1h",
        (rollup) => ({ ...rollup, count: rollup.count + 1, revision: rollup.revision + 1 }),
        (before) => `${before}-planted`,
      );
      const wrong = await verify("good.ndjson");
      expect(wrong.text).toMatch(
        /\nROLLUPS that are not what the readings come to\n {2}freezer-3\//,
      );
      expect(wrong.code).toBe(1);
      await plant<{ device: string; received: number }>(
        "events",
        "tidegate.reading",
        ({ device, received }) =>
          device === "freezer-3" && received > from && received < from + 3000,
        (reading) => reading,
        (before) => before.replace(/\d+$/, "99999999"),
      );
      const { code, text } = await verify("good.ndjson");
      expect(text).toMatch(
        /\nDOUBLE: more often in the log than it was sent\n {2}freezer-3 .*: 2 times, written 1\n/,
      );
      expect(code).toBe(1);
    });
  });
});
