/**
 * One run: three brokers, processors, gateways, and faults from a seed; when they are over everything catches up, and what stands
 * in the topics is judged. What it took and how long stands in the report, and what happened when in the timeline.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { destination, pino } from "pino";
import type { CloudStatus } from "../../cloud/cloud.ts";
import { cloudTopicSpecs, cloudTopologies } from "../../cloud/topics.ts";
import { topicNames } from "../../events/topics.ts";
import { childSeed, sfc32 } from "../../simulator/random.ts";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import type { KafkaLimits } from "../../stream/kafka/options.ts";
import { KafkaCluster } from "../kafka/kafka-cluster.ts";
import { CLOUD_SETTINGS, KEEP_HOURS, REPLICAS, topicSettings } from "./cloud-settings.ts";
import { RULES } from "./content.core.ts";
import type { GatewaysOptions } from "./gateways.child.ts";
import { type ClusterVerdict, type Judged, judge } from "./judge.core.ts";
import { Peer } from "./peer.ts";
import type { ProcessorsOptions } from "./processors.child.ts";
import { type Kind, LANES, type Lane, schedule, shuffled } from "./schedule.core.ts";
import { STRIKES } from "./strike.ts";
import { readTold } from "./told.core.ts";
import { readView } from "./view.ts";

const NAMESPACE = "cluster";
/** How long everything may take to catch up once the faults are over, ms: far more than it takes on an idle machine. */
const CATCH_UP_DEADLINE_MS = 600_000;
const POLL_MS = 250;

export interface RunOptions {
  readonly seed: number;
  /** Of its own; everything that the processes write lies in it. */
  readonly directory: string;
  readonly gateways: number;
  readonly gatewayProcesses: number;
  /** Gateways, chosen by the seed, that have a process each: so one alone can be killed, and any of them all is tried in time. */
  readonly oneGateways: number;
  readonly processors: number;
  readonly partitions: number;
  /** Of each gateway, readings a second. */
  readonly rate: number;
  readonly limits?: Partial<KafkaLimits>;
  /** Each lane ends at the first of the two: a time from when all runs, ms, or so many faults. */
  readonly untilMs: number;
  readonly faults: Readonly<Record<Lane, number>>;
  readonly onNote?: (line: string) => void;
}

export interface ClusterReport {
  readonly verdict: ClusterVerdict;
  readonly judged: Judged;
  readonly struck: ReadonlyMap<Kind, number>;
  readonly timeline: readonly string[];
  readonly problems: readonly string[];
  /** From the first reading to the last, and from then until everything was through, ms. */
  readonly loadMs: number;
  readonly catchUpMs: number;
}

export async function runCluster(options: RunOptions): Promise<ClusterReport> {
  const { seed, directory, partitions } = options;
  mkdirSync(directory, { recursive: true });
  const begun = performance.now();
  const timeline: string[] = [];
  const problems: string[] = [];
  const note = (text: string) => {
    const line = `${((performance.now() - begun) / 1000).toFixed(1).padStart(7)} s  ${text}`;
    timeline.push(line);
    options.onNote?.(line);
  };
  const cluster = await KafkaCluster.start();
  note("three brokers serve");
  const onEnded = (how: string) => {
    note(how);
    problems.push(how);
  };
  const peers = {
    ...processors(options, cluster, onEnded),
    ...gateways(options, cluster, onEnded),
  };
  const allGateways = [...peers.gateways, ...peers.ones];
  const all = [...peers.processors, ...allGateways];
  const logger = pino({ level: "info" }, destination({ dest: join(directory, "log"), sync: true }));
  const brokers = cluster.directAddresses;
  const log = new KafkaEventLog({ brokers, clientId: "cluster-judge", logger, ...REPLICAS });
  try {
    await log.start();
    await log.createTopics(cloudTopicSpecs(NAMESPACE, topicSettings(partitions), CLOUD_SETTINGS));
    await Promise.all(all.map((peer) => peer.start()));
    note("processors and gateways run");
    const loaded = performance.now();
    const struck = await strikeAll(options, { cluster, ...peers, note });
    note("the faults are over; no more readings");
    const quiet = performance.now();
    for (const peer of allGateways) peer.send("quiet");
    await withDeadline("the log has everything", drained(allGateways));
    note("the log has everything that the gateways had");
    await withDeadline("the processors are through", caughtUp(log));
    note("the processors are through");
    const through = performance.now();
    problems.push(...(await states(peers.processors)));
    await Promise.all(all.map((peer) => peer.end("SIGTERM")));
    const told = allGateways.map((peer) => readFileSync(join(peer.directory, "told"), "utf8"));
    const names = topicNames(NAMESPACE);
    const judged: Judged = {
      seed,
      keepHours: KEEP_HOURS,
      told: readTold(told),
      view: await readView(log, NAMESPACE),
      topics: { events: names.events, status: names.status },
    };
    const verdict = judge(judged);
    note("judged");
    return {
      verdict,
      judged,
      struck,
      timeline,
      problems: [...problems, ...verdict.problems],
      loadMs: quiet - loaded,
      catchUpMs: through - quiet,
    };
  } catch (error) {
    note(`the run has failed: ${(error as Error).message}`);
    throw Object.assign(error as Error, { timeline });
  } finally {
    await Promise.all(all.map((peer) => peer.end("SIGKILL")));
    await log.stop();
    await cluster.stop();
  }
}

type OnEnded = (how: string) => void;

function processors(options: RunOptions, cluster: KafkaCluster, onEnded: OnEnded) {
  const { directory, partitions, limits = {} } = options;
  const peers = Array.from({ length: options.processors }, (_, i) => {
    const name = `processors-${i + 1}`;
    const own = join(directory, name);
    const argument = (): ProcessorsOptions => ({
      brokers: cluster.addresses,
      namespace: NAMESPACE,
      partitions,
      directory: own,
      limits,
    });
    return new Peer({ name, script: "processors.child.ts", directory: own, argument, onEnded });
  });
  return { processors: peers };
}

function gateways(options: RunOptions, cluster: KafkaCluster, onEnded: OnEnded) {
  const { seed, directory, rate, gatewayProcesses, oneGateways, limits = {} } = options;
  const all = Array.from({ length: options.gateways }, (_, i) => `gw-${i + 1}`);
  const names = shuffled(all, sfc32(childSeed(seed, "gateways with a process of their own")));
  const [alone, together] = [names.slice(0, oneGateways), names.slice(oneGateways)];
  const peer = (name: string, of: readonly string[]) => {
    const own = join(directory, name);
    const argument = (life: number): GatewaysOptions => ({
      brokers: cluster.addresses,
      topic: topicNames(NAMESPACE).events,
      seed,
      gateways: of,
      life,
      rate,
      directory: own,
      limits,
    });
    return new Peer({ name, script: "gateways.child.ts", directory: own, argument, onEnded });
  };
  return {
    gateways: Array.from({ length: gatewayProcesses }, (_, i) =>
      peer(
        `gateways-${i + 1}`,
        together.filter((_, at) => at % gatewayProcesses === i),
      ),
    ),
    ones: alone.map((name) => peer(name, [name])),
  };
}

/** All lanes to their ends. @returns how often each kind struck */
async function strikeAll(
  { seed, untilMs, faults }: RunOptions,
  arena: Parameters<(typeof STRIKES)[Kind]>[0],
): Promise<ReadonlyMap<Kind, number>> {
  const struck = new Map<Kind, number>();
  const end = performance.now() + untilMs;
  const lanes = LANES.map(async (lane) => {
    let left = faults[lane];
    for (const step of schedule(seed, lane)) {
      left -= 1;
      if (left < 0 || performance.now() + step.pauseMs > end) return;
      await pause(step.pauseMs);
      await STRIKES[step.kind](arena, step);
      struck.set(step.kind, (struck.get(step.kind) ?? 0) + 1);
    }
  });
  await Promise.all(lanes);
  return struck;
}

async function drained(peers: readonly Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.says("drained")));
}

async function caughtUp(log: KafkaEventLog): Promise<void> {
  let left = cloudTopologies(NAMESPACE, CLOUD_SETTINGS, RULES);
  while (left.length > 0) {
    const behind = await Promise.all(left.map((one) => log.behind(one).catch(() => 1)));
    left = left.filter((_, i) => behind[i] !== 0);
    if (left.length > 0) await pause(POLL_MS);
  }
}

async function withDeadline(what: string, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  const late = pause(CATCH_UP_DEADLINE_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not within ${CATCH_UP_DEADLINE_MS} ms: ${what}`);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    over.abort();
    late.catch(() => {});
  }
}

/** @returns processors that do not run, with what they say */
async function states(peers: readonly Peer[]): Promise<string[]> {
  const found: string[] = [];
  for (const peer of peers) {
    const { state, topologies } = await peer.ask<CloudStatus>("status");
    if (state !== "running") found.push(`${peer.name} is ${state}`);
    for (const { name, state: of, lastError } of topologies) {
      if (of === "failed") found.push(`${peer.name}: ${name} has failed: ${lastError}`);
    }
  }
  return found;
}
