/**
 * One outage of Kafka is one line in the log of a process, however many sinks, tails and partitions wait for it: what
 * each of them meets is told at debug. Who waits reports itself with every try; who has ended meanwhile is forgotten.
 */
import type { Logger } from "pino";
import type { EventLogErrorCode } from "../port.ts";

/** What is over sooner is worth no line, ms: coordinators that load, connections that are made anew. */
export const QUIET_MS = 1000;

export interface OutagesOptions {
  readonly logger: Logger;
  readonly brokers: readonly string[];
  /** ms on a clock that nobody sets. */
  readonly moment: () => number;
  /** What becomes of things while Kafka is away, for the end of the line. */
  readonly meanwhile: string;
  /** Who has not tried for so long has ended, ms: longer than a try and the pause after it. */
  readonly forgetMs: number;
}

export interface Reason {
  readonly code: EventLogErrorCode;
  readonly message: string;
}

export class Outages {
  readonly #options: OutagesOptions;
  /** By who waits: when it last tried. */
  readonly #waiting = new Map<object, number>();
  #since = 0;
  /** Of this outage: a broker that comes back and then refuses us is another thing to mend. */
  readonly #told = new Set<string>();

  constructor(options: OutagesOptions) {
    this.#options = options;
  }

  /** @param what names who waits, for those who look closely */
  note(who: object, what: string, { code, message }: Reason): void {
    const at = this.#enter(who);
    this.#options.logger.debug({ code }, `${what} waits for Kafka: ${message}`);
    if (at - this.#since >= QUIET_MS) this.#tell({ code, message });
  }

  /** The same where it is known from the first try on that nobody answers. */
  tell(who: object, reason: Reason): void {
    this.#enter(who);
    this.#tell(reason);
  }

  /** Kafka has answered this one. */
  over(who: object): void {
    if (this.#waiting.size === 0) return;
    this.#waiting.delete(who);
    const { logger, brokers, moment } = this.#options;
    this.#forget(moment());
    if (this.#waiting.size > 0) return;
    const seconds = Math.round((moment() - this.#since) / 1000);
    if (this.#told.size > 0) logger.info({ brokers, seconds }, "Kafka answers again");
    this.#told.clear();
  }

  #enter(who: object): number {
    const at = this.#options.moment();
    this.#forget(at);
    if (this.#waiting.size === 0) {
      this.#since = at;
      this.#told.clear();
    }
    this.#waiting.set(who, at);
    return at;
  }

  #tell({ code, message }: Reason): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    const { logger, brokers, meanwhile } = this.#options;
    logger.warn({ code, brokers }, `waiting for Kafka: ${message}; ${meanwhile}`);
  }

  #forget(at: number): void {
    for (const [who, tried] of this.#waiting) {
      if (at - tried > this.#options.forgetMs) this.#waiting.delete(who);
    }
  }
}
