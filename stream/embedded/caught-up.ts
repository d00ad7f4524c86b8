/** Who waits until a reader has come as far as the log reached when they asked. */
import { EventLogError } from "../port.ts";

/** A partition that somebody reads. */
export interface Lane {
  /** Every offset below is done with. */
  readonly done: number;
}

export type Goals = readonly (readonly [lane: Lane, end: number])[];

interface Waiter {
  readonly goals: Goals;
  resolve(): void;
  reject(error: unknown): void;
}

const reached = (goals: Goals) => goals.every(([lane, end]) => lane.done >= end);

export class CaughtUp {
  #waiting = new Set<Waiter>();
  #over: { readonly error: unknown } | undefined = {
    error: new EventLogError("closed", "not started"),
  };

  begin(): void {
    this.#over = undefined;
  }

  /** Everybody who waits, and everybody who asks later, gets the error. */
  end(error: unknown): void {
    this.#over = { error };
    for (const one of this.#waiting) one.reject(error);
    this.#waiting.clear();
  }

  /** To be called whenever a lane moved. */
  check(): void {
    for (const one of this.#waiting) {
      if (!reached(one.goals)) continue;
      this.#waiting.delete(one);
      one.resolve();
    }
  }

  async wait(goals: () => Goals, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#over) throw this.#over.error;
    const now = goals();
    if (reached(now)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { goals: now, resolve, reject };
    this.#waiting.add(waiter);
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      this.#waiting.delete(waiter);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
