/**
 * Many gateways in one process, that may be killed at any moment: of each the real buffer on disk, the real forwarder and the
 * real sink, and readings that are appended as its broker would. What was acknowledged or handed over is told in a file before
 * anything else is done (told.core.ts). Arguments: GatewaysOptions as JSON. Prints `ready`; the message `quiet` ends the readings,
 * and `drained` is printed when the log has all.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { destination, pino } from "pino";
import { encodeEvent } from "../../events/codec.ts";
import { type Epoch, type GatewayId, makeEpoch, parseEventId } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { LevelBuffer } from "../../gateway/buffer/leveldb.ts";
import { BufferError, type DurableBuffer, type NewEvent } from "../../gateway/buffer/port.ts";
import { Forwarder } from "../../gateway/forwarder/forwarder.ts";
import { childSeed, sfc32 } from "../../simulator/random.ts";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import type { KafkaLimits } from "../../stream/kafka/options.ts";
import type { EventLog, SinkSource } from "../../stream/port.ts";
import { contentOf, deviceTime, NUMBERS_A_LIFE } from "./content.core.ts";
import { TELL } from "./told.core.ts";

export interface GatewaysOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly seed: number;
  readonly gateways: readonly string[];
  /** Of the process, from 1. */
  readonly life: number;
  /** Of each gateway, readings a second. */
  readonly rate: number;
  readonly directory: string;
  readonly limits: Partial<KafkaLimits>;
}

const HEARTBEAT_MS = 3000;
/** Most readings that one gateway appends at once. */
const MOST_AT_ONCE = 4;
const MiB = 1024 * 1024;

const options = JSON.parse(process.argv[2] ?? "{}") as GatewaysOptions;
const { seed, life, directory } = options;
mkdirSync(directory, { recursive: true });
const file = openSync(join(directory, "told"), "a");
const tell = (line: string) => writeSync(file, line);
// A life that was cut off in the middle of a line must not take the next one's with it.
tell(`\n${TELL.life(life)}`);
const logger = pino({ level: "info" }, destination({ dest: join(directory, "log"), sync: true }));
let quiet = false;

function stamp(): Stamp {
  // Of the machine, which goes on when a process is killed.
  const uptime = Number(process.hrtime.bigint() / 1_000_000n);
  return { received: Date.now(), clock: "synced", boot: "cluster-boot", uptime };
}

/** The log, with a word about each batch before it is handed over. */
function telling(log: EventLog): EventLog {
  const sink = (source: SinkSource) =>
    log.sink({
      next: async (signal) => {
        const batch = await source.next(signal);
        const ids = batch.records.map(({ headers }) => parseEventId(headers.ce_id ?? ""));
        const [first, last] = [ids[0], ids.at(-1)];
        if (!first || !last) throw new Error("a batch without ids");
        const handed = { epoch: first.epoch, from: first.sequence, to: last.sequence };
        tell(TELL.handed(batch.key, handed));
        return batch;
      },
      acknowledged: (batch, sent) => source.acknowledged(batch, sent),
    });
  // Nothing else of it is asked for by a forwarder.
  return Object.assign(Object.create(log), { sink });
}

async function openBuffer(gateway: string): Promise<DurableBuffer> {
  const home = join(directory, gateway);
  mkdirSync(home, { recursive: true });
  const begun = join(home, "begun");
  const buffer = new LevelBuffer({
    directory: join(home, "buffer"),
    createIfMissing: !existsSync(begun),
    makeEpoch: () => makeEpoch(randomBytes(10)) as Epoch,
    stamp,
    capacityBytes: 1024 * MiB,
    policy: "refuse",
    freeFloorBytes: 0,
    commitWindowMs: 0,
    logger,
  });
  await buffer.start();
  writeFileSync(begun, "");
  return buffer;
}

async function produce(gateway: string, index: number, buffer: DurableBuffer): Promise<void> {
  const random = sfc32(childSeed(seed, `${gateway} ${life}`));
  let number = life * NUMBERS_A_LIFE;
  let heartbeatAt = 0;
  await pause((1000 * index) / options.gateways.length);
  while (!quiet) {
    const count = 1 + Math.floor(random() * MOST_AT_ONCE);
    const events = Array.from({ length: count }, (_, i) => reading(gateway, number + i));
    try {
      if (performance.now() >= heartbeatAt) {
        const value = encodeEvent("tidegate.heartbeat", { ...stamp(), interval: HEARTBEAT_MS });
        const beat: NewEvent = { type: "tidegate.heartbeat", time: Date.now(), value };
        await buffer.append([beat], { reserved: true });
        heartbeatAt = performance.now() + HEARTBEAT_MS;
      }
      const { from } = await buffer.append(events);
      const { epoch } = buffer.stats();
      tell(TELL.acknowledged(gateway, { epoch, from, count, number }));
    } catch (error) {
      if (!(error instanceof BufferError)) throw error;
      logger.error({ err: error, gateway }, "not appended");
    }
    number += count;
    await pause((count * 1000 * (0.5 + random())) / options.rate);
  }
}

function reading(gateway: string, number: number): NewEvent {
  const now = stamp();
  const time = deviceTime(seed, gateway, number, now.received);
  const content = { ...now, ...contentOf(seed, gateway, number) };
  const event = time === undefined ? content : { ...content, time, clock: "device" as const };
  return {
    type: "tidegate.reading",
    time: time ?? now.received,
    value: encodeEvent("tidegate.reading", event),
  };
}

process.on("message", (message) => {
  if (message === "quiet") quiet = true;
});
// Whoever started us is gone.
process.on("disconnect", () => process.exit(1));

const { brokers, topic, limits } = options;
const log = new KafkaEventLog({ brokers, clientId: "cluster-gateway", logger, limits });
await log.start();
const toldLog = telling(log);
const buffers = new Map<string, DurableBuffer>();
for (const gateway of options.gateways) {
  const buffer = await openBuffer(gateway);
  buffers.set(gateway, buffer);
  const journal = { gateway: gateway as GatewayId, topic };
  const batch = { batchEvents: 4000, batchBytes: 512 * 1024 };
  await new Forwarder({ buffer, log: toldLog, journal, ...batch, logger }).start();
}
console.log("ready");
await Promise.all([...buffers].map(([gateway, buffer], i) => produce(gateway, i, buffer)));
while ([...buffers.values()].some((buffer) => buffer.stats().waiting > 0)) await pause(100);
console.log("drained");
