/** Bytes as Kafka's protocol writes them: big endian, strings and arrays with their length before them. */

/** Shorter ones have a length of one byte as a varint. */
const SHORT_TEXT = 64;

/** A buffer that grows by doubling. */
export class WireWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(size = 256) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  get length(): number {
    return this.#at;
  }

  /** What was written so far, without copying: write nothing more after it. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** From the start again, in the same memory: what bytes() gave is overwritten. */
  clear(): this {
    this.#at = 0;
    return this;
  }

  #room(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, at + size));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#at = at + size;
    return at;
  }

  int8(value: number): this {
    const at = this.#room(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }
  int16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }
  int32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }
  int64(value: bigint | number): this {
    const at = this.#room(8);
    this.#bytes.writeBigInt64BE(BigInt(value), at);
    return this;
  }
  /** Null is written as length -1. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length);
    const at = this.#room(length);
    this.#bytes.write(value, at, length);
    return this;
  }
  raw(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }
  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length);
    for (const value of values) write(value);
    return this;
  }
  /** Zigzag, base 128, as inside of record batches; within ±2^31. */
  varint(value: number): this {
    let left = ((value << 1) ^ (value >> 31)) >>> 0;
    while (left > 127) {
      const at = this.#room(1);
      this.#bytes[at] = (left & 127) | 128;
      left >>>= 7;
    }
    const at = this.#room(1);
    this.#bytes[at] = left;
    return this;
  }
  /** Length as a varint, then the text; null is length -1. */
  varText(value: string | null): this {
    if (value === null) return this.varint(-1);
    if (value.length < SHORT_TEXT && this.#shortAscii(value)) return this;
    const length = Buffer.byteLength(value);
    this.varint(length);
    const at = this.#room(length);
    this.#bytes.write(value, at, length);
    return this;
  }
  varBytes(value: Uint8Array | null): this {
    if (value === null) return this.varint(-1);
    return this.varint(value.length).raw(value);
  }

  /** Most texts are a few letters of ASCII, for which two calls into the runtime cost more than the letters. */
  #shortAscii(value: string): boolean {
    const { length } = value;
    const at = this.#room(1 + length);
    const bytes = this.#bytes;
    bytes[at] = length << 1;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 127) {
        this.#at = at;
        return false;
      }
      bytes[at + 1 + i] = unit;
    }
    return true;
  }
}

/** Reads what WireWriter writes; past the end it throws a RangeError, as Buffer does. */
export class WireReader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  int8(): number {
    const value = this.bytes.readInt8(this.at);
    this.at += 1;
    return value;
  }
  int16(): number {
    const value = this.bytes.readInt16BE(this.at);
    this.at += 2;
    return value;
  }
  int32(): number {
    const value = this.bytes.readInt32BE(this.at);
    this.at += 4;
    return value;
  }
  /** As a number: offsets and times stay below 2^53. */
  int64(): number {
    const high = this.bytes.readInt32BE(this.at);
    const low = this.bytes.readUInt32BE(this.at + 4);
    this.at += 8;
    return high * 0x1_0000_0000 + low;
  }
  string(): string {
    const length = this.int16();
    return length < 0 ? "" : this.text(length);
  }
  array<T>(read: () => T): T[] {
    const length = this.int32();
    const values: T[] = [];
    for (let i = 0; i < length; i++) values.push(read());
    return values;
  }
  slice(length: number): Buffer {
    if (length < 0 || this.at + length > this.bytes.length) throw new RangeError("cut short");
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }
  varint(): number {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = this.bytes.readUInt8(this.at++);
      value |= (byte & 127) << shift;
      if (byte < 128) return (value >>> 1) ^ -(value & 1);
      shift += 7;
      if (shift > 28 + 7) throw new RangeError("a varint of more than 32 bits");
    }
  }
  /** Up to 64 bits, as a number. */
  varlong(): number {
    const only = this.bytes.readUInt8(this.at);
    if (only < 128) {
      this.at++;
      return (only >>> 1) ^ -(only & 1);
    }
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.bytes.readUInt8(this.at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number((value >> 1n) ^ -(value & 1n));
      shift += 7n;
      if (shift > 63n) throw new RangeError("a varint of more than 64 bits");
    }
  }
  varText(): string | null {
    const length = this.varint();
    return length < 0 ? null : this.text(length);
  }
  varBytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.slice(length);
  }
  text(length: number): string {
    if (this.at + length > this.bytes.length) throw new RangeError("cut short");
    const value = this.bytes.toString("utf8", this.at, this.at + length);
    this.at += length;
    return value;
  }
}
