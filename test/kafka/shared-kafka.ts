/**
 * The Kafka that all test files of a run share: `KAFKA_BROKERS` where it is set, else the one that global-setup.ts
 * starts at the first question. Topics and groups must therefore have names that no other test uses.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { inject } from "vitest";
import { kafkaJars } from "./kafka-jars.ts";

/**
 * Addresses of a running Kafka, or undefined where there can be none, after one line that says what is skipped and why.
 * Ask at the top of the file: `const brokers = await sharedKafka("…"); describe.skipIf(!brokers)(…)`.
 * @throws Error where there is none with CI=true: nothing is skipped there
 */
export async function sharedKafka(what: string): Promise<readonly string[] | undefined> {
  const running = process.env.KAFKA_BROKERS;
  if (running) return running.split(",").map((broker) => broker.trim());
  if (!(await kafkaCanRun(what))) return undefined;
  const socket = connect(inject("kafkaDoorPort"), "127.0.0.1");
  await once(socket, "connect");
  const answer = JSON.parse(await text(socket)) as { address?: string; reason?: string };
  if (!answer.address) throw new Error(answer.reason ?? "Kafka did not start");
  return [answer.address];
}

/** Whether a KafkaBroker of one's own could be started; says so in one line where not. @throws Error with CI=true */
export async function kafkaCanRun(what: string): Promise<boolean> {
  const jars = await kafkaJars();
  if (jars.available) return true;
  if (process.env.CI === "true") throw new Error(`${what} needs Kafka: ${jars.reason}`);
  process.stderr.write(`skipped: ${what}, because ${jars.reason}\n`);
  return false;
}
