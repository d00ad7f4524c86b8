/**
 * Who waits to be written, in order. The gateway's own events stand apart: they pass the others where those wait for
 * room. What nobody waits for any more is passed over. Bounded in bytes, for all of it is held in memory.
 */
import { BufferError, type NewEvent, type Note, type Waiter } from "./port.ts";

export interface Item {
  readonly events: readonly NewEvent[];
  /** Of their frames. */
  readonly bytes: number;
  readonly notes: readonly Note[];
  readonly waiter: Waiter;
  readonly own: boolean;
}

/** What a group may take, in bytes of frames. */
export interface Room {
  /** For the gateway's own events; Infinity where the oldest give way. */
  readonly own: number;
  /** Before the cap is reached. */
  readonly others: number;
  /** Whether what does not fit may be taken all the same, because the oldest give way. */
  readonly givesWay: boolean;
  readonly group: number;
}

export interface Taken {
  readonly items: readonly Item[];
  /** Somebody met the cap. */
  readonly full: boolean;
}

/** Passed items are cut off in pieces of this many: a shift for each would move the whole queue. */
const TRIM = 4096;

export class WaitingRoom {
  readonly #limitBytes: number;
  #others: Item[] = [];
  #head = 0;
  #own: Item[] = [];
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#head === this.#others.length && this.#own.length === 0;
  }

  /** @returns false where there is no room in memory */
  add(item: Item): boolean {
    if (this.#bytes + item.bytes > this.#limitBytes) this.#forgetGone();
    if (this.#bytes + item.bytes > this.#limitBytes) return false;
    this.#bytes += item.bytes;
    if (item.own) this.#own.push(item);
    else this.#others.push(item);
    return true;
  }

  /** What goes into the next group: the gateway's own events, then the others as far as there is room for them. */
  take(room: Room): Taken {
    const items: Item[] = [];
    let size = 0;
    for (const item of this.#own.splice(0)) {
      this.#bytes -= item.bytes;
      if (item.bytes > 0 && size + item.bytes > room.own) {
        item.waiter.refused(new BufferError("full", "the buffer is full, its reserve too"));
        continue;
      }
      items.push(item);
      size += item.bytes;
    }
    let full = false;
    while (this.#head < this.#others.length) {
      const item = this.#others[this.#head] as Item;
      if (!item.waiter.gone) {
        if (items.length > 0 && size + item.bytes > room.group) break;
        const over = size + item.bytes > room.others;
        full ||= over;
        if (over && !room.givesWay) break;
        items.push(item);
        size += item.bytes;
      }
      this.#bytes -= item.bytes;
      this.#head += 1;
    }
    this.#trim();
    return { items, full };
  }

  /** Puts back what was taken and not stored, before everybody else and whatever the limit. */
  putBack(items: readonly Item[]): void {
    for (const { bytes } of items) this.#bytes += bytes;
    this.#own.unshift(...items.filter(({ own }) => own));
    const others = items.filter(({ own }) => !own);
    this.#others = [...others, ...this.#others.slice(this.#head)];
    this.#head = 0;
  }

  /** Everybody, who then waits no more. */
  clear(): Item[] {
    const all = [...this.#others.slice(this.#head), ...this.#own];
    this.#others = [];
    this.#head = 0;
    this.#own = [];
    this.#bytes = 0;
    return all;
  }

  #forgetGone(): void {
    this.#others = this.#others.slice(this.#head).filter((item) => !item.waiter.gone);
    this.#head = 0;
    this.#bytes = 0;
    for (const { bytes } of this.#others) this.#bytes += bytes;
    for (const { bytes } of this.#own) this.#bytes += bytes;
  }

  #trim(): void {
    if (this.#head === this.#others.length) {
      this.#others = [];
      this.#head = 0;
    } else if (this.#head > TRIM) {
      this.#others = this.#others.slice(this.#head);
      this.#head = 0;
    }
  }
}
