/**
 * One Kafka for the whole test run, started when the first test file asks for it and by nobody else: a run of unit
 * tests pays for one idle loopback socket only. Test files ask through shared-kafka.ts.
 */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { TestProject } from "vitest/node";
import { KafkaBroker } from "./kafka-broker.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Loopback port that answers any connection with one line of JSON: `{ address }` or `{ reason }`. */
    kafkaDoorPort: number;
  }
}

let broker: KafkaBroker | undefined;
let started: Promise<string> | undefined;

async function startOnce(): Promise<string> {
  broker = new KafkaBroker();
  try {
    await broker.start();
    return JSON.stringify({ address: broker.address });
  } catch (error) {
    return JSON.stringify({ reason: (error as Error).message });
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const door = createServer((socket) => {
    socket.on("error", () => {});
    started ??= startOnce();
    void started.then((answer) => socket.end(`${answer}\n`));
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  door.unref();
  project.provide("kafkaDoorPort", (door.address() as AddressInfo).port);
  return async () => {
    door.close();
    await started;
    await broker?.stop();
  };
}
