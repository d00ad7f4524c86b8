/**
 * The bare client of bench/drain.ts: batches like those of a gateway, made and frozen beforehand, through the same sink.
 * Arguments: broker, readings. Prints 0 once they are made; answers `send` with PeerClientResult when all are in Kafka.
 */
import { pino } from "pino";
import { encodeEvent } from "../events/codec.ts";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import type { BufferedEvent } from "../gateway/buffer/port.ts";
import { freeze } from "../gateway/forwarder/freeze.core.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { FrozenBatch } from "../stream/port.ts";

export interface PeerClientResult {
  readonly perSecond: number;
}

/** As the gateway sends by default (`forwarder.batch_events`). */
const BATCH = 4000;
const [broker = "", count = "0"] = process.argv.slice(2);
const readings = Number(count);
const epoch = makeEpoch(new Uint8Array(10));
const journal = { gateway: "gw-bare" as GatewayId, topic: "bench-bare.events.v1" };

function event(i: number): BufferedEvent {
  const time = Date.now();
  const spread = (from: number, span: number) => from + (((i * 7919) % 1000) / 1000) * span;
  const value = encodeEvent("tidegate.reading", {
    received: time,
    clock: "synced",
    boot: "6f2d1c80-0b4e-4b7e-9a43-1e7f3b1d2c3a",
    uptime: i,
    device: `load-${String(i % 50).padStart(3, "0")}`,
    metrics: {
      ...{ temperature: spread(20, 9), humidity: spread(40, 50), pressure: spread(1000, 40) },
      ...{ co2: Math.round(spread(400, 500)), battery: spread(3, 0.9) },
      ...{ rssi: -Math.round(spread(40, 50)), flow: spread(10, 80) },
    },
  });
  return { type: "tidegate.reading", time, value, position: i + 1, epoch, sequence: i + 1 };
}

const batches: FrozenBatch[] = [];
for (let i = 0; i < readings; i += BATCH) {
  const events = Array.from({ length: Math.min(BATCH, readings - i) }, (_, j) => event(i + j));
  batches.push(freeze(journal, events, { offsetOf: () => undefined }));
}
const logger = pino({ level: "silent" });
const log = new KafkaEventLog({ brokers: [broker], clientId: "bare", logger });
await log.start();
await log.createTopics([{ name: journal.topic, partitions: 6, cleanup: "delete" }]);

process.on("message", () => {
  let begun = Number.NaN;
  let next = 0;
  let sent = 0;
  const sink = log.sink({
    next: (signal) => {
      const batch = batches[next];
      next += 1;
      if (batch) return Promise.resolve(batch);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    acknowledged: async (batch) => {
      // Counted from the first acknowledgement on, as the gateway beside it is.
      if (sent === 0) begun = performance.now();
      sent += batch.records.length;
      if (sent < readings) return;
      const seconds = (performance.now() - begun) / 1000;
      const result: PeerClientResult = { perSecond: (sent - BATCH) / seconds };
      process.send?.(result);
    },
  });
  void sink.start();
});
console.log(0);
