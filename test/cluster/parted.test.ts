/**
 * A broker that clients can reach and that is of no use: it says nothing, or it has lost the others and does not know yet that it
 * leads nothing any more. While that lasts everything has to go on with the other two.
 */
import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  all,
  Collector,
  counting,
  expectCountedOnce,
  record,
} from "../../stream/conformance/harness.ts";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import { groupIdOf } from "../../stream/kafka/kafka-processor.ts";
import { type KafkaLimits, settle } from "../../stream/kafka/options.ts";
import { withDeadline } from "../../stream/kafka/retry.ts";
import { type Connection, KafkaSession } from "../../stream/kafka/session.ts";
import type { Processor, StoredRecord, TopicSpec } from "../../stream/port.ts";
import { KafkaCluster, NODES, type NodeId } from "../kafka/kafka-cluster.ts";
import { kafkaCanRun } from "../kafka/shared-kafka.ts";
import { REPLICAS } from "./cloud-settings.ts";

const canRun = await kafkaCanRun("brokers that are cut off from each other");
const logger = pino({ level: "silent" });

describe.skipIf(!canRun)("a broker that is of no use", { timeout: 300_000 }, () => {
  let cluster: KafkaCluster;
  const open = new Set<KafkaEventLog>();
  beforeAll(async () => {
    cluster = await KafkaCluster.start();
  }, 300_000);
  afterEach(async () => {
    await cluster.whole();
    for (const log of open) await log.stop();
    open.clear();
  });
  afterAll(() => cluster?.stop());

  async function logOn(brokers: readonly string[], limits: Partial<KafkaLimits> = {}) {
    const log = new KafkaEventLog({
      brokers,
      clientId: "parted",
      logger,
      limits: { requestTimeoutMs: 2000, callDeadlineMs: 200_000, longestPauseMs: 500, ...limits },
      ...REPLICAS,
    });
    open.add(log);
    await log.start();
    return log;
  }

  const name = () => `t${randomBytes(5).toString("hex")}`;
  const topic = (of: string, cleanup: TopicSpec["cleanup"] = "delete"): TopicSpec => {
    return { name: of, partitions: 1, cleanup };
  };

  async function withSession<T>(
    work: (connection: Connection) => Promise<T>,
    topics: readonly string[] = [],
  ): Promise<T> {
    const brokers = cluster.directAddresses;
    const settings = settle({ brokers, clientId: "who-leads", logger });
    const session = new KafkaSession(settings);
    const { signal } = new AbortController();
    try {
      return await withDeadline(settings, "ask", signal, () => session.use(topics, work));
    } finally {
      session.close();
    }
  }
  const leaderOf = (of: string) =>
    withSession(async (one) => Number(one.leaderId(of, 0)) as NodeId, [of]);

  test("is not asked again and again when it takes connections and says nothing", async () => {
    for (const id of NODES) {
      cluster.proxy(id).hang(true);
      try {
        // It is the first of the list, and each of the others has to be found behind it.
        const [first = "", ...others] = [
          ...cluster.addresses.slice(id - 1),
          ...cluster.addresses.slice(0, id - 1),
        ];
        const log = await logOn([first, ...others]);
        await log.createTopics([topic(name())]);
      } finally {
        cluster.proxy(id).hang(false);
        cluster.proxy(id).cut();
      }
    }
  });

  test("is not written to for ever when it has lost the others", async () => {
    const of = name();
    const log = await logOn(cluster.addresses);
    await log.createTopics([topic(of)]);
    await log.append(of, [record("a", 1)]);
    const over = cluster.isolate(await leaderOf(of));
    try {
      await log.append(of, [record("a", 2)]);
      await log.append(of, [record("a", 3)]);
    } finally {
      over();
    }
    await cluster.whole();
    expect(await all(log.read(of))).toHaveLength(3);
  });

  test("is not read from for ever when it has lost the others", async () => {
    const of = name();
    const log = await logOn(cluster.addresses, { metadataMaxAgeMs: 2000 });
    await log.createTopics([topic(of)]);
    const seen = new Collector<StoredRecord>();
    const tail = log.tail([of], { from: "start", onRecords: seen.add });
    await tail.start();
    await log.append(of, [record("a", 1)]);
    await seen.reaches(1);
    const over = cluster.isolate(await leaderOf(of));
    try {
      await log.append(of, [record("a", 2)]);
      await seen.reaches(2);
    } finally {
      over();
    }
  });

  /** Topics of a processor whose changelog alone is led by a broker that is nothing else to it. */
  async function apart(log: KafkaEventLog) {
    for (;;) {
      const space = name();
      const input = `${space}.in.v1`;
      const names = {
        name: `${space}-count`,
        inputs: [input],
        output: `${space}.out.v1`,
        changelog: `${space}.count-changelog.v1`,
      };
      const specs = [topic(input), topic(names.output), topic(names.changelog, "compact")];
      await log.createTopics(specs);
      const leader = await leaderOf(names.changelog);
      const others = await withSession(async (one) => {
        const group = groupIdOf(names);
        const coordinators = await Promise.all([
          one.coordinator("group", group),
          one.coordinator("transaction", `${group}-0`),
        ]);
        return coordinators.map(({ nodeId }) => Number(nodeId));
      }, names.inputs);
      others.push(await leaderOf(input), await leaderOf(names.output));
      if (!others.includes(leader)) return { names, leader };
    }
  }

  test("gives no processor a state of before, when it has lost the others", async () => {
    const log = await logOn(cluster.addresses);
    const { names, leader } = await apart(log);
    const [input = ""] = names.inputs;
    const run = async (on: KafkaEventLog) => {
      const processor = on.process(counting(names));
      await processor.start();
      return processor;
    };
    const feed = () => log.append(input, [record("a", 1), record("b", 2), record("a", 3)]);
    const first = await run(log);
    await feed();
    await first.caughtUp();
    await first.stop();
    const over = cluster.isolate(leader);
    let last: Processor;
    try {
      // The others elect another leader of the changelog, and the state goes on there.
      const second = await run(await logOn(cluster.addresses));
      await feed();
      await second.caughtUp();
      await second.stop();
      // Whoever hears of the cluster from the one that is cut off is told that it leads.
      const proxy = cluster.proxy(leader);
      const asked = () => proxy.asked("listOffsets") + 2 * proxy.asked("produce");
      const before = asked();
      last = await run(await logOn([cluster.addresses[leader - 1] ?? ""]));
      await feed();
      // Until it has asked there where the changelog ends, or tried to write to it: either way it does not know better.
      await expect.poll(() => asked() - before, { timeout: 100_000 }).toBeGreaterThanOrEqual(2);
    } finally {
      over();
    }
    await last.caughtUp();
    await expectCountedOnce(log, names.inputs, names.output);
    expect(await all(log.read(names.output))).toHaveLength(9);
  });

  test("does not hold a processor up, whatever it was to it", async () => {
    const space = name();
    const input = `${space}.in.v1`;
    const names = {
      name: `${space}-count`,
      inputs: [input],
      output: `${space}.out.v1`,
      changelog: `${space}.count-changelog.v1`,
    };
    const log = await logOn(cluster.addresses, { metadataMaxAgeMs: 2000 });
    await log.createTopics([topic(input), topic(names.output), topic(names.changelog, "compact")]);
    const processor = log.process(counting(names));
    await processor.start();
    for (const id of NODES) {
      const over = cluster.isolate(id);
      try {
        await log.append(input, [record("a", 1), record("b", 2), record("a", 3)]);
        await processor.caughtUp();
      } finally {
        over();
      }
      await cluster.whole();
    }
    await expectCountedOnce(log, names.inputs, names.output);
    expect(await all(log.read(names.output))).toHaveLength(9);
  });
});
