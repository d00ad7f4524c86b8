/** When the next commit begins: with everything that arrived in one turn of the event loop, or gathered for a while. */

export interface CommitTimerOptions {
  /** How long a commit may gather before it is written, ms. */
  readonly windowMs: number;
  /** Between the beginnings of two commits where several callers shared the first, ms. */
  readonly paceMs: number;
  readonly commit: () => void;
}

export class CommitTimer {
  readonly #options: CommitTimerOptions;
  #scheduled: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #soon = false;
  #begun = 0;
  #shared = false;

  constructor(options: CommitTimerOptions) {
    this.#options = options;
  }

  /** @param enough there is a group's worth, which waits for nothing */
  schedule(enough: boolean): void {
    const { windowMs, paceMs, commit } = this.#options;
    const pace = this.#shared ? this.#begun + paceMs - performance.now() : 0;
    const wait = enough ? 0 : Math.max(windowMs, Math.ceil(pace), 0);
    if (this.#scheduled) {
      // A window ends early when there is a group's worth.
      if (wait > 0 || this.#soon) return;
      this.cancel();
    }
    const due = () => {
      this.#scheduled = undefined;
      commit();
    };
    this.#soon = wait === 0;
    this.#scheduled = this.#soon ? setImmediate(due) : setTimeout(due, wait);
  }

  cancel(): void {
    clearTimeout(this.#scheduled as NodeJS.Timeout | undefined);
    clearImmediate(this.#scheduled as NodeJS.Immediate | undefined);
    this.#scheduled = undefined;
  }

  /** A commit begins now, for so many callers. */
  begin(callers: number): void {
    this.#begun = performance.now();
    this.#shared = callers > 1;
  }
}
