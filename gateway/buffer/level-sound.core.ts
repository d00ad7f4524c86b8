/**
 * Whether a LevelDB table is what was written, by the checksums that LevelDB puts into it and does not look at. Pure.
 *
 * LevelDB walks through the blocks of a table without checking them, and where they do not make sense it does not say so:
 * it ends the process (its assertions are compiled in). A table with a zeroed sector would end a gateway at every start. So
 * no table is given to LevelDB before all of it was checked here.
 *
 * Source: the table format of LevelDB 1.20 (doc/table_format.md, table/format.cc, util/crc32c.h).
 *
 *   table  := block* | footer
 *   block  := bytes | type u8 | crc u32          (masked CRC-32C of bytes and type)
 *   footer := handle of the metaindex | handle of the index | padding up to 40 bytes | magic u64
 *   handle := offset varint | size varint
 *   index  := a block of entries whose values are the handles of the data blocks; so is the metaindex, of filters
 */
import { varint, viewOf } from "./level-log.core.ts";

const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;
const UNCOMPRESSED = 0;

interface Handle {
  readonly offset: number;
  readonly size: number;
  readonly end: number;
}

/** @returns what is wrong with the table, in words; undefined where nothing is */
export function tableFault(table: Uint8Array): string | undefined {
  const bytes = viewOf(table);
  const footer = bytes.length - FOOTER_BYTES;
  if (footer < 0 || bytes.readBigUInt64LE(bytes.length - 8) !== MAGIC) return "its end is missing";
  const metaindex = handleAt(bytes, footer);
  const index = metaindex && handleAt(bytes, metaindex.end);
  if (!metaindex || !index) return "its footer is not what was written";
  for (const one of [metaindex, index]) {
    const fault = blockFault(bytes, one, footer) ?? blocksFault(bytes, one, footer);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Of the blocks that are named in a block. */
function blocksFault(bytes: Buffer, block: Handle, footer: number): string | undefined {
  const { offset, size } = block;
  // Compressed as other programs may write it: then its blocks are not looked at.
  if (bytes[offset + size] !== UNCOMPRESSED) return undefined;
  const unreadable = `the list of blocks at byte ${offset} makes no sense`;
  if (size < 4) return unreadable;
  const end = offset + size - 4 - 4 * bytes.readUInt32LE(offset + size - 4);
  for (let at = offset; at < end; ) {
    const shared = varint(bytes, at);
    const unshared = shared && varint(bytes, shared.end);
    const length = unshared && varint(bytes, unshared.end);
    if (!length) return unreadable;
    const value = length.end + unshared.value;
    const handle = handleAt(bytes, value);
    if (!handle || handle.end !== value + length.value) return unreadable;
    const fault = blockFault(bytes, handle, footer);
    if (fault !== undefined) return fault;
    at = handle.end;
  }
  return undefined;
}

function blockFault(bytes: Buffer, { offset, size }: Handle, footer: number): string | undefined {
  const end = offset + size;
  if (end + TRAILER_BYTES > footer) return `a block at byte ${offset} lies outside of it`;
  return unmasked(bytes.readUInt32LE(end + 1)) === crc32c(bytes, offset, end + 1)
    ? undefined
    : `the block at byte ${offset} is not what was written`;
}

function handleAt(bytes: Buffer, at: number): Handle | undefined {
  const offset = varint(bytes, at);
  const size = offset && varint(bytes, offset.end);
  return size && { offset: offset.value, size: size.value, end: size.end };
}

/** LevelDB stores checksums of data that holds checksums itself, and turns them so that the two do not meet. */
function unmasked(stored: number): number {
  const turned = (stored - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
}

/** For each of eight bytes at once what a byte does to the checksum, so that a step takes eight bytes. */
const TABLES: readonly Int32Array[] = Array.from({ length: 8 }, () => new Int32Array(256));
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  T0[byte] = crc;
}
for (let k = 1; k < 8; k += 1) {
  const [before, table] = [TABLES[k - 1] as Int32Array, TABLES[k] as Int32Array];
  for (let byte = 0; byte < 256; byte += 1) {
    const crc = before[byte] as number;
    table[byte] = (crc >>> 8) ^ (T0[crc & 255] as number);
  }
}

/** CRC-32C (Castagnoli), which zlib does not have. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const b = bytes as { readonly [at: number]: number };
  const t = (table: Int32Array, byte: number) => table[byte & 255] as number;
  let crc = -1;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const low =
      crc ^
      ((b[at] as number) |
        ((b[at + 1] as number) << 8) |
        ((b[at + 2] as number) << 16) |
        ((b[at + 3] as number) << 24));
    crc =
      t(T7, low) ^
      t(T6, low >>> 8) ^
      t(T5, low >>> 16) ^
      t(T4, low >>> 24) ^
      t(T3, b[at + 4] as number) ^
      t(T2, b[at + 5] as number) ^
      t(T1, b[at + 6] as number) ^
      t(T0, b[at + 7] as number);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ t(T0, crc ^ (b[at] as number));
  return ~crc >>> 0;
}
