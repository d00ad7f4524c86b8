/** Processors of one topology on several instances: they share the partitions, and one that ends leaves its own to the others. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { sharedKafka } from "../../test/kafka/shared-kafka.ts";
import { all, counting, expectCountedOnce, record, spec } from "../conformance/harness.ts";
import type { EventLog, Processor } from "../port.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";
import { groupIdOf } from "./kafka-processor.ts";
import { settle } from "./options.ts";
import { KafkaSession } from "./session.ts";
import { PartitionTransactions } from "./transactions.ts";

const brokers = await sharedKafka("processors that share the partitions of a Kafka");
const PARTITIONS = 4;

function partitionsOf(processor: Processor): number[] {
  return [...new Set(processor.status().partitions.map((one) => one.partition))].toSorted();
}

describe.skipIf(!brokers)("a group of processors", { timeout: 60_000 }, () => {
  const logs = new Set<EventLog>();
  afterEach(async () => {
    for (const log of logs) await log.stop();
    logs.clear();
  });

  const seen: string[] = [];
  const logger = pino({ level: "debug" }, { write: (line) => seen.push(line) });

  async function open(): Promise<KafkaEventLog> {
    const log = new KafkaEventLog({
      brokers: brokers ?? [],
      clientId: "group-test",
      logger,
      limits: { commitRecords: 20, sessionTimeoutMs: 6000 },
    });
    logs.add(log);
    await log.start();
    return log;
  }

  async function topology(log: EventLog) {
    const space = `t${randomBytes(5).toString("hex")}`;
    const input = `${space}.in.v1`;
    const names = {
      name: `${space}-count`,
      inputs: [input],
      output: `${space}.out.v1`,
      changelog: `${space}.count-changelog.v1`,
    };
    await log.createTopics([
      spec(input, PARTITIONS),
      spec(names.output, PARTITIONS),
      spec(names.changelog, PARTITIONS, "compact"),
    ]);
    let sent = 0;
    const feed = async (count: number) => {
      const from = sent;
      sent += count;
      const records = Array.from({ length: count }, (_, i) => record(`k-${i % 23}`, from + i));
      await log.append(input, records);
    };
    return { names, feed };
  }

  test("two share the partitions, and one takes all when the other stops", async () => {
    const log = await open();
    const { names, feed } = await topology(log);
    const first = log.process(counting(names));
    await first.start();
    await expect.poll(() => partitionsOf(first), { timeout: 15_000 }).toHaveLength(PARTITIONS);
    await feed(500);
    const other = await open();
    const second = other.process(counting(names));
    await second.start();
    await expect.poll(() => partitionsOf(second), { timeout: 15_000 }).toHaveLength(2);
    await feed(500);
    await first.caughtUp();
    await second.caughtUp();
    expect([...partitionsOf(first), ...partitionsOf(second)].toSorted()).toEqual([0, 1, 2, 3]);
    expect(second.status().recordsProcessed).toBeGreaterThan(0);
    await feed(500);
    await second.stop();
    await feed(500);
    await first.caughtUp();
    expect(partitionsOf(first)).toEqual([0, 1, 2, 3]);
    await expectCountedOnce(log, names.inputs, names.output);
    expect(await all(log.read(names.output))).toHaveLength(2000);
  });

  test("a process that is killed in the middle loses and doubles nothing", async () => {
    const log = await open();
    const { names, feed } = await topology(log);
    const child = spawnProcessor(names);
    await says(child, "processing");
    const first = log.process(counting(names));
    await first.start();
    await expect.poll(() => partitionsOf(first), { timeout: 20_000 }).toHaveLength(2);
    for (let i = 0; i < 10; i++) await feed(100);
    child.kill("SIGKILL");
    await once(child, "exit");
    await feed(500);
    // The group gives the dead one up after the session timeout.
    await expect.poll(() => partitionsOf(first), { timeout: 30_000 }).toHaveLength(PARTITIONS);
    await first.caughtUp();
    await expectCountedOnce(log, names.inputs, names.output);
    expect(await all(log.read(names.output))).toHaveLength(1500);
  });

  test("a new owner fences the old one, which finds its place again", async () => {
    const log = await open();
    const { names, feed } = await topology(log);
    const processor = log.process(counting(names));
    await processor.start();
    await feed(100);
    await processor.caughtUp();
    // Somebody takes the transactional ids, as an owner does of whom the old one has not heard yet.
    const settings = settle({ brokers: brokers ?? [], clientId: "new-owner", logger });
    const session = new KafkaSession(settings);
    const { signal } = new AbortController();
    const group = groupIdOf({ ...counting(names) });
    for (let round = 0; round < 3; round++) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const id = `${group}-${partition}`;
        await new PartitionTransactions(settings, session, id, names.inputs).fence(signal);
      }
      await feed(66);
      await processor.caughtUp();
    }
    session.close();
    expect(seen.some((line) => line.includes("INVALID_PRODUCER_EPOCH"))).toBe(true);
    await feed(202);
    await processor.caughtUp();
    await expectCountedOnce(log, names.inputs, names.output);
    expect(await all(log.read(names.output))).toHaveLength(500);
  });

  test("inputs of differing partition counts are refused in words", async () => {
    const log = await open();
    const { names } = await topology(log);
    const narrow = `${names.name}.narrow.v1`;
    await log.createTopics([spec(narrow, 1)]);
    const processor = log.process(counting({ ...names, inputs: [...names.inputs, narrow] }));
    await processor.start();
    await expect.poll(() => processor.status().state, { timeout: 10_000 }).toBe("failed");
    expect(processor.status().lastError).toContain("as many partitions");
    await expect(processor.caughtUp()).rejects.toMatchObject({ code: "invalid" });
  });
});

function spawnProcessor(names: Parameters<typeof counting>[0]): ChildProcess {
  const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    const { pino } = await import("pino");
    const { KafkaEventLog } = await import(${here("./kafka-event-log.ts")});
    const log = new KafkaEventLog({
      brokers: ${JSON.stringify(brokers)}, clientId: "child", logger: pino({ level: "silent" }),
      limits: { commitRecords: 20, sessionTimeoutMs: 6000 },
    });
    await log.start();
    const names = ${JSON.stringify(names)};
    const processor = log.process({
      name: names.name, inputs: names.inputs, changelog: names.changelog,
      outputs: [{ topic: names.output, coalesce: false }],
      step(state, input) {
        const { decodeCbor } = codec;
        const { record } = input;
        const old = state.get(record.key) ?? { key: record.key, count: 0, sum: 0 };
        const now = { key: record.key, count: old.count + 1, sum: old.sum + decodeCbor(record.value) };
        const id = record.topic + "/" + record.partition + "/" + record.offset;
        const out = { topic: names.output, key: record.key, type: "tidegate.device", id, time: 0, event: now };
        return { state: [[record.key, now]], outputs: [out] };
      },
    });
    const codec = await import(${here("../../events/codec.ts")});
    await processor.start();
    await processor.caughtUp();
    console.log("processing");
  `;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function says(child: ChildProcess, word: string): Promise<void> {
  if (!child.stdout) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) if (line === word) return;
  throw new Error(`ended without saying ${word}`);
}
