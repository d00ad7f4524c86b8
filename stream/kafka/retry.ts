/** Trying again: pauses that grow and are spread, so that a broker that comes back is not met by everybody at once. */
import { EventLogError } from "../port.ts";
import { eventLogError, type Fault, faultOf } from "./faults.ts";
import type { KafkaSettings } from "./options.ts";
import { QUIET_MS } from "./outages.ts";

/**
 * @param attempt from 1
 * @param refused whether it is a person who has to mend it: then the pauses begin longer, and grow further
 */
export function pauseMs(settings: KafkaSettings, attempt: number, refused = false): number {
  const { firstPauseMs, longestPauseMs, refusedPauseMs } = settings.limits;
  const [first, longest] = refused
    ? [refusedPauseMs / 16, refusedPauseMs]
    : [firstPauseMs, longestPauseMs];
  const full = Math.min(longest, first * 2 ** Math.min(attempt - 1, 20));
  return full / 2 + (full / 2) * settings.random();
}

/** Resolves after the time, or at once when aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => resolve();
  signal?.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  });
}

/** The promise, or a rejection with the signal's reason as soon as it is aborted. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() =>
    signal.removeEventListener("abort", onAbort),
  );
}

/** How long one call of the port goes on trying: what may pass by itself until the deadline, what will not not at all. */
export class Patience {
  readonly #settings: KafkaSettings;
  readonly #doing: string;
  readonly #signal: AbortSignal;
  /** From the first try on: a broker that says nothing takes its time to fail, and that counts. */
  readonly #begun = performance.now();
  /** A try may have waited long for a connection before it heard of an unknown topic. */
  #firstFailed: number | undefined;
  #attempt = 0;

  constructor(settings: KafkaSettings, doing: string, signal: AbortSignal) {
    this.#settings = settings;
    this.#doing = doing;
    this.#signal = signal;
  }

  /** After a failed try: resolves when it is time for the next. @throws EventLogError where there is to be none */
  async again(error: unknown): Promise<void> {
    if (this.#signal.aborted) throw closedError(this.#doing);
    const { callDeadlineMs, unknownTopicMs } = this.#settings.limits;
    const fault = faultOf(error);
    this.#firstFailed ??= performance.now();
    const wait = pauseMs(this.#settings, ++this.#attempt);
    const over =
      fault.code === "unknown_topic"
        ? this.#firstFailed + unknownTopicMs
        : this.#begun + callDeadlineMs;
    if (!passes(fault) || performance.now() + wait > over) {
      throw eventLogError(error, this.#doing);
    }
    await pause(wait, this.#signal);
  }
}

/** One call of the port, tried with patience. @throws EventLogError */
export async function withDeadline<T>(
  settings: KafkaSettings,
  doing: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(settings, doing, signal);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await patience.again(error);
    }
  }
}

/** Whether asking the same again may help without anybody doing anything. */
export function passes(fault: Fault): boolean {
  return !isRefusal(fault) && !["refused", "split"].includes(fault.reaction);
}

/** Who we are, or whom we trust, does not do: a person has to mend it, here or there. */
function isRefusal({ code }: Fault): boolean {
  return code === "not_authorized" || code === "tls";
}

export function closedError(doing: string): EventLogError {
  return new EventLogError("closed", `Kafka: ${doing}: the event log is not open`);
}

/** One who waits for Kafka: says once that it does not go on, and once that it does again, not at every try. */
export class Outage {
  readonly #settings: KafkaSettings;
  readonly #what: string;
  #since: number | undefined;
  #told = false;
  attempts = 0;
  lastError: string | undefined;

  constructor(settings: KafkaSettings, what: string) {
    this.#settings = settings;
    this.#what = what;
  }

  /** Notes a failed try, and pauses before the next. */
  async pause(error: unknown, signal: AbortSignal): Promise<Fault> {
    const fault = faultOf(error);
    this.note(fault);
    await pause(pauseMs(this.#settings, this.attempts, isRefusal(fault)), signal);
    return fault;
  }

  note(fault: Fault): void {
    const { logger, moment, brokers, outages } = this.#settings;
    this.attempts++;
    this.lastError = fault.message;
    this.#since ??= moment();
    // No connection is one thing that happens to all; what Kafka refuses on one is this one's own.
    if (fault.code === "unreachable" || fault.reaction === "reconnect") {
      outages.note(this, this.#what, fault);
      return;
    }
    outages.over(this);
    const fields = { code: fault.code, brokers, attempt: this.attempts };
    const text = `${this.#what} waits for Kafka: ${fault.message}; it is tried again by itself`;
    if (this.#told || moment() - this.#since < QUIET_MS) {
      logger.debug(fields, text);
      return;
    }
    this.#told = true;
    logger.warn(fields, text);
  }

  over(): void {
    const { logger, moment, outages } = this.#settings;
    outages.over(this);
    if (this.#since === undefined) return;
    if (this.#told) {
      const seconds = Math.round((moment() - this.#since) / 1000);
      logger.info({ attempts: this.attempts, seconds }, `${this.#what} goes on`);
    }
    this.attempts = 0;
    this.#since = undefined;
    this.#told = false;
    this.lastError = undefined;
  }
}
