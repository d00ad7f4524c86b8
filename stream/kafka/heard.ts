/**
 * Does Kafka answer a reader? A fetch is answered after `fetchWaitMs` at the latest, with or without records; a broker
 * that hangs refuses nothing and lets the request run into its own, much longer timeout, so silence is judged here.
 */
import type { TailStatus } from "../port.ts";
import type { KafkaSettings } from "./options.ts";

/** A connection made anew or a leader that moves is over sooner, and no outage, ms. */
const BRIEF_MS = 1000;
/** So long after its time an answer is no longer only slow, ms: links over a satellite or a busy disk take 1 to 2 s. */
const LATE_MS = 3000;

export class Heard {
  readonly #settings: KafkaSettings;
  /** Monotonic, ms. */
  readonly #moment: () => number;
  #last: { readonly time: number; readonly moment: number };
  /** Monotonic; undefined while the reader is at work on what was answered. */
  #asked: number | undefined;
  #failed: number | undefined;
  #lastError: string | undefined;

  /** @param moment monotonic clock, ms */
  constructor(settings: KafkaSettings, moment = () => performance.now()) {
    this.#settings = settings;
    this.#moment = moment;
    this.#last = { time: settings.now(), moment: moment() };
    this.#asked = this.#last.moment;
  }

  asks(): void {
    this.#asked = this.#moment();
  }

  answer(): void {
    this.#last = { time: this.#settings.now(), moment: this.#moment() };
    this.#asked = undefined;
    this.#failed = undefined;
    this.#lastError = undefined;
  }

  fault(message: string): void {
    this.#failed ??= this.#moment();
    this.#lastError = message;
  }

  status(): TailStatus {
    const moment = this.#moment();
    const failing = this.#failed !== undefined && moment - this.#last.moment > BRIEF_MS;
    const silent =
      this.#asked !== undefined &&
      moment - this.#asked > this.#settings.limits.fetchWaitMs + LATE_MS;
    if (!failing && !silent) return { state: "following" };
    return {
      state: "waiting",
      since: this.#last.time,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }
}
