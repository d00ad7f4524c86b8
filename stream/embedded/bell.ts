/** Wakes who waits for appends to a topic. In one process nobody needs to poll. */

import type { Timers } from "../../time/timers.ts";

export class Bell {
  readonly #timers: Timers;
  readonly #waiting = new Map<number, Set<() => void>>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  ring(topics: Iterable<number>): void {
    for (const topic of topics) for (const wake of [...(this.#waiting.get(topic) ?? [])]) wake();
  }

  /**
   * Resolves at the next append to one of the topics, once `ms` have passed, or when aborted. Whoever looks whether
   * there is something new and calls this without an await between misses nothing.
   */
  wait(topics: readonly number[], signal: AbortSignal, ms?: number): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === undefined ? undefined : this.#timers.setTimeout(resolve, ms);
    for (const topic of topics) {
      const set = this.#waiting.get(topic) ?? new Set();
      this.#waiting.set(topic, set.add(resolve));
    }
    const onAbort = () => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => {
      signal.removeEventListener("abort", onAbort);
      this.#timers.clear(timer);
      for (const topic of topics) this.#waiting.get(topic)?.delete(resolve);
    });
  }
}
