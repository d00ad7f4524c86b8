/**
 * What large payloads may take of a link whose use is limited: what the journal leaves of it, and a tenth at least, so that
 * neither keeps the other from getting on. Counted over a few seconds.
 */
import { pause, systemTimers, type Timers } from "../../time/timers.ts";
import type { Pace } from "./port.ts";

export interface LinkShareOptions {
  /** Of all together. */
  readonly bytesPerSecond: number;
  /** Default: the machine's. */
  readonly timers?: Timers;
}

const WINDOW_MS = 5000;
const LEAST_SHARE = 0.1;
/** No single wait is longer, ms: what the journal takes may be less by then. */
const LONGEST_MS = 1000;

export class LinkShare {
  readonly #options: LinkShareOptions;
  readonly #timers: Timers;
  #journal: { readonly at: number; readonly bytes: number }[] = [];
  /** Bytes that may go out now; what a slice takes beyond it is waited for before the next one. */
  #credit = 0;
  #at: number | undefined;

  constructor(options: LinkShareOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
  }

  /** The journal has taken so much. */
  used(bytes: number): void {
    this.#journal.push({ at: this.#timers.now(), bytes });
  }

  /** What payloads may take now, bytes a second. */
  get rate(): number {
    const { bytesPerSecond } = this.#options;
    const since = this.#timers.now() - WINDOW_MS;
    this.#journal = this.#journal.filter(({ at }) => at > since);
    const journal = this.#journal.reduce((sum, { bytes }) => sum + bytes, 0);
    const left = bytesPerSecond - (journal * 1000) / WINDOW_MS;
    return Math.max(bytesPerSecond * LEAST_SHARE, left);
  }

  /** Resolves when so much may go out. */
  readonly pace: Pace = async (bytes, signal) => {
    for (;;) {
      const { rate } = this;
      const now = this.#timers.now();
      const gained = (rate * (now - (this.#at ?? now))) / 1000;
      // What nobody used for long is not saved up.
      this.#credit = Math.min(this.#credit + gained, rate);
      this.#at = now;
      if (this.#credit >= 0) break;
      const wait = Math.min(LONGEST_MS, (-this.#credit * 1000) / rate);
      await pause(this.#timers, Math.max(1, wait), signal);
    }
    this.#credit -= bytes;
  };
}
