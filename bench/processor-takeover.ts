/**
 * How long a killed processor's partitions stand still: two processes share the work of twice the series, one of them is
 * killed with its half, and readings that come after that have to be counted by the other.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { topicNames } from "../events/topics.ts";
import type { EventLog } from "../stream/port.ts";
import type { PeerProcessorReport } from "./peer-processor.ts";
import { ask, type Peer, startCloudPeer, stopPeer } from "./processes.ts";
import { fillJournals, GATEWAYS, PARTITIONS, type Work } from "./processor-journals.ts";
import { checkResults, readResults } from "./processor-results.ts";

/** Readings of each device before the kill: three windows of a minute. */
const BEFORE = 9;
const EVERY_MS = 20_000;
const POLL_MS = 50;

export interface Takeover {
  /** Of the killed one. */
  readonly series: number;
  readonly partitions: number;
  /** From the kill until the other one held all partitions, restored. */
  readonly restoredSeconds: number;
  /** … and had counted and committed everything that came since. */
  readonly seconds: number;
}

const report = async (peer: Peer) => await ask<PeerProcessorReport>(peer, "report");

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 300_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen in five minutes`);
    await pause(POLL_MS);
  }
}

/** @param series of the process that is killed */
export async function takeover(
  log: EventLog,
  broker: string,
  directory: string,
  series: number,
): Promise<Takeover> {
  const namespace = "takeover";
  const work: Work = {
    namespace,
    series: series * 2,
    readings: series * BEFORE,
    everyMs: EVERY_MS,
  };
  const start = async (name: string) =>
    await startCloudPeer(
      ...([name, "peer-processor.ts", broker, namespace, namespace] as const),
      join(directory, name),
    );
  const one = await start("the lost one");
  const other = await start("the other");
  try {
    await fillJournals(log, work);
    await until("their work", async () => {
      const both = [await report(one), await report(other)];
      const held = both.reduce((sum, { partitions }) => sum + partitions, 0);
      return (
        held === PARTITIONS && both.every(({ lag, state }) => lag === 0 && state === "running")
      );
    });
    const { partitions } = await report(one);
    const at = performance.now();
    await stopPeer(one, "SIGKILL");
    // One reading of each device at least, in every partition.
    const more = { ...work, after: work.readings / GATEWAYS, readings: series };
    const since = () => (performance.now() - at) / 1000;
    const holdsAll = async () => {
      const { partitions, state } = await report(other);
      return partitions === PARTITIONS && state === "running";
    };
    const restored = until("the takeover", holdsAll).then(since);
    await fillJournals(log, more);
    const restoredSeconds = await restored;
    await until("the rest of the work", async () => (await report(other)).lag === 0);
    const seconds = since();
    const results = await readResults(log, topicNames(namespace).rollups);
    checkResults("after the takeover", results, undefined, (work.readings + more.readings) * 2);
    const held = Math.round((work.series * partitions) / PARTITIONS);
    return { series: held, partitions, restoredSeconds, seconds };
  } finally {
    await stopPeer(one);
    await stopPeer(other);
  }
}
