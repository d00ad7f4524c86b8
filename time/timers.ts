/**
 * Timers as a parameter. What waits on the way of a reading gets them from whoever made it, so that a simulation runs the
 * very same code on a clock of its own, where a day takes seconds and every run can be repeated.
 */

/** What a set timer is called by; a real one is Node's own. */
export interface Timer {
  unref?(): unknown;
}

export interface Timers {
  /** ms on a clock that nobody sets and that only goes forward. */
  now(): number;
  setTimeout(run: () => void, ms: number): Timer;
  setInterval(run: () => void, ms: number): Timer;
  /** After what is under way in this turn of the event loop. */
  setImmediate(run: () => void): Timer;
  /** Of any of the three; one that is over or undefined is none. */
  clear(timer: Timer | undefined): void;
}

/** The machine's own. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  setInterval: (run, ms) => setInterval(run, ms),
  setImmediate: (run) => setImmediate(run),
  clear: (timer) => {
    clearTimeout(timer as NodeJS.Timeout | undefined);
    clearImmediate(timer as NodeJS.Immediate | undefined);
  },
};

/** Resolves after the time; rejects with the signal's reason. */
export function pause(timers: Timers, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) {
    reject(signal.reason);
    return promise;
  }
  const onAbort = () => {
    timers.clear(timer);
    reject(signal?.reason);
  };
  const timer = timers.setTimeout(() => {
    signal?.removeEventListener("abort", onAbort);
    resolve();
  }, ms);
  signal?.addEventListener("abort", onAbort, { once: true });
  return promise;
}
