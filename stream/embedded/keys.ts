/**
 * The keys of the embedded log's LevelDB, in the order in which they are read. Numbers are big-endian, so that the
 * binary order of keys is the order of offsets and times. The first byte tells what the value is:
 *
 *   `f`                                          format number, u64
 *   `e`                                          time by which records expire, ms: CBOR
 *   `t` topic name                               topic: CBOR { id, partitions, cleanup, retention_ms? }
 *   `h` topic u32, partition u32                 head: next free offset u64, bytes kept u64
 *   `r` topic u32, partition u32, offset u64     block of records; the offset is its last record's
 *   `k` topic u32, partition u32, record key     compacted topics: offset u64, bytes u32 of the key's newest record
 *   `d` time u64, topic, partition, offset       tombstone to remove some time after `time`: its record key
 *   `j` topic u32, record key                    last journal event that a sink appended: CBOR [source, epoch, sequence]
 *   `o` length u16, topology, topic, partition   next offset that the topology reads, u64
 *   `s` length u16, topology, partition u32, key state of a topology: CBOR
 *   `x` length u16, topology, partition, u32     part of a switch that is not carried out yet: CBOR
 *   `y` length u16, topology, partition u32      a switch that is decided
 *
 * Every value begins with a CRC-32 over key and payload (seal.ts, block.ts): LevelDB gives back damaged values
 * without an error more often than not.
 */

const HIGH = 2 ** 32;

export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / HIGH), at);
  target.writeUInt32BE(value % HIGH, at + 4);
}

export function readU64(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * HIGH + source.readUInt32BE(at + 4);
}

export function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeU64(bytes, value, 0);
  return bytes;
}

export const FORMAT_KEY: Buffer = Buffer.from("f");
export const EXPIRY_KEY: Buffer = Buffer.from("e");

export function topicKey(name: string): Buffer {
  return Buffer.from(`t${name}`);
}

function partitionKey(kind: string, topic: number, partition: number, rest: number): Buffer {
  const key = Buffer.allocUnsafe(9 + rest);
  key.write(kind, 0, "latin1");
  key.writeUInt32BE(topic, 1);
  key.writeUInt32BE(partition, 5);
  return key;
}

export function headKey(topic: number, partition: number): Buffer {
  return partitionKey("h", topic, partition, 0);
}

/** @param offset of the block's last record */
export function blockKey(topic: number, partition: number, offset: number): Buffer {
  const key = partitionKey("r", topic, partition, 8);
  writeU64(key, offset, 9);
  return key;
}

export function blockOffset(key: Buffer): number {
  return readU64(key, 9);
}

export function newestKey(topic: number, partition: number, recordKey: string): Buffer {
  return Buffer.concat([partitionKey("k", topic, partition, 0), Buffer.from(recordKey)]);
}

export function tombstoneKey(
  time: number,
  topic: number,
  partition: number,
  offset: number,
): Buffer {
  const key = Buffer.allocUnsafe(25);
  key.write("d", 0, "latin1");
  writeU64(key, time, 1);
  key.writeUInt32BE(topic, 9);
  key.writeUInt32BE(partition, 13);
  writeU64(key, offset, 17);
  return key;
}

export function parseTombstoneKey(key: Buffer): {
  topic: number;
  partition: number;
  offset: number;
} {
  return {
    topic: key.readUInt32BE(9),
    partition: key.readUInt32BE(13),
    offset: readU64(key, 17),
  };
}

/** Bounds of all tombstones that were written before `time`. */
export function tombstonesBefore(time: number): { gte: Buffer; lt: Buffer } {
  return { gte: Buffer.from("d"), lt: tombstoneKey(Math.max(0, time), 0, 0, 0) };
}

export function journalKey(topic: number, recordKey: string): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.write("j", 0, "latin1");
  head.writeUInt32BE(topic, 1);
  return Buffer.concat([head, Buffer.from(recordKey)]);
}

function topologyKey(kind: string, topology: string, rest: number): { key: Buffer; at: number } {
  const length = Buffer.byteLength(topology);
  const key = Buffer.allocUnsafe(3 + length + rest);
  key.write(kind, 0, "latin1");
  key.writeUInt16BE(length, 1);
  key.write(topology, 3, "utf8");
  return { key, at: 3 + length };
}

export function positionKey(topology: string, topic: number, partition: number): Buffer {
  const { key, at } = topologyKey("o", topology, 8);
  key.writeUInt32BE(topic, at);
  key.writeUInt32BE(partition, at + 4);
  return key;
}

/** Begins the keys of one partition's state; the state key's UTF-8 follows. */
export function statePrefix(topology: string, partition: number): Buffer {
  const { key, at } = topologyKey("s", topology, 4);
  key.writeUInt32BE(partition, at);
  return key;
}

/** @param part without it what begins all of them */
export function stagedKey(topology: string, partition: number, part?: number): Buffer {
  const { key, at } = topologyKey("x", topology, part === undefined ? 4 : 8);
  key.writeUInt32BE(partition, at);
  if (part !== undefined) key.writeUInt32BE(part, at + 4);
  return key;
}

export function switchKey(topology: string, partition: number): Buffer {
  const { key, at } = topologyKey("y", topology, 4);
  key.writeUInt32BE(partition, at);
  return key;
}

/** The first key after all that begin with the prefix; a prefix here always begins with a letter. */
export function after(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  let last = end.length - 1;
  while (end[last] === 0xff) last--;
  end[last] = (end[last] as number) + 1;
  return end.subarray(0, last + 1);
}
