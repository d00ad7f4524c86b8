/** How far a reader is in each partition, and who waits for it to get somewhere. */
import { Bell } from "./bell.ts";

export class Progress {
  readonly #positions = new Map<string, Map<number, number>>();
  readonly #bell = new Bell();

  get(topic: string, partition: number): number | undefined {
    return this.#positions.get(topic)?.get(partition);
  }

  set(topic: string, partition: number, position: number): void {
    const of = this.#positions.get(topic) ?? new Map<number, number>();
    this.#positions.set(topic, of.set(partition, position));
    this.#bell.ring();
  }

  /** Wakes those who wait, because something else than a position has changed. */
  wake(): void {
    this.#bell.ring();
  }

  async changed(ms: number | undefined, signal: AbortSignal): Promise<void> {
    await this.#bell.wait(ms, signal);
  }
}
