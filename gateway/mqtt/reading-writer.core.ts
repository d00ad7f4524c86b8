/**
 * A reading as CBOR, written by hand. What it writes decodes to the same event as encodeEvent()'s bytes (held by a
 * property test), at a fraction of the cost: this runs for every message, the general encoder for the rest.
 *
 * What all readings of a moment share, the stamp, is encoded once and copied. It goes through the general encoder, so
 * that a field that is added to the stamp is in every reading too.
 */
import assert from "node:assert";
import { encodeCbor } from "../../events/codec.ts";
import type { MetricValue, Stamp } from "../../events/schema.ts";

/** Values are cut from slabs of this size: one allocation for some hundred readings. */
const SLAB_BYTES = 64 * 1024;

/** Beyond this many characters the runtime's own writer is faster than a loop. */
const LOOP_CHARACTERS = 48;

/** Map heads of up to 23 entries are one byte, which is what is taken off a stamp's bytes. */
const MAX_SMALL_MAP = 23;

export class ReadingWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #at = 0;
  #stamp: Stamp | undefined;
  /** The stamp's entries without their map's head, as it is and for a reading with a time of its own. */
  #entries: Uint8Array = new Uint8Array();
  #deviceEntries: Uint8Array = new Uint8Array();
  #entryCount = 0;

  /** Metrics in the reading that was written last. */
  metricCount = 0;

  /**
   * @param time the device's own, where it sent one
   * @returns bytes that are the caller's for good
   */
  write(
    stamp: Stamp,
    device: string,
    metrics: Readonly<Record<string, MetricValue>>,
    time: number | undefined,
  ): Uint8Array {
    if (stamp !== this.#stamp) this.#take(stamp);
    const entries = time === undefined ? this.#entries : this.#deviceEntries;
    // Room for the worst case, so that nothing has to look again: 3 bytes a character, 9 a number.
    let room = entries.length + 64 + device.length * 3;
    let count = 0;
    for (const name in metrics) {
      count += 1;
      const value = metrics[name];
      room += 14 + name.length * 3 + (typeof value === "string" ? value.length * 3 : 0);
    }
    if (this.#at + room > this.#slab.length) this.#renew(room);
    const start = this.#at;
    this.#slab[this.#at++] = 0xa0 | (this.#entryCount + (time === undefined ? 2 : 3));
    this.#slab.set(entries, this.#at);
    this.#at += entries.length;
    if (time !== undefined) {
      this.#text("time");
      this.#number(time);
    }
    this.#text("device");
    this.#text(device);
    this.#text("metrics");
    this.#head(0xa0, count);
    for (const name in metrics) {
      this.#text(name);
      this.#value(metrics[name] as MetricValue);
    }
    this.metricCount = count;
    return this.#slab.subarray(start, this.#at);
  }

  #take(stamp: Stamp): void {
    const count = Object.keys(stamp).length;
    assert(count + 3 <= MAX_SMALL_MAP, "a stamp and a reading's own members fit a small map");
    // The encoder reuses its memory: what is kept is copied.
    this.#entries = Uint8Array.from(encodeCbor(stamp).subarray(1));
    this.#deviceEntries = Uint8Array.from(encodeCbor({ ...stamp, clock: "device" }).subarray(1));
    this.#entryCount = count;
    this.#stamp = stamp;
  }

  #renew(room: number): void {
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room));
    this.#at = 0;
  }

  /** A major type with its count or length. */
  #head(major: number, count: number): void {
    const slab = this.#slab;
    if (count < 24) slab[this.#at++] = major | count;
    else if (count < 0x100) {
      slab[this.#at++] = major | 24;
      slab[this.#at++] = count;
    } else if (count < 0x10000) {
      slab[this.#at++] = major | 25;
      slab[this.#at++] = count >> 8;
      slab[this.#at++] = count & 0xff;
    } else {
      slab[this.#at++] = major | 26;
      this.#at = slab.writeUInt32BE(count, this.#at);
    }
  }

  #value(value: MetricValue): void {
    if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#text(value);
    else this.#slab[this.#at++] = value ? 0xf5 : 0xf4;
  }

  #number(value: number): void {
    // Small integers in few bytes, all else as a double: what a device measures with a fraction has no shorter form.
    if (value >>> 0 === value) this.#head(0x00, value);
    else if (value >> 0 === value) this.#head(0x20, -1 - value);
    else {
      this.#slab[this.#at++] = 0xfb;
      this.#at = this.#slab.writeDoubleBE(value, this.#at);
    }
  }

  #text(text: string): void {
    const slab = this.#slab;
    const { length } = text;
    if (length <= LOOP_CHARACTERS) {
      const begin = this.#at;
      this.#head(0x60, length);
      let at = this.#at;
      let i = 0;
      for (; i < length; i += 1) {
        const code = text.charCodeAt(i);
        if (code >= 0x80) break;
        slab[at++] = code;
      }
      if (i === length) {
        this.#at = at;
        return;
      }
      // Not all ASCII: its length in bytes is another one.
      this.#at = begin;
    }
    // The head's size depends on the length in bytes, which is known once they are written: room is left for the longest.
    const bytes = slab.write(text, this.#at + 5, "utf8");
    const from = this.#at + 5;
    this.#head(0x60, bytes);
    slab.copyWithin(this.#at, from, from + bytes);
    this.#at += bytes;
  }
}
