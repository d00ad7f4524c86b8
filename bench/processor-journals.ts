/**
 * The work of bench/processors.ts: journals of many gateways in a real Kafka, each reading with two metrics, sent through
 * the gateways' own sink. What is measured beside us reads the very same topic.
 */
import { encodeEvent } from "../events/codec.ts";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import { topicNames } from "../events/topics.ts";
import { freeze } from "../gateway/forwarder/freeze.core.ts";
import type { EventLog, FrozenBatch } from "../stream/port.ts";

export const GATEWAYS = 200;
export const PARTITIONS = 6;
/** What a busy gateway sends at once. */
const BATCH = 500;
const BEGUN = Date.UTC(2026, 2, 1, 12);
/** Between two readings of one device, ms of event time. */
const EVERY_MS = 1000;
/** Sinks under way at once. */
const SIDE_BY_SIDE = 20;

export interface Work {
  readonly namespace: string;
  readonly readings: number;
  /** Gateway, device, metric: two for each device. */
  readonly series: number;
}

/** The batches of one gateway, in order: all of its devices in turn, second by second. */
function* batchesOf(work: Work, index: number): Generator<FrozenBatch> {
  const gateway = `gw-${String(index).padStart(4, "0")}` as GatewayId;
  const journal = { gateway, topic: topicNames(work.namespace).events };
  const devices = work.series / 2 / GATEWAYS;
  const epoch = makeEpoch(new Uint8Array(10).fill(index));
  const readings = work.readings / GATEWAYS;
  for (let from = 0; from < readings; from += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, readings - from) }, (_, at) => {
      const i = from + at;
      const time = BEGUN + Math.floor(i / devices) * EVERY_MS;
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
    yield freeze(journal, events, { offsetOf: () => undefined });
  }
}

/** Puts all of it into the log; a few gateways at once, as a broker sees them. */
export async function fillJournals(log: EventLog, work: Work): Promise<void> {
  const { events } = topicNames(work.namespace);
  await log.createTopics([{ name: events, partitions: PARTITIONS, cleanup: "delete" }]);
  const waiting = Array.from({ length: GATEWAYS }, (_, index) => index);
  const one = async () => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      await drained(log, batchesOf(work, index));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, one));
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
