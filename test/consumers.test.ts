/**
 * The consumers of docs/events.md, as they stand in examples/consumers, against a real Kafka: kcat, Python, Kafka Connect and Kafka
 * Streams read what the oracle says is there, though the journals hold a batch twice.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cloud } from "../cloud/cloud.ts";
import { TestJournal } from "../cloud/test-support/journal.ts";
import { SETTINGS } from "../cloud/test-support/pipeline.ts";
import type { DeviceReading } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { decodeRecord } from "../simulator/oracle-journal.ts";
import { expectedReadings } from "../simulator/oracle-readings.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { StoredRecord } from "../stream/port.ts";
import { missingCommand } from "./debian.ts";
import { javaExample } from "./java-example.ts";
import { kafkaJars } from "./kafka/kafka-jars.ts";
import { sharedKafka } from "./kafka/shared-kafka.ts";
import { root } from "./program.ts";
import { pythonWith } from "./python.ts";

const exec = promisify(execFile);
const brokers = await sharedKafka("the examples of other consumers");
const list = (brokers ?? []).join(",");
const examples = join(root, "examples/consumers");
const pythonPackages = readFileSync(join(examples, "python/requirements.txt"), "utf8")
  .trim()
  .split("\n");

const directory = mkdtempSync(join(tmpdir(), "tidegate-consumers-"));
const namespace = `c${randomBytes(5).toString("hex")}`;
const names = topicNames(namespace);
const log = new KafkaEventLog({
  brokers: brokers ?? [],
  clientId: namespace,
  logger: pino({ level: "silent" }),
});
const cleanups: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true })];
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function append(records: readonly StoredRecord[]): Promise<void> {
  const bare = records.map(({ key, headers, value }) => ({ key: key ?? "", headers, value }));
  await log.append(names.events, bare);
}

/** What the oracle says of the journals as they stand there now. */
async function expected(): Promise<DeviceReading[]> {
  const records: StoredRecord[] = [];
  for await (const record of log.read(names.events)) records.push(record);
  return expectedReadings(records.map((record) => decodeRecord(record))).map(({ data }) => data);
}

const place = ({ gateway, epoch, sequence }: DeviceReading) => `${gateway} ${epoch} ${sequence}`;
const sorted = (some: readonly DeviceReading[]) =>
  some.toSorted((a, b) => (place(a) < place(b) ? -1 : 1));
const lines = (text: string) => text.split("\n").filter((line) => line !== "");

/** A batch that was sent twice; also texts, truth values, a device's own time, a name with a slash. */
const [one, two] = ["plant-7", "plant-8"].map((name) => {
  const journal = new TestJournal(name);
  const readings = Array.from({ length: 60 }, (_, i) =>
    journal.reading(
      i % 3 === 0 ? "line/1" : `freezer-${i % 2}`,
      { temperature: -18 + i / 8, count: i, open: i % 2 === 0, mode: "auto" },
      i % 5 === 0 ? { time: journal.now - 250, clock: "device" } : {},
    ),
  );
  return [journal.opening(), ...readings, journal.heartbeat()];
}) as [StoredRecord[], StoredRecord[]];

describe.skipIf(!brokers)("with the tools that others have", { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await log.start();
    cleanups.push(() => log.stop());
    const cloud = new Cloud({
      log,
      namespace,
      rules: [],
      settings: { ...SETTINGS, readings: { enabled: true, retention_days: 1 } },
      topics: { partitions: 3, events_retention_days: 1 },
      logger: pino({ level: "silent" }),
    });
    cleanups.push(() => cloud.stop());
    await cloud.start();
    await append([...one.slice(0, 40), ...one.slice(20), ...two]);
    await cloud.caughtUp();
  }, 120_000);

  test("kcat shows headers, and the values as JSON", async ({ skip }) => {
    const missing = await missingCommand("kcat", "kcat");
    if (missing) return skip(missing);
    const python = await pythonWith(pythonPackages);
    if (!python.available) return skip(python.reason);
    const env = { ...process.env, PYTHON: python.command };
    const values = await exec(join(examples, "kcat/values.sh"), [list, names.readings], { env });
    const readings = lines(values.stdout).map((line) => JSON.parse(line) as DeviceReading);
    expect(sorted(readings)).toEqual(sorted(await expected()));

    const headers = await exec(join(examples, "kcat/headers.sh"), [list, names.events], { env });
    const told = lines(headers.stdout).filter((line) => line.includes("ce_type=tidegate.reading,"));
    expect(told).toHaveLength(60 + 60 + 20);
    expect(told[0]).toMatch(
      /^\d\/\d+ key=plant-\d content-type=application\/cbor,ce_specversion=1\.0,ce_source=\/gateways\/plant-\d,ce_type=tidegate\.reading,ce_time=[^,]+,ce_id=[0-9a-z]{10}-\d+ bytes=\d+$/,
    );
  });

  test("Python has each reading of the journals once in its table, over a restart and a resent batch", async ({
    skip,
  }) => {
    const python = await pythonWith(pythonPackages);
    if (!python.available) return skip(python.reason);
    const file = join(directory, "readings.sqlite");
    const script = join(examples, "python/journal_to_sqlite.py");
    const read = () => exec(python.command, [script, list, names.events, file, "--until-end"]);
    const check = async () => {
      const table = new DatabaseSync(file);
      const rows = table.prepare("SELECT * FROM readings").all() as unknown as (Omit<
        DeviceReading,
        "metrics"
      > & { metrics: string })[];
      table.close();
      const found = rows.map((row) => ({ ...row, metrics: JSON.parse(row.metrics) }));
      const wanted = (await expected()).map(({ received: _, ...rest }) => rest);
      expect(sorted(found as DeviceReading[])).toEqual(sorted(wanted as DeviceReading[]));
    };
    await read();
    await check();
    await append(two.slice(10, 30));
    await read();
    await check();
  });

  test("Kafka Connect writes each reading as a line of JSON, by the converter", async ({
    skip,
  }) => {
    const built = await javaExample("examples/consumers/connect");
    if (!built.available) return skip(built.reason);
    const jars = await kafkaJars();
    if (!jars.available) return skip(jars.reason);
    const file = join(directory, "readings.json");
    const settings = async (name: string, changes: Readonly<Record<string, string>>) => {
      const text = readFileSync(join(built.folder, name), "utf8");
      const changed = Object.entries(changes).reduce((words, [key, value]) => {
        expect(words).toMatch(new RegExp(`^${key}=`, "m"));
        return words.replace(new RegExp(`^${key}=.*$`, "m"), `${key}=${value}`);
      }, text);
      await writeFile(join(directory, name), changed);
      return join(directory, name);
    };
    const worker = await settings("worker.properties", {
      "bootstrap.servers": list,
      "plugin.path": join(built.folder, "target/plugin"),
      "offset.storage.file.filename": join(directory, "connect.offsets"),
      listeners: "http://127.0.0.1:0",
    });
    const sink = await settings("readings-to-file.properties", {
      name: `${namespace}-readings`,
      topics: names.readings,
      file,
    });
    // As maps, which Connect's own transformations understand.
    const devices = join(directory, "devices.txt");
    const mapped = join(directory, "maps.properties");
    await writeFile(
      mapped,
      `${readFileSync(sink, "utf8")
        .replace(/^name=/m, "name=maps-")
        .replace(/^file=.*$/m, `file=${devices}`)
        .replace("as=json", "as=map")}
transforms=device
transforms.device.type=org.apache.kafka.connect.transforms.ExtractField$Value
transforms.device.field=device
`,
    );
    const started = java(
      "-cp",
      jars.classpath,
      "org.apache.kafka.connect.cli.ConnectStandalone",
      worker,
      sink,
      mapped,
    );
    const wanted = await expected();
    const written = (to: string) => (existsSync(to) ? lines(readFileSync(to, "utf8")) : []);
    for (const to of [file, devices]) {
      await expect
        .poll(() => alive(started) && written(to).length, { timeout: 120_000, interval: 100 })
        .toBe(wanted.length);
    }
    expect(written(devices).toSorted()).toEqual(wanted.map(({ device }) => device).toSorted());
    const readings = written(file).map((line) => JSON.parse(line) as DeviceReading);
    expect(sorted(readings)).toEqual(sorted(wanted));
    await end(started);
  });

  test("Kafka Streams has the means of each device's windows", async ({ skip }) => {
    const built = await javaExample("examples/consumers/streams");
    if (!built.available) return skip(built.reason);
    const means = `${namespace}.means`;
    await log.createTopics([{ name: means, partitions: 3, cleanup: "compact" }]);
    const started = java(
      "-cp",
      join(built.folder, "target/app/*"),
      "tidegate.example.DeviceMeans",
      list,
      namespace,
    );
    const wanted = meansOf(await expected());
    const found = async () => {
      const latest = [...(await log.latest(means))];
      return Object.fromEntries(
        latest.map(([key, { value }]) => [key, JSON.parse(Buffer.from(value ?? []).toString())]),
      );
    };
    await expect
      .poll(async () => alive(started) && found(), { timeout: 120_000, interval: 200 })
      .toEqual(wanted);
    await end(started);
  });
});

const WINDOW_MS = 300_000;

/** Key of device and window → count and mean of each metric that is a number. */
function meansOf(readings: readonly DeviceReading[]): Record<string, object> {
  const sums = new Map<string, Map<string, { count: number; sum: number }>>();
  for (const { gateway, device, time, metrics } of readings) {
    const start = Math.floor(time / WINDOW_MS) * WINDOW_MS;
    const key = `${gateway}/${device.replaceAll("/", "%2F")}@${start}`;
    const own = sums.get(key) ?? new Map();
    sums.set(key, own);
    for (const [name, value] of Object.entries(metrics)) {
      if (typeof value !== "number") continue;
      const { count, sum } = own.get(name) ?? { count: 0, sum: 0 };
      own.set(name, { count: count + 1, sum: sum + value });
    }
  }
  return Object.fromEntries(
    [...sums].map(([key, own]) => [
      key,
      Object.fromEntries(
        [...own].map(([name, { count, sum }]) => [name, { count, mean: sum / count }]),
      ),
    ]),
  );
}

const output = new WeakMap<ChildProcess, string[]>();

function java(...args: readonly string[]): ChildProcess {
  const child = spawn("java", ["-Xmx256m", "-XX:TieredStopAtLevel=1", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, STATE_DIRECTORY: join(directory, "streams") },
  });
  const said: string[] = [];
  output.set(child, said);
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (data) => said.push(`${data}`));
  cleanups.push(() => end(child, "SIGKILL"));
  return child;
}

/** @throws Error with what it said where it has ended */
function alive(child: ChildProcess): true {
  if (child.exitCode === null && child.signalCode === null) return true;
  throw new Error(`it ended: ${output.get(child)?.join("").slice(-2000)}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}
