/**
 * MQTT frames out of a byte stream: where each control packet begins and ends, and where a PUBLISH has its topic, id and
 * payload. Nothing is decoded and nothing is copied that came whole. Pure.
 *
 * A packet that claims more bytes than the limit is told from its header, before any of them is gathered.
 */

/** Control packet types, the upper half of a packet's first byte. */
export const PACKET = { connect: 1, publish: 3, pubrel: 6, pingreq: 12, disconnect: 14 } as const;

/** `large` and `malformed` end the stream: what follows cannot be told apart any more. */
export type FrameState = "none" | "whole" | "large" | "malformed";

const NOTHING = Buffer.alloc(0);

/** Of this size it is not worth letting go. */
const SMALL = 4096;

export class FrameReader {
  /** The bytes that the places below are in; what was handed out of it is never written again. */
  bytes: Buffer = NOTHING;
  /** First byte of the frame: type and flags. */
  head = 0;
  /** Places of the frame that next() found: its first byte, the first after its header, the first after it. */
  start = 0;
  body = 0;
  end = 0;
  /** Packets with more bytes than this, header included, are `large`. */
  limit: number;
  /** There is room in memory for all of the packet that is gathered: it is taken at once, and nothing is copied twice. */
  hasRoom = false;
  /** The first byte that is not consumed, and the first that has not come. */
  #at = 0;
  #have = 0;
  /** Whether `bytes` is our own, so that more can be added behind what it has. */
  #own = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that wait, of whole frames and of the beginning of one. */
  get waiting(): number {
    return this.#have - this.#at;
  }

  /** Behind the last byte that has come. */
  get have(): number {
    return this.#have;
  }

  /** Memory that what waits keeps. */
  get held(): number {
    return this.waiting === 0 ? 0 : this.bytes.length;
  }

  /**
   * Nothing more will be taken for now: lets go of what was consumed, so that the memory that is held is about what waits.
   * The places of the last frame are void.
   */
  settle(): void {
    const { waiting } = this;
    if (waiting > 0 && (this.bytes.length <= SMALL || 4 * waiting >= this.bytes.length)) return;
    // Small pieces out of the shared pool would keep all of it.
    const home = waiting === 0 ? NOTHING : Buffer.allocUnsafeSlow(waiting);
    this.bytes.copy(home, 0, this.#at, this.#have);
    this.bytes = home;
    this.#at = 0;
    this.#have = waiting;
    this.#own = waiting > 0;
  }

  add(chunk: Buffer): void {
    if (this.#at === this.#have) {
      this.bytes = chunk;
      this.#at = 0;
      this.#have = chunk.length;
      this.#own = false;
      return;
    }
    if (!this.#own || this.#have + chunk.length > this.bytes.length) this.#grow(chunk.length);
    this.bytes.set(chunk, this.#have);
    this.#have += chunk.length;
  }

  /**
   * A new home for what waits. It doubles up to the end of the packet that is gathered: a packet that comes byte by byte is
   * copied a few times, and one that only claims to be long takes no room.
   */
  #grow(more: number): void {
    const total = this.waiting + more;
    const most = this.hasRoom ? Number.POSITIVE_INFINITY : total * 2;
    const claimed = this.next() === "none" ? Math.min(this.end - this.start, most) : 0;
    const home = Buffer.allocUnsafeSlow(Math.max(total, claimed));
    this.bytes.copy(home, 0, this.#at, this.#have);
    this.#have -= this.#at;
    this.#at = 0;
    this.bytes = home;
    this.#own = true;
  }

  /** Finds the frame that stands first, and leaves it there. */
  next(): FrameState {
    const { bytes } = this;
    this.start = this.#at;
    this.end = this.#at;
    let length = 0;
    for (let i = 1; i <= 4; i += 1) {
      if (this.#at + i >= this.#have) return "none";
      const digit = bytes[this.#at + i] ?? 0;
      length |= (digit & 0x7f) << (7 * (i - 1));
      if ((digit & 0x80) !== 0) continue;
      this.head = bytes[this.#at] ?? 0;
      this.body = this.#at + i + 1;
      this.end = this.body + length;
      if (length + i + 1 > this.limit) return "large";
      return this.end <= this.#have ? "whole" : "none";
    }
    // [MQTT-2.2.3] A remaining length has four bytes at most.
    return "malformed";
  }

  /** Goes on behind the frame that next() found whole. */
  consume(): void {
    this.#at = this.end;
  }
}

/** Where the parts of a PUBLISH stand; filled anew for each, so that none of them is an object of its own. */
export class PublishParts {
  qos = 0;
  dup = false;
  retain = false;
  topicStart = 0;
  topicEnd = 0;
  /** 0 at QoS 0. */
  messageId = 0;
  payload = 0;

  /** Finds the topic of a PUBLISH that need not have come whole. @returns whether it has come that far */
  readTopic({ bytes, body, have }: FrameReader): boolean {
    if (body + 2 > have) return false;
    this.topicStart = body + 2;
    this.topicEnd = this.topicStart + (((bytes[body] ?? 0) << 8) | (bytes[body + 1] ?? 0));
    return this.topicEnd <= have;
  }

  /** @returns false where the frame is no PUBLISH that MQTT allows */
  read(frame: FrameReader): boolean {
    const { bytes, head, body, end } = frame;
    this.qos = (head >> 1) & 3;
    this.dup = (head & 8) !== 0;
    this.retain = (head & 1) !== 0;
    // [MQTT-3.3.1-4]
    if (this.qos === 3 || body + 2 > end) return false;
    this.topicStart = body + 2;
    this.topicEnd = this.topicStart + (((bytes[body] ?? 0) << 8) | (bytes[body + 1] ?? 0));
    this.messageId = 0;
    this.payload = this.topicEnd;
    if (this.qos > 0) {
      this.payload += 2;
      if (this.payload > end) return false;
      this.messageId = ((bytes[this.topicEnd] ?? 0) << 8) | (bytes[this.topicEnd + 1] ?? 0);
      // [MQTT-2.3.1-1]
      if (this.messageId === 0) return false;
    }
    // [MQTT-4.7.3-1] A topic has a character at least.
    return this.payload <= end && this.topicEnd > this.topicStart;
  }
}
