/** The helper itself: Kafka comes up, comes back after kill -9 with its data, and dies with the process that started it. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import { KafkaBroker } from "./kafka-broker.ts";
import { kafkaCanRun } from "./shared-kafka.ts";

const canRun = await kafkaCanRun("the Kafka helper's own tests");

function logOn(broker: KafkaBroker): KafkaEventLog {
  const logger = pino({ level: "silent" });
  return new KafkaEventLog({ brokers: [broker.address], clientId: "helper", logger });
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe.skipIf(!canRun)("the Kafka helper", { timeout: 120_000 }, () => {
  const broker = new KafkaBroker();
  beforeAll(() => broker.start(), 120_000);
  afterAll(() => broker.stop());

  it("keeps topics over kill -9 and a start on the same port", async () => {
    const log = logOn(broker);
    await log.start();
    await log.createTopics([{ name: "kept", partitions: 2, cleanup: "delete" }]);
    await log.stop();
    const address = broker.address;
    await broker.kill();
    expect(await answers(Number(address.split(":")[1]))).toBe(false);
    await broker.start();
    expect(broker.address).toBe(address);
    const again = logOn(broker);
    await again.start();
    expect(await again.ranges("kept")).toHaveLength(2);
    await again.stop();
  });

  it("ends with the process that started it, even after kill -9", async () => {
    const program = `const { KafkaBroker } = await import(${JSON.stringify(
      new URL("./kafka-broker.ts", import.meta.url).href,
    )}); const b = new KafkaBroker(); await b.start(); console.log(b.address); setInterval(() => {}, 1e6);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const port = Number(line.toString().trim().split(":")[1]);
    expect(await answers(port)).toBe(true);
    // The end of the shell that guards Kafka is what can be waited for from outside.
    const { stdout } = await promisify(execFile)("pgrep", ["-P", String(child.pid)]);
    const guard = Number(stdout.trim().split("\n")[0]);
    child.kill("SIGKILL");
    await once(child, "exit");
    await expect.poll(() => existing(guard), { timeout: 10_000, interval: 20 }).toBe(false);
    expect(await answers(port)).toBe(false);
  });
});

function existing(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
