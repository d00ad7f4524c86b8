/** A rebuild on Kafka beside processors that share the work, killed in the middle of a switch, and made again. */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sharedKafka } from "../../test/kafka/shared-kafka.ts";
import { record, spec } from "../conformance/harness.ts";
import { expectSums } from "../conformance/rebuilds.ts";
import { planOf, sums } from "../conformance/sums.ts";
import type { Processor } from "../port.ts";
import { Scratch } from "../rebuild/scratch.ts";
import { groupOffsets } from "./group-offsets.ts";
import { KafkaEventLog } from "./kafka-event-log.ts";
import { groupIdOf } from "./kafka-processor.ts";
import { settle } from "./options.ts";
import { KafkaSession } from "./session.ts";

const brokers = await sharedKafka("rebuilds on Kafka");
const logger = pino({ level: process.env.TIDEGATE_TEST_LOG ?? "silent" }, pino.destination(2));
const KEYS = 400;
const PARTITIONS = 3;

describe.skipIf(!brokers)(
  "a rebuild beside two processors under load",
  { timeout: 150_000 },
  () => {
    const logs = new Set<KafkaEventLog>();
    const children = new Set<ChildProcess>();
    let directory = "";
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), "tidegate-rebuild-kafka-"));
    });
    afterEach(async () => {
      for (const child of children) child.kill("SIGKILL");
      for (const log of logs) await log.stop();
      children.clear();
      logs.clear();
      await rm(directory, { recursive: true, force: true });
    });

    async function open(): Promise<KafkaEventLog> {
      const limits = { commitRecords: 500, rebuildHoldMs: 3000 };
      const log = new KafkaEventLog({
        brokers: brokers ?? [],
        clientId: "rebuild-test",
        logger,
        limits,
      });
      logs.add(log);
      await log.start();
      return log;
    }

    test("killed in the middle it changes nothing; made again every record counts once, by the new code", async () => {
      const space = `t${randomBytes(5).toString("hex")}`;
      const names = {
        name: `${space}-sums`,
        inputs: [`${space}.in.v1`],
        output: `${space}.out.v1`,
        changelog: `${space}.sums-changelog.v1`,
      };
      const [input = ""] = names.inputs;
      const [one, two] = [await open(), await open()];
      await one.createTopics([
        spec(input, PARTITIONS),
        spec(names.output, PARTITIONS, "compact"),
        spec(names.changelog, PARTITIONS, "compact"),
      ]);
      let sent = 0;
      const feed = async (count: number) => {
        const records = Array.from({ length: count }, (_, i) =>
          record(`key-${(sent + i) % KEYS}`, sent + i),
        );
        sent += count;
        await one.append(input, records);
      };
      await feed(4000);
      const old = one.process(sums(names));
      await old.start();
      await old.caughtUp();
      await old.stop();
      // From here on the code is another: what is there was counted by the old one.
      const processors: Processor[] = [one, two].map((log) => log.process(sums(names, 3)));
      for (const processor of processors) await processor.start();
      for (const processor of processors) await processor.caughtUp();
      let over = false;
      const feeding = (async () => {
        while (!over) await feed(50);
      })();

      const child = fork(
        join(import.meta.dirname, "rebuild.child.ts"),
        [(brokers ?? []).join(","), space, join(directory, "killed"), "5"],
        { stdio: ["ignore", "inherit", "inherit", "ipc"] },
      );
      children.add(child);
      expect((await once(child, "message"))[0]).toBe("in the middle");
      const session = new KafkaSession(settle({ brokers: brokers ?? [], clientId: "t", logger }));
      const holds = async () => {
        const groupId = groupIdOf(names);
        const all = Array.from({ length: PARTITIONS }, (_, partition) =>
          groupOffsets(session, groupId, names.inputs, partition),
        );
        return (await Promise.all(all)).filter(({ hold }) => hold).length;
      };
      expect(await holds()).toBe(1);
      child.kill("SIGKILL");
      await once(child, "exit");
      expect(existsSync(join(directory, "killed"))).toBe(true);
      await Scratch.sweep(join(directory, "killed"));
      expect(existsSync(join(directory, "killed"))).toBe(false);

      // It waits for the hold of the killed one, as the processors do.
      const { signal } = new AbortController();
      const report = await two.rebuild(sums(names, 3), planOf(sums(names, 3)), {
        dryRun: false,
        directory: join(directory, "again"),
        minFreeBytes: 1,
        signal,
        onProgress: () => {},
      });
      over = true;
      await feeding;
      expect(report).toHaveLength(PARTITIONS);
      for (const processor of processors) await processor.caughtUp();
      await expectSums(one, names, 3);
      expect(await holds()).toBe(0);
      session.close();
      await feed(500);
      for (const processor of processors) await processor.caughtUp();
      await expectSums(one, names, 3);
      for (const processor of processors) await processor.stop();
    });
  },
);
