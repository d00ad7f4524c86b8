/**
 * The stamp of an encoded journal event, read without decoding the event: whoever sends thousands of events on has to
 * look at each one's clock and to change hardly any.
 *
 * Every event of a journal is written with its stamp first (`received`, `clock`, `boot`, `uptime`); one that is laid out in
 * another way is decoded as a whole.
 */
import { decodeCbor, encodeCbor } from "./codec.ts";
import type { Stamp } from "./schema.ts";
import { CLOCKS, type Clock } from "./schema-parts.ts";

/** "received" with its CBOR head, and so on: keys of the stamp in the order in which they are written. */
const KEYS = ["received", "clock", "boot", "uptime"].map((key) =>
  Buffer.concat([Buffer.from([0x60 + key.length]), Buffer.from(key)]),
);
const [RECEIVED, CLOCK, BOOT, UPTIME] = KEYS as [Buffer, Buffer, Buffer, Buffer];

/** @returns undefined where the bytes are no event with a stamp */
export function readStamp(value: Uint8Array): Stamp | undefined {
  const found = laidOutStamp(value) ?? decodedStamp(value);
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

/** Where the reading of the stamp stands; one for all, because events are read one after another. */
let view: Buffer = Buffer.alloc(0);
let at = 0;
let failed = false;

/** @returns undefined where the event is laid out otherwise */
function laidOutStamp(value: Uint8Array): Stamp | undefined {
  view = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  failed = false;
  const head = view[0] ?? 0;
  if (head >= 0xa0 && head <= 0xb7) at = 1;
  else if (head === 0xb8) at = 2;
  else if (head === 0xb9) at = 3;
  else return undefined;
  key(RECEIVED);
  const received = number();
  key(CLOCK);
  const clock = text() as Clock;
  key(BOOT);
  const boot = text();
  key(UPTIME);
  const uptime = number();
  return failed ? undefined : { received, clock, boot, uptime };
}

function key(wanted: Buffer): void {
  if (at + wanted.length > view.length) failed = true;
  for (let i = 0; i < wanted.length && !failed; i += 1) failed = view[at + i] !== wanted[i];
  at += wanted.length;
}

/** Bytes that follow the head of a number: of the whole numbers up to 32 bits and the floats from 32 on. */
function numberBytes(head: number): number {
  switch (head) {
    case 0x18:
    case 0x38:
      return 1;
    case 0x19:
    case 0x39:
      return 2;
    case 0x1a:
    case 0x3a:
    case 0xfa:
      return 4;
    case 0xfb:
      return 8;
    default:
      return 0;
  }
}

function number(): number {
  const head = view[at] ?? 0;
  const start = at + 1;
  const size = numberBytes(head);
  at = start + size;
  if (failed || at > view.length) {
    failed = true;
    return 0;
  }
  if (head === 0xfb) return view.readDoubleBE(start);
  if (head === 0xfa) return view.readFloatBE(start);
  const major = head >> 5;
  if (major > 1 || (head & 0x1f) > 0x1a) {
    failed = true;
    return 0;
  }
  const count = size === 0 ? head & 0x1f : view.readUIntBE(start, size);
  return major === 0 ? count : -1 - count;
}

function text(): string {
  const head = view[at] ?? 0;
  let start = at + 1;
  let length = head & 0x1f;
  if (head === 0x78) {
    length = view[start] ?? 0;
    start += 1;
  } else if (head < 0x60 || head > 0x77) {
    failed = true;
  }
  at = start + length;
  if (failed || at > view.length) {
    failed = true;
    return "";
  }
  return view.toString("utf8", start, at);
}
