import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ScenarioFleet, type ScenarioFleetOptions } from "./fleet-scenario.ts";
import { type ArrivedMessage, checkLedger, readLedger } from "./oracle-ledger.ts";
import type { Behaviour, DeviceSpec, GatewaySpec, Scenario } from "./scenario/scenario.ts";
import { type Taken, TestBroker } from "./test-support/test-broker.ts";

const NEVER = { at: [] };
const BEHAVIOUR: Behaviour = {
  time: "device",
  clockOffMs: 0,
  duplicates: 0,
  ignoresAcks: 0,
  reconnectEveryMs: 0,
  maxQueued: 1000,
  window: 10,
  silent: NEVER,
};

const START = Date.UTC(2026, 2, 1);

function device(
  name: string,
  given: Partial<DeviceSpec> = {},
  behaviour: Partial<Behaviour> = {},
): DeviceSpec {
  return {
    name,
    everyMs: 20,
    phaseMs: 3,
    qos: 1,
    persistent: false,
    numbered: true,
    metrics: { elapsed: { unit: "ms", at: (timeMs) => timeMs - START } },
    ...given,
    behaviour: { ...BEHAVIOUR, ...behaviour },
  };
}

function scenario(devices: readonly DeviceSpec[], more: readonly GatewaySpec[] = []): Scenario {
  const none = { at: [] };
  return {
    name: "test",
    start: START,
    durationMs: 400,
    seed: 3,
    rules: [],
    gateways: [gateway("hall", devices), ...more],
    site: {
      logAway: none,
      power: none,
      processorKills: none,
      writeErrors: none,
      duplicates: "once",
    },
  };
}

function gateway(name: string, devices: readonly DeviceSpec[]): GatewaySpec {
  // What it says of the gateway itself is for virtual time, and not looked at here.
  return { name, devices } as unknown as GatewaySpec;
}

function arrived(taken: readonly Taken[]): ArrivedMessage[] {
  return taken.map(({ topic, payload: { time, ...metrics } }, index) => ({
    id: `epoch-${index + 1}`,
    gateway: "g",
    device: topic.replace("sensors/", ""),
    time: typeof time === "number" ? time : undefined,
    metrics: metrics as ArrivedMessage["metrics"],
  }));
}

describe("a scenario's fleet", () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function broker(): Promise<TestBroker> {
    const made = await new TestBroker().start();
    cleanups.push(() => made.stop());
    return made;
  }

  function ledgerFile(): string {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-fleet-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    return join(folder, "ledger.ndjson");
  }

  async function fleet(options: Omit<ScenarioFleetOptions, "host">): Promise<ScenarioFleet> {
    const made = new ScenarioFleet({ host: "127.0.0.1", drainMs: 3000, ...options });
    cleanups.push(() => made.stop().catch(() => undefined));
    await made.start();
    return made;
  }

  test("devices say the real time, and what the scenario says for that moment of the run", async () => {
    const { port, taken } = await broker();
    const ledger = ledgerFile();
    const begun = Date.now();
    const run = await fleet({ port, ledger, scenario: scenario([device("a"), device("b")]) });
    const summary = await run.finished;
    expect(summary).toMatchObject({ devices: 2, sent: 40, acknowledged: 40, unacknowledged: 0 });
    expect(summary.latencyP50Ms).toBeGreaterThan(0);
    for (const name of ["a", "b"]) {
      const own = taken.filter(({ topic }) => topic === `sensors/${name}`);
      expect(own.map(({ payload }) => payload.n)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
      expect(own.map(({ payload }) => payload.elapsed)).toEqual(
        Array.from({ length: 20 }, (_, i) => 3 + 20 * i),
      );
      for (const { payload } of own) {
        const real = Number(payload.time) - Number(payload.elapsed);
        expect(real).toBeGreaterThanOrEqual(begun - 1);
        expect(real).toBeLessThan(begun + 2000);
      }
    }
    const read = readLedger(ledger);
    expect(read).toMatchObject({ kind: "scenario", scenario: "test", seed: 3, complete: true });
    expect(checkLedger(read, arrived(taken))).toMatchObject({ ok: true, arrived: 40 });
  });

  test("every habit of devices at once, over connections that break: the ledger knows all of it", async () => {
    const server = await broker();
    const ledger = ledgerFile();
    const devices = [
      device("plain"),
      device("timeless", {}, { time: "none" }),
      device("late", {}, { time: "wrong", clockOffMs: -3_600_000 }),
      device("twice", {}, { duplicates: 0.5 }),
      device("deaf", { persistent: true }, { ignoresAcks: 0.5 }),
      device("shaky", { persistent: true }, { reconnectEveryMs: 100 }),
      device("exact", { qos: 2 }),
      device("exact-shaky", { qos: 2, persistent: true }, { reconnectEveryMs: 150 }),
      device("careless", { qos: 0 }),
      device("sleeper", {}, { sleep: { everyMs: 120 } }),
    ];
    const refused = new Set<string>();
    server.refuse = ({ topic, payload }) => {
      const name = `${topic} ${payload.n}`;
      if (refused.has(name) || topic !== "sensors/plain" || Number(payload.n) % 5 !== 0)
        return false;
      refused.add(name);
      return true;
    };
    const run = await fleet({
      port: server.port,
      ledger,
      scenario: scenario(devices),
      durationMs: 1500,
    });
    const summary = await run.finished;
    expect(summary.unacknowledged).toBe(0);
    expect(summary.unsent).toBe(0);
    expect(summary.resent).toBeGreaterThan(20);
    expect(summary.reconnects).toBeGreaterThan(5);
    expect(refused.size).toBeGreaterThan(0);
    expect(summary.faults[0]).toEqual(["the broker closed the connection", expect.any(Number)]);
    const read = readLedger(ledger);
    const verdict = checkLedger(read, arrived(server.taken));
    expect(verdict).toMatchObject({ missing: [], surplus: [], changed: [], unknown: [] });
    const sentBy = (name: string) => read.messages.filter((one) => one.device === name);
    for (const { name } of devices) {
      const times = server.taken.filter(({ topic }) => topic === `sensors/${name}`);
      expect(times.length, name).toBeGreaterThan(20);
      expect(sentBy(name).length, name).toBeGreaterThan(20);
    }
    expect(sentBy("careless").some(({ acknowledged }) => acknowledged)).toBe(false);
    expect(sentBy("twice").reduce((sum, { writes }) => sum + writes, 0)).toBeGreaterThan(80);
    // Each message once more than it was written is found.
    const plain = server.taken.filter(({ topic }) => topic === "sensors/twice");
    expect(checkLedger(read, arrived([...server.taken, ...plain, ...plain]))).toMatchObject({
      ok: false,
    });
  });

  test("a gateway of the scenario may be somewhere else", async () => {
    const [one, other] = [await broker(), await broker()];
    const given = scenario([device("a")], [gateway("yard", [device("b")])]);
    const gateways = new Map([["yard", { host: "127.0.0.1", port: other.port }]]);
    await (await fleet({ port: one.port, scenario: given, gateways })).finished;
    expect(new Set(one.taken.map(({ topic }) => topic))).toEqual(new Set(["sensors/a"]));
    expect(new Set(other.taken.map(({ topic }) => topic))).toEqual(new Set(["sensors/b"]));
    const strange = new Map([["attic", { host: "h", port: 1 }]]);
    const options = { host: "h", port: 1, scenario: given, gateways: strange };
    expect(() => new ScenarioFleet(options)).toThrow(/the scenario test has no gateway attic/);
  });

  test("stopped before its time it makes nothing more, and waits for what was sent", async () => {
    const { port, until, taken } = await broker().then((made) => ({
      port: made.port,
      taken: made.taken,
      until: made.until.bind(made),
    }));
    const ledger = ledgerFile();
    const run = await fleet({
      port,
      ledger,
      scenario: scenario([device("a")]),
      durationMs: 60_000,
    });
    await until((some) => some.length >= 5);
    const summary = await run.stop();
    expect(summary).toMatchObject({ unacknowledged: 0, sent: taken.length });
    expect(readLedger(ledger).complete).toBe(true);
    const header = JSON.parse(readFileSync(ledger, "utf8").split("\n")[0] ?? "");
    expect(header).toMatchObject({ scenario: "test", options: { devices: 1, durationMs: 60_000 } });
  });

  test("where no broker is it says so", async () => {
    const server = await broker();
    await server.stop();
    const run = await fleet({
      port: server.port,
      scenario: scenario([device("a")]),
      connectMs: 200,
    });
    await expect(run.finished).rejects.toMatchObject({ code: "broker_unreachable" });
    cleanups.length = 0;
  });
});
