/**
 * Notes that are written without an event, through whatever the disk goes through: a write that fails is tried again
 * until the buffer is closed. What waits for one is a single SUBACK or PUBCOMP, never anybody else.
 */
import { pause, systemTimers, type Timers } from "../../time/timers.ts";
import { BufferError, type DurableBuffer, type Note } from "../buffer/port.ts";

/** Between two tries; the buffer reopens its store about once a second. */
const RETRY_DELAY_MS = 500;

export class DurableNotes {
  readonly #buffer: DurableBuffer;
  readonly #timers: Timers;
  readonly #stopped = new AbortController();

  constructor(buffer: DurableBuffer, timers: Timers = systemTimers) {
    this.#buffer = buffer;
    this.#timers = timers;
  }

  /**
   * @param notes asked for at each try, so that a late one writes what holds then
   * @returns true once they are on disk, false where the buffer was closed before
   */
  async write(notes: () => readonly Note[]): Promise<boolean> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const wanted = notes();
      if (wanted.length === 0) return true;
      try {
        await this.#buffer.note(wanted);
        return true;
      } catch (error) {
        if (!(error instanceof BufferError)) throw error;
        if (error.code === "closed") return false;
        await pause(this.#timers, RETRY_DELAY_MS, signal).catch(() => undefined);
      }
    }
    return false;
  }

  stop(): void {
    this.#stopped.abort();
  }
}
