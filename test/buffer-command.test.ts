/** `tidegate buffer` on what real gateways have left behind: whole, damaged, without its mark, in quarantine, running. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Finished, Program, run } from "./program.ts";

let directory = "";
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tidegate-buffer-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true });
});

const store = (...path: string[]) => join(directory, "buffer", ...path);
const buffer = (...args: string[]): Promise<Finished> =>
  run(["buffer", ...args, "--data-dir", directory]);

async function startGateway(): Promise<Program> {
  const program = new Program(
    ["gateway", "--data-dir", directory, "--mqtt-port", "0", "--http-port", "0"],
    { env: { TIDEGATE_HEARTBEAT_INTERVAL_MS: "600000", TIDEGATE_LOG_LEVEL: "silent" } },
  );
  await program.start();
  cleanups.push(() => program.kill());
  return program;
}

/** Readings of two devices, a third of them of `cold-room`. */
async function publish(program: Program, count: number, pad = ""): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${program.mqttPort}`);
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      client.publishAsync(
        `sensors/${i % 3 === 0 ? "cold-room" : "freezer-1"}`,
        JSON.stringify({ n: i, pad }),
        { qos: 1 },
      ),
    ),
  );
  await client.endAsync();
}

interface Line {
  readonly id: string;
  readonly sequence: number;
  readonly type: string;
  readonly data: {
    readonly metrics?: { readonly n: number };
    readonly from?: number;
    readonly to?: number;
  };
}
const lines = (text: string): Line[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
const values = (text: string) => lines(text).flatMap(({ data }) => data.metrics?.n ?? []);

/** Everything in the data directory with its size and time of change: what only looks changes none of it. */
async function footprint(): Promise<string[]> {
  const names = readdirSync(directory, { recursive: true }) as string[];
  return await Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(join(directory, name));
      return `${name} ${size} ${mtimeMs}`;
    }),
  );
}

/** Breaks the log of the store in the middle. */
async function breakLog(): Promise<void> {
  const name =
    readdirSync(store())
      .filter((file) => file.endsWith(".log"))
      .sort()
      .at(-1) ?? "";
  const bytes = await readFile(store(name));
  const middle = bytes.length >> 1;
  bytes.fill(0xa5, middle, middle + 40);
  await writeFile(store(name), bytes);
}

describe("a whole buffer", () => {
  test.each(["stopped", "killed"])(
    "of a gateway that was %s is called whole, and exported",
    async (how) => {
      const program = await startGateway();
      await publish(program, 50);
      await (how === "stopped" ? program.stop() : program.kill());
      const before = await footprint();

      const check = await buffer("check");
      expect([check.code, check.stderr]).toEqual([0, ""]);
      expect(check.stdout).toMatch(/Epochs +[0-9a-z]{10} {2}up to 52, 1 to 52 wait/);
      expect(check.stdout).toMatch(/Mark +acknowledged up to [0-9a-z]{10}-52\n/);
      expect(check.stdout).toContain("Whole: everything");
      expect(JSON.parse((await buffer("check", "--json")).stdout)).toMatchObject({
        verdict: "whole",
        format: 2,
        mark: { sequence: 52, copied: false },
        damage: [],
        start: "nothing",
      });

      const exported = await buffer("export");
      expect(exported.code).toBe(0);
      expect(values(exported.stdout).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, i) => i),
      );
      expect(lines(exported.stdout).map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: 52 }, (_, i) => i + 1),
      );

      const stats = await buffer("stats");
      expect(stats.stdout).toMatch(/Waits +52 events/);
      expect(stats.stdout).toMatch(/Types +epoch {2}1\n/);
      expect(stats.stdout).toMatch(/Devices +freezer-1 {2}33\n +cold-room {2}17\n/);
      expect(JSON.parse((await buffer("stats", "--json")).stdout)).toMatchObject({
        events: 52,
        devices: 2,
        policy: "drop-oldest",
        damaged: false,
      });
      expect(await footprint()).toEqual(before);
    },
  );
});

describe("a damaged buffer", () => {
  test("says what a start would lose and save, and the start does just that", async () => {
    const program = await startGateway();
    await publish(program, 300, "x".repeat(300));
    await program.kill();
    await breakLog();
    const before = await footprint();

    const check = await buffer("check");
    expect(check.code).toBe(1);
    expect(check.stdout).toMatch(/^Damage {6}records? \d+/m);
    expect(check.stdout).not.toContain("LevelDB cannot");
    expect(check.stdout).toMatch(/^At a start {2}saves what can be saved/m);
    const { lost, saved } = JSON.parse((await buffer("check", "--json")).stdout) as {
      lost: { epoch: string; from: number; to: number }[];
      saved: number;
    };
    const gone = lost.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    expect(gone).toBeGreaterThan(0);
    expect(gone + saved).toBe(302);
    expect(check.stdout).toContain(`Damaged: ${gone} event`);

    const exported = await buffer("export");
    expect(exported.code).toBe(1);
    expect(exported.stderr).toContain(`${gone} event`);
    const found = lines(exported.stdout);
    expect(
      found.filter(({ type }) => type === "tidegate.loss").map(({ data }) => [data.from, data.to]),
    ).toEqual(lost.map(({ from, to }) => [from, to]));
    expect(found.filter(({ type }) => type !== "tidegate.loss")).toHaveLength(saved);
    expect((await buffer("stats")).stdout).toMatch(/^Damaged +these are the figures/m);
    expect(await footprint()).toEqual(before);

    await (await startGateway()).stop();
    const after = await buffer("check");
    expect(after.code).toBe(0);
    expect(after.stdout).toMatch(/^Quarantine {2}1 {2}put aside \d{4}-/m);
    const kept = lines((await buffer("export")).stdout);
    const ids = new Set(kept.map(({ id }) => id));
    expect(found.filter(({ id }) => !ids.has(id))).toEqual([]);

    const original = await buffer("export", "--quarantine", "1");
    expect(
      lines(original.stdout)
        .filter(({ data }) => data.metrics)
        .map(({ id }) => id),
    ).toEqual(found.filter(({ data }) => data.metrics).map(({ id }) => id));
    await mkdir(join(directory, "buffer.quarantine", "5"));
    await writeFile(join(directory, "buffer.quarantine", "5", "000003.log"), "x".repeat(50_000));
    expect(await buffer("export", "--quarantine", "5")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("neither the mark nor the record of its epochs"),
    });
    expect(await buffer("export", "--quarantine", "7")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no quarantined original 7"),
    });
  });

  test("without its mark it cannot be proven to be all", async () => {
    const program = await startGateway();
    await publish(program, 5);
    await program.kill();
    await rm(join(directory, "buffer.mark"));
    const check = await buffer("check");
    expect(check.code).toBe(1);
    expect(check.stdout).toMatch(/Mark +not there/);
    expect(check.stdout).toContain("begins a new epoch");
    expect(values((await buffer("export")).stdout)).toHaveLength(5);
  });

  test("a store that is gone altogether is one too", async () => {
    const program = await startGateway();
    await publish(program, 5);
    await program.kill();
    await rm(store(), { recursive: true });
    const check = await buffer("check");
    expect(check.code).toBe(1);
    expect(check.stdout).toMatch(/^Would lose +[0-9a-z]{10} {2}1 to 7 \(7 events\)/m);
  });
});

test("a running gateway is asked, and nothing of its store is touched", async () => {
  const program = await startGateway();
  await publish(program, 5);
  const check = await buffer("check");
  expect([check.code, check.stderr]).toEqual([0, ""]);
  expect(check.stdout).toContain(`A gateway has the buffer open (process ${program.pid}, http://`);
  expect(JSON.parse((await buffer("check", "--json")).stdout)).toMatchObject({
    verdict: "running",
    ready: true,
    buffer: { state: "open", waiting: 7 },
  });
  expect((await buffer("stats")).stdout).toMatch(/^Waits +7 events/m);
  expect(await buffer("export")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("stop it first"),
  });
  await publish(program, 5);
  await program.stop();
  expect(values((await buffer("export")).stdout)).toHaveLength(10);
});

test("where there is no buffer it says so, and that is no damage", async () => {
  for (const what of ["check", "export", "stats"]) {
    expect(await buffer(what)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--data-dir"),
    });
  }
  expect((await buffer("check", "--nonsense")).code).toBe(2);
});

test("a reader that closes the pipe ends the export, and nothing is left behind", async () => {
  const program = await startGateway();
  await publish(program, 300, "x".repeat(1000));
  await program.stop();
  const { spawn } = await import("node:child_process");
  const main = join(import.meta.dirname, "..", "dist", "cli", "main.js");
  const child = spawn(process.execPath, [main, "buffer", "export", "--data-dir", directory], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.once("data", () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(0);
  expect(readdirSync(directory).filter((name) => name.startsWith(".tidegate"))).toEqual([]);
  expect(readFileSync(join(directory, "buffer.mark")).length).toBeGreaterThan(0);
});
