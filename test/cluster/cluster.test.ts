/**
 * The short form of the cluster under faults: a few faults of each lane against three real brokers, and everything that
 * stands in the topics afterwards is judged. The long form, with minutes and a seed, is `npm run test:cluster`.
 *
 * A failing run prints its seed and what happened when; TEST_SEED replays its faults (the machine's own timing stays its own).
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { kafkaCanRun } from "../kafka/shared-kafka.ts";
import { runCluster } from "./cluster-run.ts";
import { judge } from "./judge.core.ts";
import { plants } from "./plants.core.ts";

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const canRun = await kafkaCanRun("three brokers under faults");

describe.skipIf(!canRun)(`three brokers under faults (TEST_SEED=${seed})`, () => {
  test("nothing is lost, and everything counts once", { timeout: 1_500_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), "tidegate-cluster-"));
    const timeline: string[] = [];
    try {
      const report = await runCluster({
        seed,
        directory,
        gateways: 30,
        gatewayProcesses: 2,
        oneGateways: 2,
        processors: 2,
        partitions: 3,
        rate: 5,
        // Half-open connections are given up sooner than a team would set it: it is what most of the time goes to.
        limits: { requestTimeoutMs: 5000 },
        untilMs: Infinity,
        faults: { brokers: 4, processors: 3, gateways: 2, "one gateway": 3 },
        onNote: (line) => timeline.push(line),
      });
      expect(report.problems).toEqual([]);
      expect([...report.struck.values()].reduce((sum, one) => sum + one, 0)).toBe(12);
      expect(report.verdict.acknowledged).toBeGreaterThan(0);
      expect(report.verdict.readings).toBeGreaterThanOrEqual(report.verdict.acknowledged);
      expect(report.verdict.rollups).toBeGreaterThan(0);
      // The judge can see what this run would look like if it had failed.
      for (const [name, plant] of Object.entries(plants)) {
        const { judged } = report;
        const { problems } = judge({ ...judged, view: plant(judged.view) });
        expect(problems, name).not.toEqual([]);
      }
    } catch (error) {
      (error as Error).message += `\nseed ${seed}\n${timeline.join("\n")}`;
      throw error;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
