/**
 * Lines of text in heaps on disk, so that what is too much for the memory can be sorted by whom it is about, and then be
 * looked at heap by heap.
 *
 * Promises: a heap gives its lines in the order in which they were added; what waits to be written is bounded over all
 * heaps; nothing is left open between two calls, however many heaps there are.
 */
import { appendFileSync, closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/** Characters that wait for their file, over all heaps: few system calls, and little memory. */
const MOST_PENDING = 2 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

export class Spill {
  readonly #directory: string;
  readonly #name: string;
  readonly #pending = new Map<number, string[]>();
  readonly #written = new Set<number>();
  #size = 0;

  /** @param name of its files, in a directory that is there */
  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** @param line without a line break in it */
  add(heap: number, line: string): void {
    const lines = this.#pending.get(heap);
    if (lines) lines.push(line);
    else this.#pending.set(heap, [line]);
    this.#size += line.length;
    if (this.#size >= MOST_PENDING) this.#write();
  }

  *lines(heap: number): Generator<string> {
    if (this.#written.has(heap)) yield* linesOf(this.#file(heap));
    yield* this.#pending.get(heap) ?? [];
  }

  #write(): void {
    for (const [heap, lines] of this.#pending) {
      appendFileSync(this.#file(heap), `${lines.join("\n")}\n`);
      this.#written.add(heap);
    }
    this.#pending.clear();
    this.#size = 0;
  }

  #file(heap: number): string {
    return join(this.#directory, `${this.#name}-${heap}`);
  }
}

/** Lines that are ended; what follows the last line break is left out. */
export function* linesOf(file: string): Generator<string> {
  const fd = openSync(file, "r");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const decoder = new TextDecoder();
    let rest = "";
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
      const lines = (rest + decoder.decode(chunk.subarray(0, read), { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    closeSync(fd);
  }
}
