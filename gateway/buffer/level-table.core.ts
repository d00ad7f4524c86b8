/**
 * Reads a LevelDB table file past its damage: without its footer and index, from the bytes of its data blocks. LevelDB
 * gives up a whole table that lost its end, though every record in it is still there. As with the log, nothing is
 * believed but the structure: what comes out has to be checked frame by frame. Pure.
 *
 * Source: the table format of LevelDB 1.20 (doc/table_format.md, table/block_builder.cc), uncompressed as we write it.
 *
 *   block := entry* | restart u32* | restarts u32 | type u8 | crc u32
 *   entry := shared varint | unshared varint | length varint | unshared bytes of key | value
 *   key   := our key | (order << 8 | 1 for a put, 0 for a deletion) u64
 *
 * A key shares its first bytes with the one before, except at the beginning of a block and at every 16th entry: there
 * reading can begin, and begin again after damage.
 */
import { type RawEntry, varint, viewOf } from "./level-log.core.ts";
import { unsealed } from "./sealed.core.ts";

/** What LevelDB adds to a key: 7 bytes of order, 1 of kind. */
const KEY_TAIL_BYTES = 8;

/** The longest key of ours: a note with the longest client id. */
const MAX_KEY_BYTES = 1024;

interface Entry {
  /** With LevelDB's tail. */
  readonly key: Buffer;
  readonly value: Buffer;
  readonly end: number;
}

export function* tableEntries(table: Uint8Array): Generator<RawEntry> {
  const bytes = viewOf(table);
  let before: Buffer | undefined;
  for (let at = 0; at < bytes.length; ) {
    const entry = entryAt(bytes, at, before);
    if (!entry) {
      before = undefined;
      at += 1;
      continue;
    }
    const tail = entry.key.readBigUInt64LE(entry.key.length - KEY_TAIL_BYTES);
    yield {
      key: entry.key.subarray(0, -KEY_TAIL_BYTES),
      value: (tail & 0xffn) === 1n ? entry.value : undefined,
      order: Number(tail >> 8n),
      cut: entry.end > bytes.length,
    };
    before = entry.key;
    at = entry.end;
  }
}

const META_NAMES: ReadonlySet<string> = new Set(
  ["format", "epoch", "chapters", "released", "clean"].map((name) => `m${name}`),
);

/** An entry that could begin here: its key is one of ours, whole or continuing the one before. */
function entryAt(bytes: Buffer, at: number, before: Buffer | undefined): Entry | undefined {
  const shared = varint(bytes, at);
  if (!shared || shared.value > (before?.length ?? 0)) return undefined;
  const unshared = varint(bytes, shared.end);
  if (!unshared) return undefined;
  const length = varint(bytes, unshared.end);
  if (!length) return undefined;
  const keyLength = shared.value + unshared.value;
  if (keyLength <= KEY_TAIL_BYTES || keyLength > MAX_KEY_BYTES) return undefined;
  const content = length.end + unshared.value;
  if (content > bytes.length) return undefined;
  const own = bytes.subarray(length.end, content);
  const key =
    shared.value === 0 ? own : Buffer.concat([before?.subarray(0, shared.value) ?? own, own]);
  const kind = key[key.length - KEY_TAIL_BYTES];
  if (kind !== 0 && kind !== 1) return undefined;
  const end = content + length.value;
  // The value of a cut table is given as far as it goes.
  const value = bytes.subarray(content, end);
  const name = key.subarray(0, -KEY_TAIL_BYTES);
  return isOurs(name, kind === 1 ? value : undefined) ? { key, value, end } : undefined;
}

/**
 * Whether a key is one of ours, with its value or as a deletion. Strict, because what is taken for an entry is passed over
 * as a whole: a checksum between two blocks that looked like a short entry hid the group behind it.
 */
function isOurs(key: Buffer, value: Buffer | undefined): boolean {
  // Positions stay below 2^53, so the first byte of one is zero.
  if (key[0] === 0x65) return key.length === 9 && key[1] === 0;
  if (key[0] === 0x6d) return META_NAMES.has(key.toString("latin1"));
  if (key[0] !== 0x6e) return false;
  return value
    ? unsealed(key, value) !== undefined
    : key.length > 4 && key.every((byte) => byte >= 0x20);
}
