/** Rebuilds of a running cloud on both logs: rollups that an older version counted wrongly, and alerts by other rules. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { decodeEvent } from "../events/codec.ts";
import type { Rollup } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { parseRules } from "../rules/file.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog, StoredRecord, Topology } from "../stream/port.ts";
import { sharedKafka } from "../test/kafka/shared-kafka.ts";
import { Cloud } from "./cloud.ts";
import { type RebuildRequest, rebuildCloud } from "./rebuild.ts";
import { NOON, TestJournal } from "./test-support/journal.ts";
import { SETTINGS } from "./test-support/pipeline.ts";
import { cloudTopicSpecs, cloudTopologies } from "./topics.ts";

const brokers = await sharedKafka("rebuilds of the cloud");
const logger = pino({ level: "silent" });
const TOPICS = { partitions: 3, events_retention_days: 30 };
const HOT = "rules: [{ name: hot, when: t above 90 }]";
const WARM = "rules: [{ name: hot, when: t above 90 }, { name: warm, when: t above 50 }]";

describe.each(["embedded", "kafka"] as const)("on the %s log", (kind) => {
  const skip = kind === "kafka" && !brokers;
  let namespace = "";
  let directory = "";
  let log: EventLog;

  beforeEach(async () => {
    namespace = `t${randomBytes(5).toString("hex")}`;
    directory = mkdtempSync(join(tmpdir(), "tidegate-cloud-rebuild-"));
    log =
      kind === "embedded"
        ? new EmbeddedEventLog({ directory: join(directory, "log") })
        : new KafkaEventLog({ brokers: brokers ?? [], clientId: namespace, logger });
    await log.start();
    onTestFinished(async () => {
      await log.stop();
      rmSync(directory, { recursive: true, force: true });
    });
    await log.createTopics(cloudTopicSpecs(namespace, TOPICS, SETTINGS));
  });

  async function started(rules: string): Promise<Cloud> {
    const readModelDirectory = join(directory, "read-model");
    const parsed = parseRules(rules, "rules.yaml");
    const options = { log, namespace, rules: parsed, settings: SETTINGS, topics: TOPICS, logger };
    const cloud = new Cloud({ ...options, readModelDirectory });
    onTestFinished(() => cloud.stop());
    await cloud.start();
    return cloud;
  }

  const append = (records: readonly StoredRecord[]) =>
    log.append(
      topicNames(namespace).events,
      records.map(({ key, headers, value }) => ({ key: key ?? "", headers, value })),
    );

  const rebuild = (request: RebuildRequest) =>
    rebuildCloud({ log, namespace, settings: SETTINGS }, request, {
      directory: join(directory, "rebuild"),
      minFreeBytes: 1,
      signal: new AbortController().signal,
      onProgress: () => {},
    });

  async function sums(): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const [key, { value }] of await log.latest(topicNames(namespace).rollups)) {
      if (value) found[key] = (decodeEvent("tidegate.rollup", value) as Rollup).sum;
    }
    return found;
  }

  function journal(name: string) {
    return new TestJournal(name, "0000000001", { stepMs: 30_000 });
  }

  test.skipIf(skip)(
    "rollups that an older version counted wrongly are right in topic and read model",
    async () => {
      const rollups = cloudTopologies(namespace, SETTINGS, []).find(
        ({ name }) => name === "rollups",
      );
      const broken = log.process(wrong(rollups as Topology));
      const journals = ["gw-one", "gw-two"].map(journal);
      const some = journals.flatMap((one) =>
        Array.from({ length: 100 }, (_, i) => one.reading("a", { t: i })),
      );
      await append(some);
      await broken.start();
      await broken.caughtUp();
      await broken.stop();
      const cloud = await started(HOT);
      await append(journals.map((one) => one.reading("a", { t: 1 })));
      await cloud.caughtUp();
      const was = await sums();
      const summary = await rebuild({ topology: "rollups", dryRun: false });
      expect(summary).toMatchObject({ records: 202, whole: true, partitions: 3 });
      expect(summary.changed).toBe(4);
      await append(journals.map((one) => one.reading("a", { t: 2 })));
      await cloud.caughtUp();
      const now = await sums();
      expect(now).not.toEqual(was);
      const total = (resolution: string, gateway: string) =>
        Object.entries(now)
          .filter(([key]) => key.startsWith(`${gateway}/a/t/${resolution}/`))
          .reduce((sum, [, one]) => sum + one, 0);
      for (const gateway of ["gw-one", "gw-two"]) {
        expect([total("1m", gateway), total("1h", gateway)]).toEqual([4953, 4953]);
      }
      const of = { metric: "t", gateway: "gw-one", device: "a", resolution: "1h" } as const;
      const windows = await cloud.readModel?.rollups({
        ...of,
        from: NOON,
        to: NOON + 7_200_000,
        limit: 10,
      });
      expect(windows?.reduce((sum, one) => sum + one.sum, 0)).toBe(4953);
      expect(await rebuild({ topology: "rollups", dryRun: true })).toMatchObject({ changed: 0 });
    },
    60_000,
  );

  test.skipIf(skip)(
    "alerts by other rules: told once, history for the past, and the running processors follow",
    async () => {
      const cloud = await started(HOT);
      const one = journal("gw-one");
      await append([20, 60, 30, 70].map((t) => one.reading("a", { t })));
      await cloud.caughtUp();
      expect((await cloud.readModel?.activeAlerts())?.length).toBe(0);
      const rules = { text: WARM, file: "new.yaml" };
      const dry = await rebuild({ topology: "alerts", dryRun: true, rules });
      const told = { rule: "warm", fate: "new", episodes: 2, firing: 1 };
      expect(dry.rules).toMatchObject([{ rule: "hot", fate: "kept" }, told]);
      const summary = await rebuild({ topology: "alerts", dryRun: false, rules });
      expect(summary.rules).toMatchObject([{ rule: "hot", fate: "kept" }, told]);
      await cloud.caughtUp();
      const active = await cloud.readModel?.activeAlerts();
      expect(active).toMatchObject([{ rule: "warm", state: "firing" }]);
      const history = await cloud.readModel?.alertHistory({ limit: 10 });
      expect(history?.total).toBe(3);
      // A gateway that is new, and in a partition in which nothing was processed yet perhaps.
      const others = ["gw-2", "gw-3", "gw-4", "gw-5", "gw-6"].map(journal);
      await append([
        one.reading("a", { t: 10 }),
        ...others.map((own) => own.reading("b", { t: 55 })),
      ]);
      await cloud.caughtUp();
      const now = await cloud.readModel?.activeAlerts();
      expect(now?.map(({ gateway }) => gateway).sort()).toEqual(
        others.map(({ gateway }) => gateway),
      );
      expect((await rebuild({ topology: "alerts", dryRun: true, rules })).changed).toBe(0);
      const none = rebuild({ topology: "alerts", dryRun: true });
      await expect(none).rejects.toMatchObject({ code: "invalid" });
    },
    60_000,
  );
});

/** As if a version had once added a hundred to every sum. */
function wrong(topology: Topology): Topology {
  return {
    ...topology,
    step(state, input) {
      const { state: changes, outputs } = topology.step(state, input);
      const worse = [...changes].map(([key, value]): readonly [string, unknown] => {
        if (!key.startsWith("open/")) return [key, value];
        const open = value as Record<string, readonly number[] | undefined>;
        const more = Object.entries(open).map(([resolution, one]) => [
          resolution,
          one?.map((number, i) => (i === 4 ? number + 100 : number)),
        ]);
        return [key, Object.fromEntries(more)];
      });
      return { state: worse, outputs };
    },
  };
}
