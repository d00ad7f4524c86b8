/** The topics of an embedded log and how far each partition reaches, in memory; loaded from the database. */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import type { Cleanup, TopicSpec } from "../port.ts";
import { EventLogError } from "../port.ts";
import { seal, unseal } from "../seal.ts";
import type { Level } from "./database.ts";
import { after, headKey, readU64, topicKey, writeU64 } from "./keys.ts";
import { isCompacted } from "./options.ts";

/** How far a partition reaches on disk. */
export interface Head {
  /** Next free offset. */
  end: number;
  /** Of all its blocks, before compression. */
  bytes: number;
}

export interface Topic {
  readonly id: number;
  readonly name: string;
  readonly cleanup: Cleanup;
  readonly compacted: boolean;
  readonly retentionMs?: number;
  /** One for each partition. */
  readonly heads: readonly Head[];
}

export function headValue(head: Head): Buffer {
  const bytes = Buffer.allocUnsafe(16);
  writeU64(bytes, head.end, 0);
  writeU64(bytes, head.bytes, 8);
  return bytes;
}

export function makeTopic(id: number, spec: TopicSpec): Topic {
  return {
    id,
    name: spec.name,
    cleanup: spec.cleanup,
    compacted: isCompacted(spec.cleanup),
    ...(spec.retentionMs === undefined ? {} : { retentionMs: spec.retentionMs }),
    heads: Array.from({ length: spec.partitions }, () => ({ end: 0, bytes: 0 })),
  };
}

/** The entry that makes a topic. */
export function topicEntry(topic: Topic): [key: Buffer, value: Buffer] {
  const key = topicKey(topic.name);
  const held = {
    id: topic.id,
    partitions: topic.heads.length,
    cleanup: topic.cleanup,
    ...(topic.retentionMs === undefined ? {} : { retention_ms: topic.retentionMs }),
  };
  return [key, seal(key, encodeCbor(held))];
}

interface HeldTopic {
  id: number;
  partitions: number;
  cleanup: Cleanup;
  retention_ms?: number;
}

function damaged(what: string): EventLogError {
  return new EventLogError("storage", `${what} is damaged on disk; restore the log from a backup`);
}

export class Catalog {
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<number, Topic>();

  get topics(): Iterable<Topic> {
    return this.#byName.values();
  }
  get nextId(): number {
    return Math.max(0, ...this.#byId.keys()) + 1;
  }
  byName(name: string): Topic | undefined {
    return this.#byName.get(name);
  }
  byId(id: number): Topic | undefined {
    return this.#byId.get(id);
  }
  add(topic: Topic): void {
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
  }

  /** Reads all topics and heads; topics that are known already keep their identity, so that readers go on. */
  async load(level: Level): Promise<void> {
    const prefix = Buffer.from("t");
    for (const [key, value] of await level.iterator({ gte: prefix, lt: after(prefix) }).all()) {
      const name = key.toString("utf8", 1);
      const payload = unseal(key, value);
      if (!payload) throw damaged(`topic ${name}`);
      const held = decodeCbor(payload) as HeldTopic;
      const topic =
        this.#byName.get(name) ??
        makeTopic(held.id, {
          name,
          partitions: held.partitions,
          cleanup: held.cleanup,
          ...(held.retention_ms === undefined ? {} : { retentionMs: held.retention_ms }),
        });
      this.add(topic);
      await loadHeads(level, topic);
    }
  }
}

async function loadHeads(level: Level, topic: Topic): Promise<void> {
  const keys = topic.heads.map((_, partition) => headKey(topic.id, partition));
  for (const [partition, value] of (await level.getMany(keys)).entries()) {
    const head = topic.heads[partition] as Head;
    // A partition that nothing was ever appended to has no head on disk.
    const payload = value && unseal(keys[partition] as Buffer, value);
    if (value && !payload) throw damaged(`${topic.name}/${partition}`);
    head.end = payload ? readU64(payload, 0) : 0;
    head.bytes = payload ? readU64(payload, 8) : 0;
  }
}
