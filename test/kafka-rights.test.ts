/**
 * The rights in docs/kafka.md, run as they stand there against a real Kafka with TLS, SASL and its authorizer on: with them
 * everything works, and no more than that; what Kafka cannot hold is seen afterwards.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { LogRecord } from "../stream/port.ts";
import { missingCommand } from "./debian.ts";
import { noCertificates } from "./kafka/certificates.ts";
import { PASSWORD, SecureKafka } from "./kafka/secure-kafka.ts";
import { kafkaCanRun } from "./kafka/shared-kafka.ts";
import { Program, root, run } from "./program.ts";
import { auditOf } from "./verify.ts";

const exec = promisify(execFile);
const canRun =
  (await kafkaCanRun("rights on a Kafka with its authorizer on")) && !(await noCertificates());

interface Finding {
  readonly area: string;
  readonly state: string;
  readonly subject: string;
  readonly text: string;
  readonly fix?: string;
}

describe.skipIf(!canRun)("rights", { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "tidegate-rights-"));
  const cleanups: (() => Promise<unknown>)[] = [];
  let kafka: SecureKafka;
  let gateway: Program;

  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  /** Flags of a user over TLS and SCRAM. */
  const as = (user: string, passwordFile = join(directory, "password")) => [
    ...["--brokers", kafka.at("SASL"), "--kafka-sasl", "SCRAM-SHA-512", "--kafka-user", user],
    ...["--kafka-password-file", passwordFile, "--kafka-ca", kafka.certificates.ca],
  ];
  const doctor = async (role: string, flags: readonly string[]) => {
    const { code, stdout, stderr } = await run(["doctor", role, "--json", ...flags]);
    if (stdout === "") throw new Error(stderr);
    const { findings, verdict } = JSON.parse(stdout) as { findings: Finding[]; verdict: string };
    return { code, verdict, findings, bad: findings.filter(({ state }) => state === "fail") };
  };
  const logAs = async (user: string, lines: string[] = []) => {
    const write = (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg);
    const log = new KafkaEventLog({
      brokers: [kafka.at("SASL")],
      clientId: "rights",
      logger: pino({ level: "warn" }, { write }),
      credentials: () => ({
        ...kafka.sasl(user),
        tls: { ca: readFileSync(kafka.certificates.ca, "utf8") },
      }),
    });
    await log.start();
    cleanups.push(() => log.stop());
    return log;
  };
  const publish = async (program: Program, value: number) => {
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${program.mqttPort}`);
    await device.publishAsync("sensors/freezer-1", String(value), { qos: 1 });
    await device.endAsync();
  };
  const ready = async (program: Program) =>
    (await (await fetch(program.address("Health"))).json()) as Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    kafka = await SecureKafka.start({ users: ["gw-7", "gw-8", "cloud", "dashboard"] });
    cleanups.push(() => kafka.stop());
    file("password", `${PASSWORD}\n`);
    const made = await run(["topics", "create", "--brokers", kafka.broker.address]);
    expect(made.stderr).toBe("");
    const text = readFileSync(join(root, "docs/kafka.md"), "utf8");
    const lines = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");
    expect(lines.length).toBeGreaterThan(3);
    await kafka.shell(lines.join("\n"));
  }, 180_000);
  afterAll(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    await rm(directory, { recursive: true });
  });

  test("readings come through, from a gateway that may only append to a cloud that may not", async () => {
    gateway = await new Program([
      ...["gateway", ...as("gw-7"), "--gateway-id", "gw-7", "--log-level", "trace"],
      ...["--data-dir", join(directory, "gateway"), "--mqtt-port", "0", "--http-port", "0"],
    ]).start();
    const where = ["--data-dir", join(directory, "cloud"), "--http-port", "0"];
    const cloud = await new Program(["cloud", ...as("cloud"), ...where]).start();
    cleanups.push(
      () => gateway.kill(),
      () => cloud.kill(),
    );
    await publish(gateway, 1);
    await expect
      .poll(async () => (await auditOf(as("dashboard"))).report.verdict, { timeout: 60_000 })
      .toBe("complete");
    expect(await ready(gateway)).toMatchObject({ status: "ready" });
    expect(gateway.stderr).not.toContain(PASSWORD);
  });

  test.each(["gateway", "cloud", "dashboard"])(
    "doctor finds nothing that a %s lacks",
    async (role) => {
      const { code, bad } = await doctor(role, as(role === "gateway" ? "gw-7" : role));
      expect(bad).toEqual([]);
      expect(code).toBe(0);
    },
  );

  test("doctor tells nobody that a gateway may read, and says what a stranger lacks", async () => {
    const { findings } = await doctor("gateway", as("gw-7"));
    expect(findings.filter(({ area, state }) => area === "rights" && state !== "ok")).toEqual([]);
    const stranger = await doctor("gateway", as("gw-8"));
    expect(stranger.code).toBe(1);
    expect(stranger.bad.map(({ subject, text }) => [subject, text])).toEqual([
      ["telemetry.events.v1", "User:gw-8 may not Write"],
      ["telemetry.status.v1", "User:gw-8 may not Write"],
    ]);
    // What it says is what helps.
    const fixes = stranger.bad.map(({ fix = "" }) => fix.replace(kafka.at("SASL"), "kafka-1:9092"));
    await kafka.shell(fixes.join("\n"));
    expect((await doctor("gateway", as("gw-8"))).bad).toEqual([]);
  });

  test("the gateway's user may do nothing else", async () => {
    const lines: string[] = [];
    const log = await logAs("gw-7", lines);
    const record: LogRecord = { key: "gw-7", headers: {}, value: Buffer.from([0xa0]) };
    const refused = { code: "not_authorized" };
    const drain = async () => {
      for await (const _ of log.read("telemetry.events.v1")) break;
    };
    await expect(drain()).rejects.toMatchObject(refused);
    await expect(log.append("telemetry.rollups.v1", [record])).rejects.toMatchObject(refused);
    for (let i = 0; i < 3; i++) {
      await expect(log.ranges("telemetry.ledger.v1")).rejects.toMatchObject(refused);
    }
    expect(lines).toEqual([
      expect.stringMatching(
        /^TOPIC_AUTHORIZATION_FAILED.* \(telemetry\.ledger\.v1\): user "gw-7" may not/,
      ),
    ]);
    await expect(
      log.createTopics([{ name: "telemetry.mine.v1", partitions: 1, cleanup: "delete" }]),
    ).rejects.toMatchObject(refused);
    // A refusal of one topic does not spoil the others.
    await log.append("telemetry.status.v1", []);
  });

  test("kcat with the gateway's password reads nothing", async ({ skip }) => {
    const missing = await missingCommand("kcat", "kcat");
    if (missing) return skip(missing);
    const settings = {
      "security.protocol": "SASL_SSL",
      // Debian's librdkafka is older than 2.6.1 and cannot do SCRAM with Kafka 4.
      "sasl.mechanism": "PLAIN",
      "sasl.username": "gw-7",
      "sasl.password": PASSWORD,
      "ssl.ca.location": kafka.certificates.ca,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-X", `${name}=${value}`]);
    const topic = ["-C", "-e", "-b", kafka.at("SASL"), "-t", "telemetry.events.v1"];
    const failure = await exec("kcat", [...topic, ...flags]).then(
      () => undefined,
      (error: { stderr: string }) => error.stderr,
    );
    expect(failure).toMatch(/authorization failed/i);
  });

  test("a certificate of that name has the same rights", async () => {
    const own = await kafka.certificates.issue("gw-7");
    const flags = ["--brokers", kafka.at("MTLS"), "--kafka-ca", kafka.certificates.ca];
    const certificate = ["--kafka-cert", own.cert, "--kafka-key", own.key];
    const { bad, findings } = await doctor("gateway", [...flags, ...certificate]);
    expect(bad).toEqual([]);
    expect(findings.find(({ subject }) => subject === "kafka.tls.cert_file")?.text).toMatch(
      /^ends in/,
    );
  });

  test("what Kafka cannot hold: another gateway's user repeats our events, and the audit says so", async () => {
    const reader = await logAs("dashboard");
    const own: LogRecord[] = [];
    for await (const { key, headers, value } of reader.read("telemetry.events.v1")) {
      if (key === "gw-7") own.push({ key, headers, value });
    }
    expect(own.length).toBeGreaterThan(1);
    const forger = await logAs("gw-8");
    await forger.append("telemetry.events.v1", own.slice(0, 2));
    await expect
      .poll(async () => (await auditOf(as("dashboard"))).report.totals.duplicates, {
        timeout: 30_000,
      })
      .toBe(2);
    // The other way, a key that is not the gateway's own, is refused by the processors.
    const [first] = own;
    if (first) await forger.append("telemetry.events.v1", [{ ...first, key: "gw-8" }]);
    const codes = async () => {
      const { stdout } = await run([
        "tail",
        "rejected",
        "--all",
        "--no-follow",
        ...as("dashboard"),
      ]);
      return stdout;
    };
    await expect.poll(codes, { timeout: 30_000 }).toContain('"bad_key"');
  });

  test("a wrong password keeps no device waiting, is told once, and is mended without a restart", async () => {
    const password = file("wrong", "wrong\n");
    const program = await new Program([
      ...["gateway", ...as("gw-7", password), "--gateway-id", "gw-late"],
      ...["--data-dir", join(directory, "late"), "--mqtt-port", "0", "--http-port", "0"],
    ]).start();
    cleanups.push(() => program.kill());
    await publish(program, 2);
    await expect
      .poll(() => ready(program))
      .toMatchObject({
        status: "ready",
        log: "waiting",
        log_error: expect.stringMatching(/does not let in user "gw-7" with SCRAM-SHA-512/),
      });
    await expect.poll(() => program.stderr).toMatch(/does not let in user/);
    file("wrong", PASSWORD);
    await expect
      .poll(async () => (await ready(program)).buffered_events, { timeout: 30_000 })
      .toBeLessThanOrEqual(1);
    expect(program.stderr.trim().split("\n")).toHaveLength(1);
    expect(await ready(program)).not.toHaveProperty("log_error");
  });

  test("a topic that was set otherwise is found, and what doctor says puts it right", async () => {
    await kafka.shell(
      "kafka-configs.sh --bootstrap-server kafka-1:9092 --alter --entity-type topics --entity-name telemetry.rollups.v1 --add-config retention.ms=1000,cleanup.policy=delete",
    );
    const { code, bad } = await doctor("cloud", as("cloud"));
    expect(code).toBe(1);
    expect(bad).toMatchObject([
      {
        area: "topics",
        subject: "telemetry.rollups.v1",
        text: expect.stringMatching(
          /^cleanup\.policy is delete, and should be compact,delete; retention\.ms is 1000 \(0 days\)/,
        ),
      },
    ]);
    await kafka.shell(bad[0]?.fix?.replace(kafka.at("SASL"), "kafka-1:9092") ?? "false");
    expect((await doctor("cloud", as("cloud"))).bad).toEqual([]);
  });

  test("topics get what the configuration says, from us and from the commands that are printed", async () => {
    const copies = { TIDEGATE_TOPICS_REPLICATION_FACTOR: "1", TIDEGATE_TOPICS_PARTITIONS: "3" };
    const env = { ...copies, TIDEGATE_TOPICS_MIN_INSYNC_REPLICAS: "1" };
    const made = ["--brokers", kafka.broker.address, "--namespace", "made"];
    const printed = await run(["topics", "create", ...made, "--dry-run"], { env });
    const commands = printed.stdout.split("\n").filter((line) => /events|rollups\.v1/.test(line));
    expect(commands).toHaveLength(2);
    await kafka.shell(commands.join("\n"));
    const { stdout } = await run(["topics", "create", ...made], { env });
    expect(stdout).toContain("made.rollups.v1  was there with 3 partitions\n");
    expect(stdout).toContain("made.status.v1  created with 3 partitions\n");
    const look = async (of: Readonly<Record<string, string>>) => {
      const found = await run(["doctor", "cloud", "--json", ...made], { env: { ...env, ...of } });
      const { findings } = JSON.parse(found.stdout) as { findings: Finding[] };
      return findings.filter(({ area, state }) => area === "topics" && state !== "ok");
    };
    expect(await look({})).toEqual([]);
    const other = await look({
      TIDEGATE_TOPICS_MIN_INSYNC_REPLICAS: "2",
      TIDEGATE_TOPICS_REPLICATION_FACTOR: "3",
    });
    const events = other.filter(({ subject }) => subject === "made.events.v1");
    expect(events.map(({ text }) => text)).toEqual([
      "has one copy, topics.replication_factor says 3",
      "min.insync.replicas is 1, and should be 2",
    ]);
  });

  test("passwords are printed by nobody", async () => {
    const env = { TIDEGATE_KAFKA_SASL_PASSWORD: PASSWORD };
    const flags = ["--kafka-sasl", "PLAIN", "--kafka-user", "gw-7"];
    const { stdout } = await run(["config", "gateway", ...flags], { env });
    expect(stdout).toContain("password: (set, not shown)");
    expect(stdout).not.toContain(PASSWORD);
  });
});
