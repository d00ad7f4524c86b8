/**
 * The work of bench/processors.ts: journals of many gateways in a real Kafka, each reading with two metrics, sent through
 * the gateways' own sink. What is measured beside us reads the very same topic.
 *
 * All gateways send at the same time, in small batches, as they do while all is well. One after another they would make a
 * topic in which the readings of a series lie close together, and of updates that coalesce little is left.
 */
import { encodeEvent } from "../events/codec.ts";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import { topicNames } from "../events/topics.ts";
import { freeze } from "../gateway/forwarder/freeze.core.ts";
import type { EventLog, FrozenBatch } from "../stream/port.ts";

export const GATEWAYS = 200;
export const PARTITIONS = 6;
/** Readings that a gateway sends at once. */
const BATCH = 100;
/** One batch of so many stands twice in the topic, as after a gateway's crash. */
const REPEATED_OF = 50;
const BEGUN = Date.UTC(2026, 2, 1, 12);
/** Between two readings of one device, ms of event time. */
const EVERY_MS = 1000;

export interface Work {
  readonly namespace: string;
  /** Distinct ones; a multiple of the number of gateways. */
  readonly readings: number;
  /** Of each gateway's readings, how many are there already. */
  readonly after?: number;
  /** Gateway, device, metric: two for each device. */
  readonly series: number;
  /** Between two readings of one device, ms of event time. */
  readonly everyMs?: number;
}

/** The batches of one gateway, in order: all of its devices in turn, step by step. */
function* batchesOf(work: Work, index: number): Generator<FrozenBatch> {
  const gateway = `gw-${String(index).padStart(4, "0")}` as GatewayId;
  const journal = { gateway, topic: topicNames(work.namespace).events };
  const devices = work.series / 2 / GATEWAYS;
  const epoch = makeEpoch(new Uint8Array(10).fill(index));
  const { everyMs = EVERY_MS, after = 0 } = work;
  const end = after + work.readings / GATEWAYS;
  for (let from = after; from < end; from += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, end - from) }, (_, at) => {
      const i = from + at;
      const time = BEGUN + Math.floor(i / devices) * everyMs;
      const value = encodeEvent("tidegate.reading", {
        received: time,
        clock: "synced",
        boot: "6f2d1c80-0b4e-4b7e-9a43-1e7f3b1d2c3a",
        uptime: time - BEGUN,
        device: `sensor-${String(i % devices).padStart(4, "0")}`,
        metrics: { temperature: 20 + ((i * 7919) % 1000) / 100, humidity: 40 + (i % 500) / 10 },
      });
      const sequence = i + 1;
      return {
        type: "tidegate.reading" as const,
        time,
        value,
        position: sequence,
        epoch,
        sequence,
      };
    });
    const batch = freeze(journal, events, { offsetOf: () => undefined });
    yield batch;
    if ((from / BATCH + index) % REPEATED_OF === 0) yield batch;
  }
}

/** Puts all of it into the log. @returns records in the topic by then */
export async function fillJournals(log: EventLog, work: Work): Promise<number> {
  const { events } = topicNames(work.namespace);
  await log.createTopics([{ name: events, partitions: PARTITIONS, cleanup: "delete" }]);
  await Promise.all(
    Array.from({ length: GATEWAYS }, (_, index) => drained(log, batchesOf(work, index))),
  );
  const ranges = await log.ranges(events);
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

async function drained(log: EventLog, batches: Iterator<FrozenBatch>): Promise<void> {
  const done = Promise.withResolvers<void>();
  const sink = log.sink({
    next: async (signal) => {
      const { value, done: last } = batches.next();
      if (!last) return value as FrozenBatch;
      done.resolve();
      return await new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    acknowledged: async () => {},
  });
  await sink.start();
  await done.promise;
  await sink.stop();
}
