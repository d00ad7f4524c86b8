/**
 * The few MQTT 3.1.1 packets that a publisher writes and reads, by hand: with thousands of devices in one process a general
 * codec costs more than all the rest. What is written is complete packets; what is read may come in pieces of any size.
 */
import type { PublishPacket } from "../device/port.ts";

export interface ConnectPacket {
  readonly clientId: string;
  readonly clean: boolean;
  readonly keepaliveSeconds: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface AnswerEvents {
  /** @param code 0 where the broker takes the connection [MQTT-3.2.2-4] */
  connack(sessionPresent: boolean, code: number): void;
  puback(messageId: number): void;
  pubrec(messageId: number): void;
  pubcomp(messageId: number): void;
}

export const PINGREQ: Buffer = Buffer.from([0xc0, 0]);
export const DISCONNECT: Buffer = Buffer.from([0xe0, 0]);

const CONNACK = 0x20;
const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBCOMP = 0x70;
/** Answers have two bytes behind their fixed header; more is something that was not asked for. */
const ANSWER_BYTES = 2;
const LONGEST_LENGTH_BYTES = 4;

/** Why a CONNECT was refused, by its return code [MQTT-3.2.2.3]. */
const REFUSALS: readonly string[] = [
  "accepted",
  "refused: unacceptable protocol version",
  "refused: client id rejected",
  "refused: server unavailable",
  "refused: bad user name or password",
  "refused: not authorized",
];

export function refusalText(code: number): string {
  return REFUSALS[code] ?? `refused: code ${code}`;
}

export function connectPacket(packet: ConnectPacket): Buffer {
  const { clientId, clean, keepaliveSeconds, username, password } = packet;
  const texts = [clientId, username, password].filter((text) => text !== undefined);
  const fields = texts.map(lengthPrefixed);
  const flags =
    (clean ? 0x02 : 0) | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, 0, 0]);
  head.writeUInt16BE(keepaliveSeconds, 8);
  const body = Buffer.concat([head, ...fields]);
  return Buffer.concat([Buffer.from([0x10, ...lengthBytes(body.length)]), body]);
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  let left = length;
  do {
    const more = left > 0x7f;
    bytes.push((left & 0x7f) | (more ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  return bytes;
}

export function publishPacket({ topic, payload, qos, messageId, dup }: PublishPacket): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const length = 2 + topicBytes + (qos > 0 ? 2 : 0) + payload.length;
  const lengthOfLength = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4;
  const packet = Buffer.allocUnsafe(1 + lengthOfLength + length);
  packet[0] = 0x30 | (dup ? 0x08 : 0) | (qos << 1);
  let at = 1;
  for (let left = length; at <= lengthOfLength; left >>>= 7) {
    packet[at] = (left & 0x7f) | (at < lengthOfLength ? 0x80 : 0);
    at += 1;
  }
  at = packet.writeUInt16BE(topicBytes, at);
  at += packet.write(topic, at);
  if (qos > 0) at = packet.writeUInt16BE(messageId, at);
  payload.copy(packet, at);
  return packet;
}

export function pubrelPacket(messageId: number): Buffer {
  return Buffer.from([0x62, 2, messageId >> 8, messageId & 0xff]);
}

/** Reads what a broker says to a publisher. Whatever else it sends is passed over. */
export class AnswerReader {
  readonly #events: AnswerEvents;
  /** The packet that has begun: its first byte and what came of its length; empty between packets. */
  #head: number[] = [];
  /** Bytes of its body that are still to come, once its length is known. */
  #left = 0;
  #body: number[] = [];
  #inBody = false;

  constructor(events: AnswerEvents) {
    this.#events = events;
  }

  /** @returns false where it is no MQTT: the connection is worth nothing more */
  read(chunk: Uint8Array, size = chunk.length): boolean {
    let at = 0;
    // Nearly always whole answers of four bytes.
    while (!this.#inBody && this.#head.length === 0 && at + 4 <= size && chunk[at + 1] === 2) {
      this.#answer(chunk[at] ?? 0, chunk[at + 2] ?? 0, chunk[at + 3] ?? 0);
      at += 4;
    }
    while (at < size) {
      if (this.#inBody) at = this.#readBody(chunk, at, size);
      else {
        const byte = chunk[at] ?? 0;
        at += 1;
        this.#head.push(byte);
        if (this.#head.length > 1 && byte < 0x80) this.#begin();
        else if (this.#head.length > LONGEST_LENGTH_BYTES) return false;
      }
    }
    return true;
  }

  #begin(): void {
    this.#left = this.#head.slice(1).reduce((sum, byte, i) => sum + (byte & 0x7f) * 128 ** i, 0);
    this.#body = [];
    this.#inBody = true;
    if (this.#left === 0) this.#end();
  }

  #readBody(chunk: Uint8Array, from: number, size: number): number {
    const taken = Math.min(this.#left, size - from);
    // Only so much of it is ever looked at; the rest is not kept.
    for (let i = 0; i < taken && this.#body.length < ANSWER_BYTES; i += 1) {
      this.#body.push(chunk[from + i] ?? 0);
    }
    this.#left -= taken;
    if (this.#left === 0) this.#end();
    return from + taken;
  }

  #end(): void {
    const [type = 0] = this.#head;
    const [high, low] = this.#body;
    this.#head = [];
    this.#inBody = false;
    if (high !== undefined && low !== undefined) this.#answer(type, high, low);
  }

  #answer(type: number, high: number, low: number): void {
    const id = (high << 8) | low;
    if (type === PUBACK) this.#events.puback(id);
    else if (type === PUBREC) this.#events.pubrec(id);
    else if (type === PUBCOMP) this.#events.pubcomp(id);
    else if (type === CONNACK) this.#events.connack((high & 1) === 1, low);
  }
}
