/** What one commit of a topology writes, packed as it comes: outputs each to the partition of its key, and the changelog. */
import assert from "node:assert/strict";
import { encodeCbor } from "../../events/codec.ts";
import type { EventType } from "../../events/schema.ts";
import { partitionOf } from "../partitioner.ts";
import type { Output } from "../port.ts";
import { EventHead, type PackedRecords, RecordPacker } from "./record-packer.ts";

/** Batches for one partition, in order. */
export interface CommitPart {
  readonly topic: string;
  readonly partition: number;
  readonly batches: readonly PackedRecords[];
}

export class CommitRecords {
  readonly #source: string;
  readonly #partitionCounts: ReadonlyMap<string, number>;
  readonly #compressFromBytes: number;
  readonly #packers = new Map<string, Map<number, RecordPacker>>();
  readonly #heads = new Map<EventType, EventHead>();

  /** @param partitionCounts of all topics that outputs may go to */
  constructor(
    topology: string,
    partitionCounts: ReadonlyMap<string, number>,
    compressFromBytes: number,
  ) {
    this.#source = `/processors/${topology}`;
    this.#partitionCounts = partitionCounts;
    this.#compressFromBytes = compressFromBytes;
  }

  output({ topic, key, type, id, time, event }: Output): void {
    const partitions = this.#partitionCounts.get(topic);
    assert(partitions, `the partitions of ${topic} are known`);
    const value = event === null ? null : encodeCbor(event);
    const packer = this.#packer(topic, partitionOf(key, partitions));
    packer.addEvent(key, this.#head(type), id, time, value);
  }

  /** A record without headers, for whoever knows where it goes. */
  plain(topic: string, partition: number, key: string, value: Uint8Array | null): void {
    this.#packer(topic, partition).add({ key, headers: {}, value });
  }

  /** Nothing is added after it. */
  parts(): CommitPart[] {
    const parts: CommitPart[] = [];
    for (const [topic, partitions] of this.#packers) {
      for (const [partition, packer] of partitions) {
        parts.push({ topic, partition, batches: packer.finish() });
      }
    }
    return parts;
  }

  #packer(topic: string, partition: number): RecordPacker {
    const of = this.#packers.get(topic) ?? new Map<number, RecordPacker>();
    this.#packers.set(topic, of);
    const packer = of.get(partition) ?? new RecordPacker(this.#compressFromBytes);
    of.set(partition, packer);
    return packer;
  }

  #head(type: EventType): EventHead {
    const head = this.#heads.get(type) ?? new EventHead(type, this.#source);
    this.#heads.set(type, head);
    return head;
  }
}
