/**
 * How fast connections may be begun: a broker has a listen backlog (511 in Node), and what does not fit in it the kernel
 * throws away without a word, so that a device waits for a second for no reason of its own. Everybody who wants to connect
 * comes through here, in turn.
 */
import { Alarm, type Alarms } from "./alarms.ts";

export interface GateOptions {
  /** Connections begun a second. */
  readonly perSecond: number;
  /** Most that have begun and are not answered yet. */
  readonly maxPending: number;
}

/** A place in the queue; leave() gives it back at any time, and must be called once the broker has answered. */
export interface Pass {
  leave(): void;
}

export class Gate {
  readonly #options: GateOptions;
  readonly #alarms: Alarms;
  readonly #now: () => number;
  /** In the order of asking; a Set keeps it, and lets anybody leave in between. */
  readonly #waiting = new Set<{ begin: () => void }>();
  readonly #again = new Alarm(() => this.#open());
  #pending = 0;
  /** When the next may begin. */
  #next = 0;

  constructor(options: GateOptions, alarms: Alarms, now: () => number) {
    this.#options = options;
    this.#alarms = alarms;
    this.#now = now;
  }

  get pending(): number {
    return this.#pending;
  }

  /** `begin` is called when it is this one's turn, never before enter() has returned. */
  enter(begin: () => void): Pass {
    let state: "waiting" | "pending" | "left" = "waiting";
    const ticket = {
      begin: () => {
        state = "pending";
        begin();
      },
    };
    this.#waiting.add(ticket);
    this.#plan();
    return {
      leave: () => {
        if (state === "waiting") this.#waiting.delete(ticket);
        else if (state === "pending") {
          this.#pending -= 1;
          this.#plan();
        }
        state = "left";
      },
    };
  }

  #plan(): void {
    if (this.#waiting.size === 0 || this.#pending >= this.#options.maxPending) return;
    if (!this.#again.isSet) this.#alarms.set(this.#again, Math.max(this.#next, this.#now()));
  }

  #open(): void {
    const now = this.#now();
    const gapMs = 1000 / this.#options.perSecond;
    // After a rest there is no catching up: that would be the rush that this is here to prevent.
    if (this.#next < now - gapMs - LATE_MS) this.#next = now;
    for (const ticket of this.#waiting) {
      if (this.#pending >= this.#options.maxPending || this.#next > now) break;
      this.#next += gapMs;
      this.#waiting.delete(ticket);
      this.#pending += 1;
      ticket.begin();
    }
    this.#plan();
  }
}

/** How late the alarm may come without anybody losing a turn, ms. */
const LATE_MS = 20;
