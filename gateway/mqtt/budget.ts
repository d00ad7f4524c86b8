/**
 * How much may be on its way to the disk, over all connections. At the limit whoever sends one more reading is not read
 * from until half of it has gone: TCP tells the device to wait, and the memory stays bounded while the disk or a full
 * buffer holds the acknowledgements. Who sends no readings does not ask here, and goes on.
 */

/** Messages and bytes of packets in flight, over all connections: what a group commit or two can use. */
export const MAX_IN_FLIGHT = { messages: 65_536, bytes: 32 * 1024 * 1024 } as const;
/** The same for one connection, so that none can use up what is there for all. A single packet is always let in. */
export const MAX_IN_FLIGHT_OF_CONNECTION = { messages: 1024, bytes: 1024 * 1024 } as const;

export interface Limits {
  readonly messages: number;
  readonly bytes: number;
}

export class Budget {
  readonly #limits: Limits;
  readonly #waiting = new Set<() => void>();
  #messages = 0;
  #bytes = 0;
  #full = false;

  constructor(limits: Limits = MAX_IN_FLIGHT) {
    this.#limits = limits;
  }

  /** Once full it stays so until half is free, so that nobody is stopped and started for each message. */
  get full(): boolean {
    return this.#full;
  }

  /** In flight now. */
  get messages(): number {
    return this.#messages;
  }

  take(bytes: number): void {
    this.#messages += 1;
    this.#bytes += bytes;
    if (this.#messages >= this.#limits.messages || this.#bytes >= this.#limits.bytes) {
      this.#full = true;
    }
  }

  give(messages: number, bytes: number): void {
    this.#messages -= messages;
    this.#bytes -= bytes;
    if (!this.#full) return;
    const { messages: most, bytes: mostBytes } = this.#limits;
    if (this.#messages > most / 2 || this.#bytes > mostBytes / 2) return;
    this.#full = false;
    if (this.#waiting.size > 0) setImmediate(() => this.#wake());
  }

  /** Calls back once there is room; the same callback waits once. */
  wait(callback: () => void): void {
    this.#waiting.add(callback);
  }

  leave(callback: () => void): void {
    this.#waiting.delete(callback);
  }

  /** In the order in which they came; whoever finds no room waits again, behind the others. */
  #wake(): void {
    for (const callback of [...this.#waiting]) {
      if (this.#full) return;
      this.#waiting.delete(callback);
      callback();
    }
  }
}
