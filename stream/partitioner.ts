/**
 * Which partition a key belongs to: Java's default partitioner for keyed records, bit for bit. Every producer of a
 * topic has to agree on it, ours and anybody's in Java, or one gateway's journal would stand in two partitions and
 * lose its order; kafkajs and librdkafka default to others.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
 */
import assert from "node:assert/strict";

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** MurmurHash2 of the bytes, as a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = SEED ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k =
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24)) >>>
      0;
    k = Math.imul(k, M);
    k ^= k >>> R;
    k = Math.imul(k, M);
    hash = Math.imul(hash, M) ^ k;
  }
  const rest = length & 3;
  if (rest > 2) hash ^= (bytes[whole + 2] as number) << 16;
  if (rest > 1) hash ^= (bytes[whole + 1] as number) << 8;
  if (rest > 0) hash = Math.imul(hash ^ (bytes[whole] as number), M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  hash ^= hash >>> 15;
  return hash | 0;
}

/** Partition of a key among `partitions` (at least 1); the key's bytes are its UTF-8. */
export function partitionOf(key: string, partitions: number): number {
  assert(partitions >= 1, "a topic has at least one partition");
  return (murmur2(Buffer.from(key, "utf8")) & 0x7fffffff) % partitions;
}
