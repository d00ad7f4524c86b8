/**
 * The rollup processor as a process of its own. Arguments: broker, the namespace whose events it reads, the namespace of what
 * it writes, the folder of its state. Prints 0 once it is there; answers `report` with PeerProcessorReport.
 */
import { pino } from "pino";
import { rollupTopology } from "../cloud/rollups.core.ts";
import { changelogTopic, topicNames } from "../events/topics.ts";
import { KafkaEventLog } from "../stream/kafka/kafka-event-log.ts";
import { PARTITIONS } from "./processor-journals.ts";

export interface PeerProcessorReport {
  readonly processed: number;
  readonly commits: number;
  readonly lag: number;
  /** Partitions that are this process's and restored. */
  readonly partitions: number;
  readonly state: string;
}

const [broker = "", source = "", namespace = "", stateDirectory = ""] = process.argv.slice(2);
const log = new KafkaEventLog({
  brokers: [broker],
  clientId: "bench-processor",
  stateDirectory,
  logger: pino({ level: "error" }),
});
await log.start();
const names = topicNames(namespace);
const changelog = changelogTopic(namespace, "rollups");
await log.createTopics([
  { name: names.rollups, partitions: PARTITIONS, cleanup: "compact,delete" },
  { name: names.rejected, partitions: PARTITIONS, cleanup: "delete" },
  { name: changelog, partitions: PARTITIONS, cleanup: "compact" },
]);
const processor = log.process(
  rollupTopology({
    events: topicNames(source).events,
    rollups: names.rollups,
    rejected: names.rejected,
    changelog,
    keepHours: { "1m": 7 * 24, "1h": 400 * 24 },
  }),
);
await processor.start();

process.on("message", (question) => {
  if (question !== "report") return;
  const { recordsProcessed, commits, partitions, state } = processor.status();
  const lag = partitions.reduce((sum, { position, end }) => sum + end - position, 0);
  const report: PeerProcessorReport = {
    ...{ processed: recordsProcessed, commits, lag, state },
    partitions: partitions.length,
  };
  process.send?.(report);
});
process.on("SIGTERM", () => void processor.stop().then(() => process.exit(0)));
console.log(0);
