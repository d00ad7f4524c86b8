/**
 * The server's clock as this page knows it. Ages are told by it, never by the browser's, which may be wrong by hours.
 * Between two words of the server the browser's monotonic clock counts on.
 */

/** A difference beyond this is no slow network but a clock that was set, or a page that slept: believe the new one, ms. */
const SET_ANEW_MS = 2000;

export class ServerClock {
  #offset: number | undefined;

  /**
   * @param serverTime what the server said, ms since 1970
   * @param monotonic when it was heard, ms
   */
  heard(serverTime: number, monotonic: number): void {
    const offset = serverTime - monotonic;
    // A word that took long on its way makes the clock look slow, so the fastest one is the truest.
    if (this.#offset === undefined || Math.abs(offset - this.#offset) > SET_ANEW_MS) {
      this.#offset = offset;
    } else this.#offset = Math.max(this.#offset, offset);
  }

  get known(): boolean {
    return this.#offset !== undefined;
  }

  /** ms since 1970; before the server said anything, the browser's own clock as given. */
  now(monotonic: number, own: number): number {
    return this.#offset === undefined ? own : monotonic + this.#offset;
  }
}
