/** Creates the topics of gateways and cloud, or prints how Kafka's own tools would. */
import { cloudTopicSpecs } from "../cloud/topics.ts";
import { topicSettings } from "../stream/kafka/create-topics.ts";
import { inspectKafka } from "../stream/kafka/inspection.ts";
import { IMPATIENT } from "./connect-log.ts";
import { CommandError } from "./errors.ts";
import { createKafkaLog, kafkaOptions } from "./kafka-log.ts";
import { createLogger } from "./logger.ts";
import type { ProgramSettings } from "./programs.ts";

export async function runTopicsCreate(
  settings: ProgramSettings["cloud"],
  dryRun: boolean,
): Promise<void> {
  const { kafka, namespace } = settings;
  const topics = { ...settings.topics, create: true };
  const specs = cloudTopicSpecs(namespace, topics, settings);
  const { replication_factor: copies, min_insync_replicas: inSync } = topics;
  if (dryRun) {
    const [broker = "kafka-1:9092"] = kafka.brokers;
    for (const spec of specs) {
      // Unlike kafka-configs.sh, this one takes a list as it is.
      const configs = topicSettings(spec, inSync).map(
        ({ name, value }) => ` --config '${name}=${value}'`,
      );
      const factor = copies === undefined ? "" : ` --replication-factor ${copies}`;
      console.log(
        `kafka-topics.sh --bootstrap-server ${broker} --create --if-not-exists --topic ${spec.name} --partitions ${spec.partitions}${factor}${configs.join("")}`,
      );
    }
    return;
  }
  if (kafka.brokers.length === 0) {
    throw new CommandError("no Kafka is named: set kafka.brokers, or --brokers HOST:PORT");
  }
  const logger = createLogger("silent");
  const names = specs.map(({ name }) => name);
  const questions = { topics: names, requests: [], groups: [], transactionalIds: [] };
  const log = createKafkaLog({ kafka, topics }, "topics", logger, IMPATIENT);
  const before = await inspectKafka(
    kafkaOptions({ kafka, topics }, "topics", logger, IMPATIENT),
    questions,
  );
  await log.start();
  try {
    await log.createTopics(specs);
  } finally {
    await log.stop();
  }
  for (const { name, partitions } of specs) {
    const found = before.cluster?.topics.find((one) => one.name === name);
    const was = found?.errorCode === 0;
    const what = was ? `was there with ${found.partitions.length}` : `created with ${partitions}`;
    console.log(`${name}  ${what} partitions`);
  }
}
