/** The two programs of bench/processors.ts behind one face: start, look, end. */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { changelogTopic, topicNames } from "../events/topics.ts";
import { groupIdOf } from "../stream/kafka/kafka-processor.ts";
import type { PeerProcessorReport } from "./peer-processor.ts";
import { ask, type Peer, startCloudPeer, startProgram, stopPeer } from "./processes.ts";

/** What a program has done so far. */
export interface Progress {
  readonly processed: number;
  readonly commits: number;
}

export interface Running {
  readonly peer: Peer;
  progress(): Promise<Progress>;
  /** Lets it commit what it has done. */
  stop(): Promise<void>;
}

export interface Job {
  readonly broker: string;
  /** Namespace of the events. */
  readonly source: string;
  /** Namespace of what is written; nobody has used it before. */
  readonly namespace: string;
  /** Where state may lie, in a folder of this job. */
  readonly directory: string;
}

export async function startOurs(job: Job): Promise<Running> {
  const { broker, source, namespace, directory } = job;
  const args = [broker, source, namespace, join(directory, namespace)];
  const peer = await startCloudPeer("tidegate", "peer-processor.ts", ...args);
  return {
    peer,
    progress: async () => await ask<PeerProcessorReport>(peer, "report"),
    stop: async () => await stopPeer(peer, "SIGTERM"),
  };
}

export async function startStreams(
  [command = "", ...rest]: readonly string[],
  commitMs: number,
  { broker, source, namespace, directory }: Job,
): Promise<Running> {
  const [{ events }, { rollups }] = [topicNames(source), topicNames(namespace)];
  // Named as our group is, so that one question tells how far either has committed.
  const id = groupIdOf({ changelog: changelogTopic(namespace, "rollups") });
  const args = [broker, events, rollups, id, join(directory, namespace), String(commitMs)];
  const peer = await startProgram("Kafka Streams", command, ...rest, ...args);
  let last: Progress = { processed: 0, commits: 0 };
  if (!peer.child.stdout) throw new Error("a program without an output");
  createInterface({ input: peer.child.stdout }).on("line", (line) => {
    const [processed = 0, commits = 0] = line.split(" ").map(Number);
    last = { processed, commits };
  });
  return {
    peer,
    progress: async () => last,
    stop: async () => await stopPeer(peer, "SIGTERM"),
  };
}
