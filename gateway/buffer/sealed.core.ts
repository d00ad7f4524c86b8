/** Small values of a store under a checksum of their own: LevelDB checks none on a read. Pure. */
import { crc32 } from "node:zlib";

/** A value with the checksum of its key and itself before it. */
export function sealed(key: Buffer, value: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(4 + value.length);
  out.writeUInt32LE(crc32(value, crc32(key)));
  out.set(value, 4);
  return out;
}

export function unsealed(key: Buffer, value: Buffer): Buffer | undefined {
  if (value.length < 4) return undefined;
  const content = value.subarray(4);
  return value.readUInt32LE() === crc32(content, crc32(key)) ? content : undefined;
}
