/**
 * Reads a LevelDB log file past its damage. LevelDB drops the rest of a 32 KiB block at the first byte that is wrong,
 * and whatever record it cannot finish; the bytes of our groups are there all the same, and their frames have checksums
 * of their own. So nothing is believed here but the structure: what comes out has to be checked frame by frame. Pure.
 *
 * Source: the log and write batch formats of LevelDB 1.20 (doc/log_format.md, db/write_batch.cc).
 *
 *   block  := record* within 32 KiB;  record := crc u32 | length u16 | type u8 | bytes   (type: full, first, middle, last)
 *   batch  := sequence u64 | count u32 | ( 1 varstring key varstring value | 0 varstring key )*
 */

const BLOCK_BYTES = 32 * 1024;
const RECORD_HEADER_BYTES = 7;
const BATCH_HEADER_BYTES = 12;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

/** A put, or a deletion where there is no value, as the bytes on the disk have it. */
export interface RawEntry {
  readonly key: Buffer;
  readonly value: Buffer | undefined;
  /** LevelDB's own: the higher is the later. */
  readonly order: number;
  /** The value should be longer: the file ends before it does. */
  readonly cut: boolean;
}

export function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Every entry whose structure can be followed, whatever its checksums say; the last of a batch may be cut short. */
export function* loggedEntries(log: Uint8Array): Generator<RawEntry> {
  for (const batch of batches(viewOf(log))) yield* entries(batch);
}

function* batches(log: Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  const finish = () => {
    const batch = Buffer.concat(parts);
    parts = [];
    return batch;
  };
  for (let block = 0; block < log.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, log.length);
    for (let at = block; at + RECORD_HEADER_BYTES <= end; ) {
      const length = log.readUInt16LE(at + 4);
      const type = log[at + 6] as number;
      const content = at + RECORD_HEADER_BYTES;
      // Zeros are the rest of a block, and a length beyond it hides the rest; the next block begins with a record again.
      if (length === 0 && type === 0) break;
      const begins = type === FULL || type === FIRST;
      if (begins && parts.length > 0) yield finish();
      // Whatever the type of a record says: it may be what is damaged, and the entries must prove themselves.
      parts.push(log.subarray(content, Math.min(content + length, end)));
      if (type === FULL || type === LAST) yield finish();
      at = content + length;
    }
  }
  if (parts.length > 0) yield finish();
}

function* entries(batch: Buffer): Generator<RawEntry> {
  if (batch.length < BATCH_HEADER_BYTES) return;
  let order = Number(batch.readBigUInt64LE(0));
  for (let at = BATCH_HEADER_BYTES; at < batch.length; order += 1) {
    const tag = batch[at];
    if (tag !== 0 && tag !== 1) return;
    const key = varstring(batch, at + 1);
    if (!key) return;
    at = key.end;
    if (tag === 0) {
      yield { key: key.bytes, value: undefined, order, cut: false };
      continue;
    }
    const value = varstring(batch, at);
    if (!value) return;
    yield { key: key.bytes, value: value.bytes, order, cut: value.end > batch.length };
    at = value.end;
  }
}

/** A string that runs past the end is given as far as it goes: a cut log still holds the frames before the cut. */
function varstring(batch: Buffer, from: number): { bytes: Buffer; end: number } | undefined {
  const length = varint(batch, from);
  if (!length) return undefined;
  const end = length.end + length.value;
  return { bytes: batch.subarray(length.end, end), end };
}

/** A LevelDB varint of at most so many bits. @returns undefined where none is complete */
export function varint(
  bytes: Buffer,
  from: number,
  bits = 32,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let at = from;
  for (let shift = 0; shift < bits; shift += 7) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** shift;
    at += 1;
    if (byte < 0x80) return { value, end: at };
  }
  return undefined;
}
