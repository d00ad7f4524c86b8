/** A processor's copy of its state: a restart reads the tail of the changelog, and never goes on from a copy that is not of it. */
import { randomBytes } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sharedKafka } from "../../test/kafka/shared-kafka.ts";
import { counting, expectCountedOnce, record, spec } from "../conformance/harness.ts";
import type { Processor } from "../port.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaLimits } from "./options.ts";

const brokers = await sharedKafka("copies of a processor's state");
const KEYS = 23;

describe.skipIf(!brokers)("a copy of the state", { timeout: 60_000 }, () => {
  const logs = new Set<KafkaEventLog>();
  let directory = "";
  const said: string[] = [];
  const logger = pino({ level: "info" }, { write: (line) => said.push(line) });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tidegate-copy-"));
    said.length = 0;
  });
  afterEach(async () => {
    for (const log of logs) await log.stop();
    logs.clear();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(
    name = "state",
    more: { limits?: Partial<KafkaLimits>; now?: () => number } = {},
  ): Promise<KafkaEventLog> {
    const { limits, ...rest } = more;
    const log = new KafkaEventLog({
      brokers: brokers ?? [],
      clientId: "copy-test",
      logger,
      stateDirectory: join(directory, name),
      limits: { commitRecords: 50, stateCacheBytes: 600, ...limits },
      ...rest,
    });
    logs.add(log);
    await log.start();
    return log;
  }

  async function close(log: KafkaEventLog): Promise<void> {
    await log.stop();
    logs.delete(log);
  }

  async function topology() {
    const space = `t${randomBytes(5).toString("hex")}`;
    const names = {
      name: `${space}-count`,
      inputs: [`${space}.in.v1`],
      output: `${space}.out.v1`,
      changelog: `${space}.count-changelog.v1`,
    };
    const topics = [
      spec(names.inputs[0] as string, 2),
      spec(names.output, 2),
      spec(names.changelog, 2, "compact"),
    ];
    let sent = 0;
    const feed = async (log: KafkaEventLog, count: number) => {
      const from = sent;
      sent += count;
      const records = Array.from({ length: count }, (_, i) => record(`k-${i % KEYS}`, from + i));
      await log.append(names.inputs[0] as string, records);
    };
    return { names, topics, feed };
  }

  async function run(log: KafkaEventLog, names: Parameters<typeof counting>[0]) {
    const processor: Processor = log.process(counting(names));
    await processor.start();
    await processor.caughtUp();
    return processor;
  }

  test("is gone on from after a restart, and after a kill that left it behind", async () => {
    const log = await open();
    const { names, topics, feed } = await topology();
    await log.createTopics(topics);
    await feed(log, 300);
    const first = await run(log, names);
    expect(first.status()).toMatchObject({ restored: 0, restoring: 0 });
    await first.stop();
    await cp(join(directory, "state"), join(directory, "behind"), { recursive: true });
    await close(log);

    const again = await open();
    const second = await run(again, names);
    // One record of each partition: where the inputs are.
    expect(second.status().restored).toBeLessThanOrEqual(2);
    await feed(again, 300);
    await second.caughtUp();
    await expectCountedOnce(again, names.inputs, names.output);
    const commits = second.status().commits;
    await close(again);

    // As a power cut leaves it: whole, and older than what was committed.
    const behind = await open("behind");
    await feed(behind, 100);
    const third = await run(behind, names);
    const { restored } = third.status();
    expect(restored).toBeGreaterThan(2);
    expect(restored).toBeLessThanOrEqual(2 + commits * (KEYS + 1));
    await expectCountedOnce(behind, names.inputs, names.output);
  });

  test("is made again where it is older than what the changelog keeps of deletions", async () => {
    const log = await open();
    const { names, topics, feed } = await topology();
    await log.createTopics(topics);
    await feed(log, 200);
    await (await run(log, names)).stop();
    await close(log);
    const later = await open("state", { now: () => Date.now() + 13 * 3_600_000 });
    const second = await run(later, names);
    expect(second.status().restored).toBeGreaterThan(KEYS);
    expect(said.join("")).toContain("it is too old");
    await feed(later, 100);
    await second.caughtUp();
    await expectCountedOnce(later, names.inputs, names.output);
  });

  test("of other topics of the same names is found out", async () => {
    const log = await open();
    const { names, topics, feed } = await topology();
    await log.createTopics(topics);
    await feed(log, 200);
    await (await run(log, names)).stop();
    await close(log);
    // The copy is of a topic that has gone; the one that stands there now has come as far, with other things in it.
    const other = await topology();
    const level = new ClassicLevel<Buffer, Buffer>(join(directory, "state"), {
      keyEncoding: "buffer",
      valueEncoding: "buffer",
    });
    expect((await level.keys().all()).length).toBeGreaterThan(KEYS);
    await level.close();
    const elsewhere = await open("other");
    await elsewhere.createTopics(other.topics);
    await other.feed(elsewhere, 170);
    await (await run(elsewhere, other.names)).stop();
    await close(elsewhere);
    await renamed(join(directory, "state"), names.changelog, other.names.changelog);
    const mixed = await open();
    await other.feed(mixed, 60);
    await run(mixed, other.names);
    expect(said.join("")).toContain("the changelog is not the one it was made of");
    await expectCountedOnce(mixed, other.names.inputs, other.names.output);
  });

  test("that is damaged is made again, and nothing counts twice or not at all", async () => {
    const log = await open();
    const { names, topics, feed } = await topology();
    await log.createTopics(topics);
    await feed(log, 300);
    await (await run(log, names)).stop();
    await close(log);
    await damage(join(directory, "state"), /\/sk-/);
    const again = await open();
    await feed(again, 100);
    const processor = await run(again, names);
    expect(said.join("")).toContain("is damaged and is made again from the changelog");
    expect(processor.status().state).toBe("running");
    await expectCountedOnce(again, names.inputs, names.output);
  });

  test("that is damaged under what was changed unread is made again, too, where keys are listed", async () => {
    const log = await open();
    const { names, topics, feed } = await topology();
    const counts = counting(names);
    const listing = {
      ...counts,
      listed: [""],
      step: (...args: Parameters<typeof counts.step>) => {
        const result = counts.step(...args);
        return { ...result, state: [...result.state, ["mark", 1] as const] };
      },
    };
    await log.createTopics(topics);
    await feed(log, 300);
    const first = log.process(listing);
    await first.start();
    await first.caughtUp();
    await close(log);
    await damage(join(directory, "state"), /\/s(mark|k-9|k-1\d|k-2\d)$/);
    const again = await open();
    await feed(again, 100);
    const processor = again.process(listing);
    await processor.start();
    await processor.caughtUp();
    expect(processor.status().state).toBe("running");
    await expectCountedOnce(again, names.inputs, names.output);
  });
});

/** Gives a copy to another changelog; seals are bound to their keys and are made again. */
async function renamed(directory: string, from: string, to: string): Promise<void> {
  const { seal, unseal } = await import("../seal.ts");
  const level = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
  });
  await level.open();
  for await (const [key, value] of level.iterator()) {
    const text = key.toString();
    if (!text.startsWith(from)) continue;
    const now = Buffer.from(text.replace(from, to));
    await level.put(now, seal(now, unseal(key, value) ?? Buffer.alloc(0)));
    await level.del(key);
  }
  await level.close();
}

/** Flips a bit in what stands under these keys. */
async function damage(directory: string, keys: RegExp): Promise<void> {
  const level = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
  });
  await level.open();
  for await (const [key, value] of level.iterator()) {
    if (!keys.test(key.toString())) continue;
    value[value.length - 1] = (value.at(-1) ?? 0) ^ 1;
    await level.put(key, value);
  }
  await level.close();
}
