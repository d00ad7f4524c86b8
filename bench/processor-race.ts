/** Rounds of bench/processors.ts: each program in turn over the same events, its processor time looked at while it works. */
import { loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { changelogTopic, topicNames } from "../events/topics.ts";
import type { EventLog } from "../stream/port.ts";
import { cpuMicros, memoryMiB } from "./processes.ts";
import type { Job, Running } from "./processor-contenders.ts";
import { fillJournals, PARTITIONS } from "./processor-journals.ts";
import { checkResults, type Results, readResults } from "./processor-results.ts";

const LOOK_MS = 50;
/** The part of the records in which everything is compiled and the state is there. */
const WARM_FROM = 0.5;
const WARM_TO = 0.95;
/** The part from the start of the process on, into an empty state. */
const COLD_TO = 0.25;
const METRICS = 2;

export interface Place {
  readonly log: EventLog;
  readonly broker: string;
  readonly directory: string;
}

interface Look {
  readonly ms: number;
  readonly cpuMicros: number;
  readonly processed: number;
  readonly commits: number;
  readonly rssMiB: number;
}

export interface Watched {
  /** Records for each second of processor time. */
  readonly warm: number;
  readonly cold: number;
  readonly perSecond: number;
  readonly mostMiB: number;
  /** Between two commits of a partition, of the warm part. */
  readonly commitMs: number;
  readonly looks: readonly Look[];
}

export interface Round extends Watched {
  /** Records in the topic of rollups. */
  readonly emitted: number;
}

export interface Contender {
  readonly name: string;
  readonly rounds: Round[];
  /** That one of its commits is for. */
  readonly partitionsOfCommit: number;
  start(job: Job): Promise<Running>;
}

/** @param records in the topic; what stands there twice is work, too */
export async function watch(
  { peer, progress }: Running,
  records: number,
  partitionsOfCommit: number,
): Promise<Watched> {
  const looks: Look[] = [];
  while ((looks.at(-1)?.processed ?? 0) < records) {
    const { exitCode, signalCode } = peer.child;
    if (exitCode !== null || signalCode !== null) throw new Error(`${peer.name} has ended`);
    const { processed, commits } = await progress();
    const ms = performance.now();
    const used = { cpuMicros: cpuMicros(peer.pid), rssMiB: memoryMiB(peer.pid) };
    looks.push({ ms, processed, commits, ...used });
    await pause(LOOK_MS);
  }
  const at = (share: number) => looks.find((look) => look.processed >= share * records) as Look;
  const [cold, from, to] = [at(COLD_TO), at(WARM_FROM), at(WARM_TO)];
  const done = to.processed - from.processed;
  const ms = to.ms - from.ms;
  const commits = ((to.commits - from.commits) * partitionsOfCommit) / PARTITIONS;
  return {
    warm: done / ((to.cpuMicros - from.cpuMicros) / 1e6),
    cold: cold.processed / (cold.cpuMicros / 1e6),
    perSecond: done / (ms / 1000),
    mostMiB: memoryMiB(peer.pid, "VmHWM"),
    commitMs: ms / commits,
    looks,
  };
}

export interface Race {
  readonly series: number;
  readonly readings: number;
  readonly rounds: number;
}

/** Ends with all rounds in the contenders; the first one begins the first round. @throws Error where they disagree */
export async function race(
  { log, broker, directory }: Place,
  { series, readings, rounds }: Race,
  contenders: readonly Contender[],
): Promise<void> {
  const source = `of-${series}`;
  const records = await fillJournals(log, { namespace: source, readings, series });
  let expected: Results | undefined;
  for (let number = 0; number < rounds; number += 1) {
    for (const contender of number % 2 === 0 ? contenders : contenders.toReversed()) {
      const namespace = `${source}-${number}-${contenders.indexOf(contender)}`;
      const { rollups } = topicNames(namespace);
      await log.createTopics([
        { name: rollups, partitions: PARTITIONS, cleanup: "compact,delete" },
      ]);
      const running = await contender.start({ broker, source, namespace, directory });
      let watched: Watched;
      try {
        watched = await watch(running, records, contender.partitionsOfCommit);
        const name = "rollups";
        const inputs = [topicNames(source).events];
        const changelog = changelogTopic(namespace, name);
        while ((await log.behind({ name, inputs, changelog })) > 0) await pause(LOOK_MS);
      } finally {
        await running.stop();
      }
      const results = await readResults(log, rollups);
      checkResults(contender.name, results, expected, readings * METRICS);
      expected ??= results;
      const { emitted } = results;
      contender.rounds.push({ ...watched, emitted });
      const rates = `${Math.round(watched.warm)} a CPU second, ${Math.round(watched.perSecond)}/s`;
      const load = loadavg()[0]?.toFixed(1);
      console.error(`  ${series} series, ${contender.name}: ${rates}; load ${load}`);
    }
  }
}
