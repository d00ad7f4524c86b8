/**
 * Virtual time: timers that are due one after another, as fast as the machine goes. A day takes seconds, nothing depends on
 * the wall clock, and the same timers in the same order make the same run.
 *
 * Between two timers everything that the one before has set going runs to its end: promises, and what is due for the next
 * tick. So the code that runs here must wait for nothing but these timers: a real file
 * or socket would come at its own time.
 *
 * Each process of the world has timers of its own (scope()), which end with it: what it had under way never goes on.
 */
import assert from "node:assert/strict";
import type { Timer, Timers } from "../../time/timers.ts";

/** Turns between two of the real event loop: some ms. */
const TURNS_A_BREATH = 500;

interface Due {
  at: number;
  order: number;
  readonly run: () => void;
  /** Again after so long, ms. */
  readonly every: number | undefined;
  readonly scope: Scope;
  gone: boolean;
}

/** Timers of one process. */
export class Scope implements Timers {
  readonly #time: VirtualTime;
  ended = false;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now;
  }

  setTimeout(run: () => void, ms: number): Timer {
    return this.#time.add(this, run, ms, undefined);
  }

  setInterval(run: () => void, ms: number): Timer {
    assert(ms > 0, "an interval takes time");
    return this.#time.add(this, run, ms, ms);
  }

  setImmediate(run: () => void): Timer {
    return this.#time.add(this, run, 0, undefined);
  }

  clear(timer: Timer | undefined): void {
    if (timer) (timer as unknown as Due).gone = true;
  }

  /** Nothing of it happens any more. */
  end(): void {
    this.ended = true;
  }
}

export class VirtualTime {
  /** ms since the beginning of the run. */
  now = 0;
  /** Timers that came due so far. */
  turns = 0;
  #order = 0;
  readonly #heap: Due[] = [];

  scope(): Scope {
    return new Scope(this);
  }

  add(scope: Scope, run: () => void, ms: number, every: number | undefined): Timer {
    const at = this.now + Math.max(0, ms);
    const due: Due = { at, order: this.#order++, run, every, scope, gone: false };
    this.#push(due);
    return due as unknown as Timer;
  }

  /** Runs what is due up to and including the moment. */
  async runUntil(moment: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > moment) break;
      this.#pop();
      if (next.gone || next.scope.ended) continue;
      this.now = Math.max(this.now, next.at);
      this.turns += 1;
      next.run();
      if (next.every !== undefined && !next.gone) {
        next.at = this.now + next.every;
        next.order = this.#order++;
        this.#push(next);
      }
      await settled();
      if (this.turns % TURNS_A_BREATH === 0) await aBreath();
    }
    this.now = Math.max(this.now, moment);
  }

  /** When the next timer is due; Infinity where there is none. */
  get next(): number {
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (!first.gone && !first.scope.ended) return first.at;
      this.#pop();
    }
    return Number.POSITIVE_INFINITY;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, heap[parent] as Due)) break;
      heap[at] = heap[parent] as Due;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (heap.length === 0 || !last) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child =
        right < heap.length && before(heap[right] as Due, heap[left] as Due) ? right : left;
      if (!before(heap[child] as Due, last)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
  }
}

function before(one: Due, other: Due): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/**
 * All promises that can settle have: Node runs what is due for the next tick only once no promise has anything left to do.
 * Nothing of what runs here asks for ticks of its own.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** The real world's turn: its timers, its signals, whoever shows how far it is. */
function aBreath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
