/**
 * Keeps what is sent to so many bytes a second, for links that are paid by the byte or shared with others. What was not
 * used for a while may be sent at once, a few seconds' worth; a batch that is larger than that is sent and paid for after.
 */
import { pause } from "./retry.ts";

/** What may be saved up, s. */
const SAVED_SECONDS = 3;

export class Pace {
  readonly #bytesPerSecond: number;
  readonly #moment: () => number;
  readonly #signal: AbortSignal;
  /** What may be sent now; below nothing while a large batch is paid for. */
  #free: number;
  #seen: number;

  /** @param moment ms on a clock that nobody sets; an abort of the signal ends every wait */
  constructor(bytesPerSecond: number, moment: () => number, signal: AbortSignal) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#moment = moment;
    this.#signal = signal;
    this.#free = bytesPerSecond;
    this.#seen = moment();
  }

  /** Resolves when so many bytes may be sent. */
  async take(bytes: number): Promise<void> {
    this.#gather();
    while (this.#free <= 0 && !this.#signal.aborted) {
      await pause(Math.ceil((-this.#free / this.#bytesPerSecond) * 1000) + 1, this.#signal);
      this.#gather();
    }
    this.#free -= bytes;
  }

  #gather(): void {
    const now = this.#moment();
    const gathered = ((now - this.#seen) / 1000) * this.#bytesPerSecond;
    this.#free = Math.min(SAVED_SECONDS * this.#bytesPerSecond, this.#free + gathered);
    this.#seen = now;
  }
}
