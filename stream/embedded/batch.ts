/** What one commit of a topology partition gathers: outputs by topic and partition, encoded at the end. */
import { eventHeaders } from "../../events/cloudevents.ts";
import { encodeCbor } from "../../events/codec.ts";
import { partitionOf } from "../partitioner.ts";
import type { Output, Topology } from "../port.ts";
import type { NewRecord } from "./block.ts";
import type { Topic } from "./catalog.ts";
import type { Append } from "./change.ts";

export class OutputBatch {
  readonly #source: string;
  readonly #topics: ReadonlyMap<string, { topic: Topic; coalesce: boolean }>;
  readonly #listed = new Map<string, Output[]>();
  readonly #coalesced = new Map<string, Map<string, Output>>();

  constructor(
    topology: Topology,
    topics: ReadonlyMap<string, { topic: Topic; coalesce: boolean }>,
  ) {
    this.#source = `/processors/${topology.name}`;
    this.#topics = topics;
  }

  /** @throws Error where the topology does not name the topic: a bug of the step's */
  add(output: Output): void {
    const known = this.#topics.get(output.topic);
    if (!known) throw new Error(`the topology does not name the output topic ${output.topic}`);
    if (known.coalesce) {
      const last = this.#coalesced.get(output.topic) ?? new Map<string, Output>();
      // Taken out first, so that outputs stand in the order of their last change.
      last.delete(output.key);
      this.#coalesced.set(output.topic, last.set(output.key, output));
    } else {
      const list = this.#listed.get(output.topic) ?? [];
      list.push(output);
      this.#listed.set(output.topic, list);
    }
  }

  appends(): Append[] {
    const appends: Append[] = [];
    const add = (name: string, outputs: Iterable<Output>) => {
      const topic = this.#topics.get(name)?.topic as Topic;
      const partitions = new Map<number, NewRecord[]>();
      for (const output of outputs) {
        const partition = partitionOf(output.key, topic.heads.length);
        const records = partitions.get(partition) ?? [];
        records.push(this.#record(output));
        partitions.set(partition, records);
      }
      for (const [partition, records] of partitions) appends.push({ topic, partition, records });
    };
    for (const [name, outputs] of this.#listed) add(name, outputs);
    for (const [name, outputs] of this.#coalesced) add(name, outputs.values());
    return appends;
  }

  #record(output: Output): NewRecord {
    return {
      key: output.key,
      headers: { ...eventHeaders(output.type, output.id, this.#source, output.time) },
      value: output.event === null ? null : encodeCbor(output.event),
    };
  }
}
