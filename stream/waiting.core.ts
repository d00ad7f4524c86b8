/**
 * What a program that runs for long does about a log that does not let it on: it waits, and asks again. Most of it passes
 * by itself; a password, a right or a certificate has to be mended by somebody, and that may happen at any time too.
 */
import { EventLogError, type EventLogErrorCode } from "./port.ts";

/** Pause before a log that does not answer is asked again, ms. */
const RETRY_MS = 1000;
/** The longest where it refuses us: whoever mends that sees it taken up within this time, ms. */
const LONGEST_RETRY_MS = 15_000;

const REFUSED: ReadonlySet<EventLogErrorCode> = new Set(["not_authorized", "tls"]);
const PASSING: ReadonlySet<EventLogErrorCode> = new Set([
  "unreachable",
  // Topics are made by whoever comes first, and perhaps by somebody else.
  "unknown_topic",
  ...REFUSED,
]);

/** Whether to wait for it, rather than to end. */
export function isWaitedFor(error: unknown): error is EventLogError {
  return error instanceof EventLogError && PASSING.has(error.code);
}

/** @param attempt from 0. @returns ms */
export function retryPauseMs(code: EventLogErrorCode | undefined, attempt: number): number {
  const refused = code !== undefined && REFUSED.has(code);
  return refused ? Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.min(attempt, 10)) : RETRY_MS;
}
