/**
 * All processors in one process, that may be killed at any moment. Arguments: ProcessorsOptions as JSON. Prints `ready` when
 * they have begun; answers the message `status` with the state of each; SIGTERM stops it as a service manager would.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { destination, pino } from "pino";
import { Cloud } from "../../cloud/cloud.ts";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import type { KafkaLimits } from "../../stream/kafka/options.ts";
import { CLOUD_SETTINGS, REPLICAS, topicSettings } from "./cloud-settings.ts";
import { RULES } from "./content.core.ts";

export interface ProcessorsOptions {
  readonly brokers: readonly string[];
  readonly namespace: string;
  readonly partitions: number;
  /** Of this process alone: what it says, and its copies of state. */
  readonly directory: string;
  readonly limits: Partial<KafkaLimits>;
}

const options = JSON.parse(process.argv[2] ?? "{}") as ProcessorsOptions;
const { brokers, namespace, directory, limits } = options;
mkdirSync(directory, { recursive: true });
const logger = pino({ level: "info" }, destination({ dest: join(directory, "log"), sync: true }));
const log = new KafkaEventLog({
  brokers,
  clientId: "cluster-processors",
  logger,
  limits,
  stateDirectory: join(directory, "state"),
  ...REPLICAS,
});
await log.start();
const cloud = new Cloud({
  log,
  namespace,
  rules: RULES,
  settings: CLOUD_SETTINGS,
  topics: topicSettings(options.partitions),
  logger,
});

process.on("message", (message) => {
  if (message === "status") process.send?.(cloud.status());
});
// Whoever started us is gone.
process.on("disconnect", () => process.exit(1));
process.on("SIGTERM", () => {
  void cloud
    .stop()
    .then(() => log.stop())
    .then(() => process.exit(0));
});
await cloud.start();
console.log("ready");
