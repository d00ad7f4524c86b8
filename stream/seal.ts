/** A checksum on every small value: CRC-32 of key and payload, then the payload. Bound to its key, so that a value
 * that LevelDB gives for the wrong key is found out too. */
import { crc32 } from "node:zlib";

export function seal(key: Buffer, payload: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(4 + payload.length);
  value.set(payload, 4);
  value.writeUInt32BE(crc32(payload, crc32(key)), 0);
  return value;
}

/** @returns the payload, or undefined where the value is damaged */
export function unseal(key: Buffer, value: Buffer): Buffer | undefined {
  if (value.length < 4) return undefined;
  const payload = value.subarray(4);
  return crc32(payload, crc32(key)) === value.readUInt32BE(0) ? payload : undefined;
}
