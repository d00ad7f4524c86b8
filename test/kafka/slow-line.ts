/** One way of a connection that takes its time, and keeps its order whatever time it takes. */
import type { Socket } from "node:net";

export class SlowLine {
  readonly #socket: Socket;
  readonly #delayMs: () => number;
  readonly #queue: { readonly due: number; readonly bytes: Buffer }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, delayMs: () => number) {
    this.#socket = socket;
    this.#delayMs = delayMs;
  }

  send(bytes: Buffer): void {
    const delay = this.#delayMs();
    if (delay === 0 && this.#queue.length === 0) {
      this.#write(bytes);
      return;
    }
    this.#queue.push({ due: performance.now() + delay, bytes });
    this.#arm();
  }

  #arm(): void {
    const [first] = this.#queue;
    if (!first || this.#timer) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const now = performance.now();
        while (this.#queue[0] && this.#queue[0].due <= now) {
          this.#write(this.#queue.shift()?.bytes ?? Buffer.alloc(0));
        }
        this.#arm();
      },
      Math.max(1, first.due - performance.now()),
    );
    this.#timer.unref();
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }
}
