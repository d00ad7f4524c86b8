/** When the next commit begins: with everything that arrived in one turn of the event loop, or gathered for a while. */

import type { Timer, Timers } from "../../time/timers.ts";

export interface CommitTimerOptions {
  readonly timers: Timers;
  /** How long a commit may gather before it is written, ms. */
  readonly windowMs: number;
  /** Between the beginnings of two commits where several callers shared the first, ms. */
  readonly paceMs: number;
  /** How long what nobody waits for may wait for a commit that is made anyway, ms. */
  readonly idleMs: number;
  readonly commit: () => void;
}

export class CommitTimer {
  readonly #options: CommitTimerOptions;
  #scheduled: Timer | undefined;
  /** When what is scheduled is due. */
  #due = 0;
  #begun = 0;
  #shared = false;

  constructor(options: CommitTimerOptions) {
    this.#options = options;
  }

  /**
   * What is scheduled already begins no later than it would have.
   * @param hurry `now` where there is a group's worth, `some` where somebody waits, `none` where nobody does
   */
  schedule(hurry: "now" | "some" | "none"): void {
    const { timers, windowMs, paceMs, idleMs, commit } = this.#options;
    const now = timers.now();
    const pace = this.#shared ? Math.ceil(this.#begun + paceMs - now) : 0;
    const gather = hurry === "none" ? Math.max(windowMs, idleMs) : windowMs;
    const wait = hurry === "now" ? 0 : Math.max(gather, pace, 0);
    if (this.#scheduled) {
      if (now + wait >= this.#due) return;
      this.cancel();
    }
    const due = () => {
      this.#scheduled = undefined;
      commit();
    };
    this.#due = now + wait;
    this.#scheduled = wait === 0 ? timers.setImmediate(due) : timers.setTimeout(due, wait);
  }

  cancel(): void {
    this.#options.timers.clear(this.#scheduled);
    this.#scheduled = undefined;
  }

  /** A commit begins now, for so many callers. */
  begin(callers: number): void {
    this.#begun = this.#options.timers.now();
    this.#shared = callers > 1;
  }
}
