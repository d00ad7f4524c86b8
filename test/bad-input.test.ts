/** What people get wrong: one clear message each, with what to do, and never a stack trace. */
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Finished, Program, run } from "./program.ts";

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-bad-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

const FREE = ["--mqtt-port", "0", "--http-port", "0"] as const;
const data = (name = "data") => ["--data-dir", join(directory, name)];

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** A message of ours: said by us, on standard error, exit status 1, no stack. */
function expectClear(finished: Finished, ...parts: (string | RegExp)[]): void {
  expect(finished.stderr).toMatch(/^tidegate: \S/);
  for (const part of parts) expect(finished.stderr).toMatch(part);
  expect(finished.stderr).not.toMatch(/\n\s+at |node:internal|this is a bug/);
  expect(finished.code).toBe(1);
}

async function started(...args: string[]): Promise<Program> {
  const program = await new Program(args).start();
  cleanups.push(() => program.kill());
  return program;
}

async function occupied(onConnection?: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

describe("bad input", () => {
  test("an MQTT port in use", async () => {
    const port = String(await occupied());
    const finished = await run(["start", ...data(), "--mqtt-port", port, "--http-port", "0"]);
    expectClear(finished, port, "--mqtt-port", "another program");
  });

  test("an HTTP port in use", async () => {
    const port = String(await occupied());
    const finished = await run(["start", ...data(), "--mqtt-port", "0", "--http-port", port]);
    expectClear(finished, port, "--http-port", "another program");
  });

  test("a configuration with several faults: all at once, with their lines", async () => {
    const config = file("c.yaml", "mqtt:\n  prot: 1884\nheartbeat_interval_ms: soon\n");
    const finished = await run(["start", ...data(), "--config", config]);
    expectClear(
      finished,
      "2 faults",
      /c\.yaml:2:3: mqtt\.prot is not a setting, did you mean mqtt\.port\?/,
      /c\.yaml:3:1: heartbeat_interval_ms must be a whole number/,
    );
  });

  test("a configuration that is not there, a variable and a flag that are wrong", async () => {
    expectClear(await run(["config", "--config", join(directory, "no.yaml")]), "no such file");
    expectClear(
      await run(["config"], { env: { TIDEGATE_MQTT_PROT: "1" } }),
      "TIDEGATE_MQTT_PROT: no such setting, did you mean TIDEGATE_MQTT_PORT",
    );
    expectClear(
      await run(["config", "--mqtt-port", "many"]),
      "--mqtt-port: must be a whole number",
    );
  });

  test("a broken rules file: its line, and what to write instead", async () => {
    const rules = file("rules.yaml", 'rules:\n  - name: warm\n    when: "temperature over -15"\n');
    const finished = await run(["start", ...data(), ...FREE, "--rules", rules]);
    expectClear(finished, /rules\.yaml:3:\d+/, "temperature above -15");
    const missing = await run(["start", ...data(), ...FREE, "--rules", join(directory, "no.yaml")]);
    expectClear(missing, "no.yaml");
  });

  test("a data directory that cannot be written", async () => {
    const finished = await run(["start", "--data-dir", join(file("plain", ""), "x"), ...FREE]);
    expectClear(finished, "--data-dir", "plain");
    const gateway = await run(["gateway", "--data-dir", join(directory, "plain", "x"), ...FREE]);
    expectClear(gateway, "--data-dir", "plain");
    // No directory can be made there, not even by root.
    expectClear(await run(["start", "--data-dir", "/proc/x", ...FREE]), "--data-dir", "/proc/x");
  });

  test("a second process on the same data directory", async () => {
    await started("start", ...data(), ...FREE);
    expectClear(await run(["start", ...data(), ...FREE]), "another process", "--data-dir");
    expectClear(await run(["gateway", ...data(), ...FREE]), "another process", "--data-dir");
  });

  test("another gateway id for the same data", async () => {
    const first = await started("gateway", ...data(), ...FREE, "--gateway-id", "plant-7");
    await first.stop();
    const finished = await run(["gateway", ...data(), ...FREE, "--gateway-id", "plant-8"]);
    expectClear(finished, "plant-7", "plant-8");
  });

  test("no such command or flag", async () => {
    const unknown = await run(["strat"]);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/unknown command 'strat'[\s\S]*start/);
    const flag = await run(["gateway", "--mqtt-prot", "1"]);
    expect(flag.code).toBe(1);
    expect(flag.stderr).toMatch(/unknown option '--mqtt-prot'[\s\S]*--mqtt-port/);
  });

  test("simulate and replay where no broker is", async () => {
    const csv = file("r.csv", "time,a\n2024-01-01T00:00:00Z,1\n");
    const [simulated, replayed] = await Promise.all([
      run(["simulate", "--mqtt-port", "1"], { cwd: directory }),
      run(["replay", csv, "--mqtt-port", "1"]),
    ]);
    for (const { code, stderr } of [simulated, replayed]) {
      expect(code).toBe(1);
      expect(stderr).toContain(
        "tidegate: no broker answers at 127.0.0.1:1 (connect ECONNREFUSED): start one with `npx tidegate start`",
      );
    }
    expect(readdirSync(directory)).toEqual(["r.csv"]);
  });

  test("an unreachable Kafka: the gateway takes readings and says once that they wait", async () => {
    const gateway = await started("gateway", ...data(), ...FREE, "--brokers", "127.0.0.1:1");
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.mqttPort}`);
    await client.publishAsync("sensors/d", "1", { qos: 1 });
    await client.endAsync();
    await expect
      .poll(() => gateway.stderr, { timeout: 15_000 })
      .toMatch(/readings are acknowledged and kept/);
    const ready = await fetch(gateway.address("Health"));
    expect(ready.status).toBe(200);
    expect(await gateway.stop()).toBe(0);
  });

  test("an unreachable Kafka: the dashboard answers, says it in one line, and says when it has stopped", async () => {
    const dashboard = await started(
      ...["dashboard", ...data(), "--http-port", "0", "--brokers", "127.0.0.1:1"],
    );
    expect((await fetch(dashboard.address("Health"))).status).toBe(200);
    expect(await (await fetch(dashboard.address("Metrics"))).text()).toContain("process_cpu");
    const nonsense = await fetch(new URL("/nonsense", dashboard.address("Dashboard")));
    expect(nonsense.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    await expect.poll(() => dashboard.stderr, { timeout: 15_000 }).toMatch(/waiting for Kafka/);
    expect(await dashboard.stop()).toBe(0);
    expect(dashboard.stderr.match(/Kafka/g)).toHaveLength(1);
    expect(dashboard.stdout).toMatch(/\nStopped\.\n$/);
  });

  test("an unreachable Kafka: commands that look say so within seconds", async () => {
    const tail = await run(["tail", "events", "--brokers", "127.0.0.1:1", "--no-follow"]);
    expectClear(tail, "127.0.0.1:1");
    const audit = await run(["audit", "--brokers", "127.0.0.1:1"]);
    expect(audit.code).toBe(2);
    expect(audit.stderr).toMatch(/^tidegate: audit could not look: /);
  });

  test("a Kafka that hangs: it takes connections and says nothing", async () => {
    const sockets = new Set<Socket>();
    const port = await occupied((socket) => sockets.add(socket));
    cleanups.push(async () => {
      for (const socket of sockets) socket.destroy();
    });
    const brokers = ["--brokers", `127.0.0.1:${port}`];
    const begun = performance.now();
    const [tail, audit] = await Promise.all([
      run(["tail", "events", ...brokers, "--no-follow"]),
      run(["audit", ...brokers]),
    ]);
    expect(performance.now() - begun).toBeLessThan(20_000);
    expectClear(tail, `127.0.0.1:${port}`);
    expect(audit.code).toBe(2);
    expect(audit.stderr).toMatch(/^tidegate: audit could not look: /);
  });

  test("commands that look at a directory where nothing is: tail ends with 1, audit with 2", async () => {
    const audit = await run(["audit", ...data()]);
    expect(audit.code).toBe(2);
    expect(audit.stderr).toMatch(/no event log .*--data-dir/);
    expectClear(await run(["tail", "events", ...data()]), /no event log .*--data-dir/);
  });

  test("commands that look beside the demo's data: where that is", async () => {
    mkdirSync(join(directory, "data", "demo", "log"), { recursive: true });
    const found = await run(["tail", "events", "--data-dir", "./data"], { cwd: directory });
    expectClear(found, "add --data-dir ./data/demo");
  });

  test("commands that look at a gateway's directory: its log is Kafka", async () => {
    const gateway = await started("gateway", ...data(), ...FREE);
    await gateway.stop();
    expectClear(await run(["tail", "events", ...data()]), "forwards to Kafka", "--brokers");
  });

  test("audit with a setting or a flag that is wrong: it could not look", async () => {
    const brokers = await run(["audit", "--brokers", "nonsense"]);
    expect(brokers.code).toBe(2);
    expect(brokers.stderr).toContain('--brokers: "nonsense": write HOST:PORT, e.g. kafka-1:9092');
    expect((await run(["audit", "--nonsense"])).code).toBe(2);
    expect((await run(["audit", "--help"])).code).toBe(0);
  });

  test("a topic that does not exist", async () => {
    await started("start", ...data(), ...FREE);
    expectClear(await run(["tail", "evnts", ...data()]), "telemetry.evnts.v1");
  });
});
