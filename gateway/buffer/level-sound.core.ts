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
export function unmasked(stored: number): number {
  const turned = (stored - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
}

/**
 * What a byte does to the checksum when it stands 0 to 7 bytes before the end of a step: eight tables of 256 in one array,
 * so that a step takes eight bytes. Every table is read at a start: about a gigabyte a second.
 */
const TABLE = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  TABLE[byte] = crc;
}
for (let at = 256; at < TABLE.length; at += 1) {
  const crc = TABLE[at - 256] as number;
  TABLE[at] = (crc >>> 8) ^ (TABLE[crc & 255] as number);
}

/** CRC-32C (Castagnoli), which zlib does not have. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  // Written out: a function for each look-up makes it take twice as long.
  const t = TABLE;
  let crc = -1;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}
