/**
 * The stamp of an encoded journal event, read without decoding the event: whoever sends thousands of events on has to
 * look at each one's clock and to change hardly any.
 *
 * Every event of a journal is written with its stamp first (`received`, `clock`, `boot`, `uptime`); one that is laid out in
 * another way is decoded as a whole.
 */
import { decodeCbor, encodeCbor } from "./codec.ts";
import { CLOCKS, type Clock, type Stamp } from "./schema.ts";

/** "received" with its CBOR head, and so on: keys of the stamp in the order in which they are written. */
const KEYS = ["received", "clock", "boot", "uptime"].map((key) =>
  Buffer.concat([Buffer.from([0x60 + key.length]), Buffer.from(key)]),
);
const [RECEIVED, CLOCK, BOOT, UPTIME] = KEYS as [Buffer, Buffer, Buffer, Buffer];

/** @returns undefined where the bytes are no event with a stamp */
export function readStamp(value: Uint8Array): Stamp | undefined {
  const found = new StampReader(value).stamp() ?? decodedStamp(value);
  return found && isStamp(found) ? (found as Stamp) : undefined;
}

function decodedStamp(value: Uint8Array): Partial<Stamp> | undefined {
  try {
    const { received, clock, boot, uptime } = decodeCbor(value) as Stamp;
    return { received, clock, boot, uptime };
  } catch {
    return undefined;
  }
}

function isStamp({ received, clock, boot, uptime }: Partial<Stamp>): boolean {
  return (
    typeof received === "number" &&
    typeof uptime === "number" &&
    typeof boot === "string" &&
    (CLOCKS as readonly unknown[]).includes(clock)
  );
}

/** The event (one whose stamp could be read) with another time of receipt; `clock` stays where the device gave the time. */
export function restamped(value: Uint8Array, received: number): Uint8Array {
  const event = decodeCbor(value) as Stamp;
  const clock: Clock = event.clock === "device" ? "device" : "restamped";
  return encodeCbor({ ...event, received, clock });
}

class StampReader {
  readonly #bytes: Buffer;
  #at = 0;
  #failed = false;

  constructor(value: Uint8Array) {
    this.#bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  /** @returns undefined where the event is laid out otherwise */
  stamp(): Stamp | undefined {
    this.#mapHead();
    const received = this.#key(RECEIVED).#number();
    const clock = this.#key(CLOCK).#text() as Clock;
    const boot = this.#key(BOOT).#text();
    const uptime = this.#key(UPTIME).#number();
    return this.#failed ? undefined : { received, clock, boot, uptime };
  }

  #mapHead(): void {
    const head = this.#bytes[0] ?? 0;
    if (head >= 0xa0 && head <= 0xb7) this.#at = 1;
    else if (head === 0xb8) this.#at = 2;
    else if (head === 0xb9) this.#at = 3;
    else this.#failed = true;
  }

  #key(key: Buffer): this {
    const end = this.#at + key.length;
    if (
      this.#failed ||
      this.#bytes.compare(key, 0, key.length, this.#at, Math.min(end, this.#bytes.length)) !== 0
    ) {
      this.#failed = true;
    }
    this.#at = end;
    return this;
  }

  #number(): number {
    const head = this.#bytes[this.#at] ?? 0;
    const at = this.#at + 1;
    const bytes = this.#bytes;
    const size = { 24: 1, 25: 2, 26: 4, 56: 1, 57: 2, 58: 4, 250: 4, 251: 8 }[head] ?? 0;
    if (this.#failed || at + size > bytes.length) {
      this.#failed = true;
      return 0;
    }
    this.#at = at + size;
    if (head === 0xfb) return bytes.readDoubleBE(at);
    if (head === 0xfa) return bytes.readFloatBE(at);
    const major = head >> 5;
    if (major > 1 || (head & 0x1f) > 0x1a) {
      this.#failed = true;
      return 0;
    }
    const count = size === 0 ? head & 0x1f : bytes.readUIntBE(at, size);
    return major === 0 ? count : -1 - count;
  }

  #text(): string {
    const head = this.#bytes[this.#at] ?? 0;
    let start = this.#at + 1;
    let length = head & 0x1f;
    if (head === 0x78) {
      length = this.#bytes[start] ?? 0;
      start += 1;
    } else if (head < 0x60 || head > 0x77) {
      this.#failed = true;
    }
    this.#at = start + length;
    if (this.#failed || this.#at > this.#bytes.length) {
      this.#failed = true;
      return "";
    }
    return this.#bytes.toString("utf8", start, this.#at);
  }
}
