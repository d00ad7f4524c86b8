/** Pauses between tries that grow and are spread, so that a store that comes back is not met by everybody at once. */

import type { Timers } from "../../time/timers.ts";

/** First pause, ms: a busy disk is often free again by then. */
export const FIRST_PAUSE_MS = 100;
/** Longest pause, ms: how late a store that came back may be noticed. */
export const LONGEST_PAUSE_MS = 5000;

/** @param attempt from 1; @param random in [0, 1) */
export function pauseMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10));
  return full / 2 + (full / 2) * random;
}

/** Resolves after the time, or at once when aborted. */
export function pause(timers: Timers, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = timers.setTimeout(resolve, ms);
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    timers.clear(timer);
    signal.removeEventListener("abort", onAbort);
  });
}
