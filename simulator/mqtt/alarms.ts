/**
 * One timer for all devices: alarms in a heap by their time, and a timer of the runtime for the first of them. Ten
 * thousand timers that are set and cleared again with each reading cost more than the readings.
 *
 * An alarm rings once, never early, in the order of the times; it can be set anew, also while it rings.
 */

/** A timer takes 31 bits of milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const NOWHERE = -1;
const SHORTLY_MS = 0.001;

export class Alarm {
  readonly ring: () => void;
  /** Of the alarms' clock; meaningless while it is not set. */
  time = 0;
  /** Place in the heap. */
  place: number = NOWHERE;

  constructor(ring: () => void) {
    this.ring = ring;
  }

  get isSet(): boolean {
    return this.place !== NOWHERE;
  }
}

export class Alarms {
  readonly #now: () => number;
  readonly #heap: Alarm[] = [];
  readonly #onLate: ((ms: number) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #ringing = false;
  /** Whatever is set while ringing rings later than this: sockets must have their turn. */
  #until = Number.NEGATIVE_INFINITY;

  /**
   * @param now ms, of a clock that does not jump
   * @param onLate told by how much each alarm came late: what this process itself was too slow
   */
  constructor(now: () => number, onLate?: (ms: number) => void) {
    this.#now = now;
    this.#onLate = onLate;
  }

  /** Takes the place of the time that it was set to. */
  set(alarm: Alarm, time: number): void {
    alarm.time = this.#ringing ? Math.max(time, this.#until + SHORTLY_MS) : time;
    if (alarm.place === NOWHERE) {
      alarm.place = this.#heap.length;
      this.#heap.push(alarm);
    } else this.#down(alarm);
    this.#up(alarm);
    if (!this.#ringing) this.#plan();
  }

  clear(alarm: Alarm): void {
    const { place } = alarm;
    if (place === NOWHERE) return;
    alarm.place = NOWHERE;
    const last = this.#heap.pop();
    if (!last || last === alarm) return;
    this.#heap[place] = last;
    last.place = place;
    this.#down(last);
    this.#up(last);
  }

  /** Nothing rings any more until something is set again. */
  clearAll(): void {
    for (const alarm of this.#heap.splice(0)) alarm.place = NOWHERE;
    this.#plan();
  }

  #ringDue(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#ringing = true;
    try {
      const until = this.#now();
      this.#until = until;
      for (let first = this.#heap[0]; first && first.time <= until; first = this.#heap[0]) {
        this.clear(first);
        this.#onLate?.(until - first.time);
        first.ring();
      }
    } finally {
      this.#ringing = false;
      this.#plan();
    }
  }

  #plan(): void {
    const time = this.#heap[0]?.time ?? Number.POSITIVE_INFINITY;
    if (time === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = time;
    if (time === Number.POSITIVE_INFINITY) return;
    const ms = Math.ceil(Math.max(0, time - this.#now()));
    this.#timer = setTimeout(() => this.#ringDue(), Math.min(LONGEST_TIMER_MS, ms));
  }

  #up(alarm: Alarm): void {
    while (alarm.place > 0) {
      const parent = this.#heap[(alarm.place - 1) >> 1];
      if (!parent || parent.time <= alarm.time) return;
      this.#swap(parent, alarm);
    }
  }

  #down(alarm: Alarm): void {
    for (;;) {
      const left = this.#heap[2 * alarm.place + 1];
      const right = this.#heap[2 * alarm.place + 2];
      const least = right && left && right.time < left.time ? right : left;
      if (!least || alarm.time <= least.time) return;
      this.#swap(alarm, least);
    }
  }

  #swap(upper: Alarm, lower: Alarm): void {
    const { place } = upper;
    upper.place = lower.place;
    lower.place = place;
    this.#heap[upper.place] = upper;
    this.#heap[lower.place] = lower;
  }
}
