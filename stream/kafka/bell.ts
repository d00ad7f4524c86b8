/** A bell: whoever waits goes on when it rings, when the time is over or when aborted. */
export class Bell {
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
    this.#rung = Promise.withResolvers<void>();
  }

  /** Only rings after the call count: look first, then wait, with nothing awaited between. */
  async wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === undefined ? undefined : setTimeout(resolve, Math.max(0, ms));
    const done = () => resolve();
    signal.addEventListener("abort", done, { once: true });
    try {
      await Promise.race([this.#rung.promise, promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
    }
  }
}
