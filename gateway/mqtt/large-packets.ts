/**
 * The memory of packets with large payloads, over all connections, from before the first of them is gathered until its
 * payload is on the disk. A packet that finds no room is not read on until there is some: TCP tells its device to wait.
 *
 * Promise: all together never hold more than the limit, the readings' own budget is never touched, and nobody who is sending
 * is closed to make room for another. Who holds room, sends nearly nothing and lets others wait is closed.
 */

/** Two of the largest by default, so that one on a slow link does not hold up all. */
export const MAX_LARGE_BYTES: number = 40 * 1024 * 1024;

/** While others wait, at least so much has to come in such a time: less is slower than any link that pictures are sent over. */
const LEAST_PROGRESS = { bytes: 16 * 1024, ms: 30_000 } as const;

export interface LargeGatherer {
  /** There may be room now: it is to ask again. */
  roomAgain(): void;
  /** Bytes of the packet that have come. */
  readonly gathered: number;
  /** It holds room that others wait for, and sends nothing. */
  tooSlow(): void;
}

interface Holder {
  readonly bytes: number;
  seen: number;
}

export class LargePackets {
  readonly #limit: number;
  readonly #waiting = new Set<LargeGatherer>();
  readonly #gathering = new Map<LargeGatherer, Holder>();
  #bytes = 0;
  #watch: NodeJS.Timeout | undefined;
  readonly #progressMs: number;

  /** @param largest of one packet: it always fits */
  constructor(
    largest: number,
    limit: number = MAX_LARGE_BYTES,
    progressMs: number = LEAST_PROGRESS.ms,
  ) {
    this.#limit = Math.max(largest, limit);
    this.#progressMs = progressMs;
  }

  /** Held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Room for a packet that is about to be gathered. Whoever waits longest comes first.
   * @returns false where it has to wait; it is called back
   */
  claim(who: LargeGatherer, bytes: number): boolean {
    const [first] = this.#waiting;
    const isItsTurn = first === undefined || first === who;
    if (!isItsTurn || this.#bytes + bytes > this.#limit) {
      this.#waiting.add(who);
      this.#watch ??= setInterval(() => this.#look(), this.#progressMs).unref();
      return false;
    }
    this.#waiting.delete(who);
    this.#bytes += bytes;
    this.#gathering.set(who, { bytes, seen: 0 });
    this.#wakeNext();
    return true;
  }

  /** The packet has come whole: its memory is held on, and given back with give(). */
  whole(who: LargeGatherer): void {
    this.#gathering.delete(who);
  }

  /** It waits no more, and gathers no more: what it held for that is free. */
  leave(who: LargeGatherer): void {
    this.#waiting.delete(who);
    const held = this.#gathering.get(who);
    this.#gathering.delete(who);
    this.#bytes -= held?.bytes ?? 0;
    this.#wakeNext();
  }

  /** Of a packet that came whole. */
  give(bytes: number): void {
    if (bytes === 0) return;
    this.#bytes -= bytes;
    this.#wakeNext();
  }

  #wakeNext(): void {
    const [first] = this.#waiting;
    if (first) setImmediate(() => this.#waiting.has(first) && first.roomAgain());
    else {
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
  }

  #look(): void {
    for (const [who, holder] of this.#gathering) {
      const { gathered } = who;
      if (gathered - holder.seen < LEAST_PROGRESS.bytes) who.tooSlow();
      holder.seen = gathered;
    }
  }
}
