/**
 * How far the commits of a topology are behind its inputs, asked of Kafka itself: its group's offsets against the ends of
 * the partitions. So it can be known by somebody who runs no processor, and also where none runs.
 */
import type { PartitionRange, Topology } from "../port.ts";
import { groupIdOf } from "./kafka-processor.ts";
import type { Connection } from "./session.ts";

/** @returns records of the inputs that no commit covers */
export async function recordsBehind(
  connection: Connection,
  topology: Pick<Topology, "inputs" | "changelog">,
): Promise<number> {
  const { inputs } = topology;
  // Positions first: what is appended between the two questions counts as not processed, never the other way round.
  const counts = inputs.map((topic) => ({ topic, count: connection.partitionCount(topic) }));
  const groupId = groupIdOf(topology);
  const coordinator = await connection.coordinator("group", groupId);
  const { responses } = await coordinator.offsetFetch({
    groupId,
    topics: counts.map(({ topic, count }) => ({
      topic,
      partitions: Array.from({ length: count }, (_, partition) => ({ partition })),
    })),
  });
  const positionOf = ({ topic, partition, start }: PartitionRange) => {
    const of = responses.find((one) => one.topic === topic)?.partitions;
    const found = of?.find((one) => one.partition === partition);
    // Without a commit it begins at the start.
    return Math.max(start, Number(found?.offset ?? -1));
  };
  const ranges = await Promise.all(inputs.map((topic) => connection.ranges(topic)));
  return ranges.flat().reduce((sum, one) => sum + Math.max(0, one.end - positionOf(one)), 0);
}
