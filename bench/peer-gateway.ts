/**
 * The gateway's broker, intake and buffer as a process. Arguments: data directory, then PeerGatewayOptions as JSON.
 * Prints its port; answers the message `report`; SIGTERM stops it as a service manager would.
 */
import { pino } from "pino";
import Type from "typebox";
import { Value } from "typebox/value";
import { type GatewaySettings, gatewaySettings } from "../gateway/config.ts";
import { Gateway } from "../gateway/gateway.ts";
import { EmbeddedEventLog } from "../stream/embedded/embedded-event-log.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import type { EventLog } from "../stream/port.ts";

export interface PeerGatewayOptions {
  /** Folder of an embedded log to forward to. */
  readonly embedded?: string;
  /** Kafka to forward to. */
  readonly broker?: string;
  readonly commitWindowMs?: number;
  readonly heartbeatIntervalMs?: number;
  readonly statusIntervalMs?: number;
  readonly lingerMs?: number;
  readonly batchIntervalMs?: number;
  /** Most events in one batch. */
  readonly batchEvents?: number;
}

/** The answer to `report`. */
export interface PeerGatewayReport {
  readonly readings: number;
  readonly accepted: number;
  readonly released: number;
  readonly commits: number;
  /** Connected. */
  readonly clients: number;
  /** ms on this process's clock, so that rates need no second process's. */
  readonly at: number;
}

const [dataDir = "", json = "{}"] = process.argv.slice(2);
const options = JSON.parse(json) as PeerGatewayOptions;
const logger = pino({ level: "silent" });
const settings = Value.Default(Type.Object(gatewaySettings), {
  mqtt: { port: 0 },
  buffer: {
    // Far more than a bench fills, so that the cap is not what is measured.
    capacity_bytes: 64 * 1024 ** 3,
    commit_window_ms: options.commitWindowMs ?? 0,
  },
  forwarder: {
    ...(options.lingerMs === undefined ? {} : { linger_ms: options.lingerMs }),
    ...(options.batchIntervalMs === undefined
      ? {}
      : { batch_interval_ms: options.batchIntervalMs }),
    ...(options.batchEvents === undefined ? {} : { batch_events: options.batchEvents }),
  },
  heartbeat_interval_ms: options.heartbeatIntervalMs ?? 10_000,
  status_interval_ms: options.statusIntervalMs ?? 5_000,
}) as GatewaySettings;

function eventLog(): EventLog | undefined {
  if (options.embedded !== undefined) {
    return new EmbeddedEventLog({ directory: options.embedded, logger });
  }
  if (options.broker === undefined) return undefined;
  return new KafkaEventLog({ brokers: [options.broker], clientId: "bench", logger });
}

const log = eventLog();
await log?.start();
const gateway = new Gateway({
  settings,
  dataDir,
  namespace: "bench",
  version: "bench",
  logger,
  topics: ["events.v1", "status.v1"].map((name) => ({
    name: `bench.${name}`,
    partitions: 6,
    cleanup: "delete" as const,
  })),
  ...(log ? { log } : {}),
});
await gateway.start();

process.on("message", (question) => {
  if (question !== "report") return;
  const { buffer, intake, broker } = gateway.report();
  const { accepted, released } = buffer.positions;
  const report: PeerGatewayReport = {
    readings: intake.readings,
    accepted,
    released,
    commits: buffer.commits,
    clients: broker.clients,
    at: performance.now(),
  };
  process.send?.(report);
});
process.on("SIGTERM", () => {
  void gateway
    .stop()
    .then(() => log?.stop())
    .then(() => process.exit(0));
});
console.log(gateway.mqttPort);
