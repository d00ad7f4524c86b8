/**
 * What a store's MANIFEST says: which tables are its, and what number LevelDB will give to the next file. Pure.
 *
 * The number matters because LevelDB writes a file anew without asking whether one of that name is there. After a MANIFEST that
 * lost its end, that is a table full of readings. So a table may only be secured by a hard link if no file of its
 * number can be made again.
 *
 * Source: LevelDB 1.20, db/version_edit.cc (tags), doc/log_format.md (records with masked CRC-32C).
 */
import { varint, viewOf } from "./level-log.core.ts";
import { crc32c, unmasked } from "./level-sound.core.ts";

const BLOCK_BYTES = 32 * 1024;
const RECORD_HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

/** @returns the number from which on files may be made anew; 0 where nothing of the MANIFEST can be read */
export function nextFileNumber(manifest: Uint8Array): number {
  let next = 0;
  for (const edit of intactRecords(viewOf(manifest))) next = nextFileOf(edit) ?? next;
  return next;
}

/**
 * The numbers of the tables that are the store's. Others are what a compaction had begun when the store was closed or killed:
 * LevelDB deletes them unread.
 * @returns undefined where not all of the MANIFEST can be read
 */
export function liveTables(manifest: Uint8Array): ReadonlySet<number> | undefined {
  const live = new Set<number>();
  const records = intactRecords(viewOf(manifest));
  for (let next = records.next(); ; next = records.next()) {
    if (next.done) return next.value ? live : undefined;
    for (const [tag, numbers] of fieldsOf(next.value)) {
      if (tag === NEW_FILE) live.add(numbers[1] ?? 0);
      if (tag === DELETED_FILE) live.delete(numbers[1] ?? 0);
    }
  }
}

/**
 * The records before the first that is not intact: more LevelDB does not read either.
 * @returns whether that was all of it
 */
function* intactRecords(log: Buffer): Generator<Buffer, boolean> {
  let parts: Buffer[] = [];
  for (let block = 0; block < log.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, log.length);
    for (let at = block; at + RECORD_HEADER_BYTES <= end; ) {
      const length = log.readUInt16LE(at + 4);
      const type = log[at + 6] as number;
      const content = at + RECORD_HEADER_BYTES;
      if (type < FULL || type > LAST || content + length > end) return false;
      const crc = crc32c(log, at + 6, content + length);
      if (unmasked(log.readUInt32LE(at)) !== crc) return false;
      if (type === FULL || type === FIRST) parts = [];
      parts.push(log.subarray(content, content + length));
      if (type === FULL || type === LAST) yield Buffer.concat(parts);
      at = content + length;
    }
  }
  return true;
}

/** A field of an edit: its tag, then numbers and strings by the tag. */
const FIELDS: Readonly<Record<number, string>> = {
  1: "s", // comparator
  2: "n", // log number
  3: "n", // next file number
  4: "n", // last sequence
  5: "ns", // compaction pointer: level, key
  6: "nn", // deleted file: level, number
  7: "nnnss", // new file: level, number, size, smallest, largest
  9: "n", // previous log number
};
const NEXT_FILE = 3;
const DELETED_FILE = 6;
const NEW_FILE = 7;

function nextFileOf(edit: Buffer): number | undefined {
  let next: number | undefined;
  for (const [tag, numbers] of fieldsOf(edit)) if (tag === NEXT_FILE) next = numbers[0];
  return next;
}

/** The fields of an edit that can be read: the tag, and the numbers in it. */
function* fieldsOf(edit: Buffer): Generator<readonly [tag: number, numbers: readonly number[]]> {
  for (let at = 0; at < edit.length; ) {
    const tag = varint(edit, at);
    const fields = tag && FIELDS[tag.value];
    if (!tag || !fields) return;
    at = tag.end;
    const numbers: number[] = [];
    for (const field of fields) {
      const number = varint(edit, at, 63);
      if (!number) return;
      numbers.push(number.value);
      at = number.end + (field === "s" ? number.value : 0);
    }
    yield [tag.value, numbers];
  }
}
