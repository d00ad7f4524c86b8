/**
 * The ledger of a run: what was sent and what was acknowledged, so that it can be held against the events topic later
 * by something that believes nobody (oracle-ledger.ts).
 *
 * NDJSON. First line `{"t":"ledger","version":1,"kind":…,"seed":…,"options":{…},"at":ms}`, then, in the order of time:
 *   {"t":"sent","n":1,"at":ms,"d":device,"time":ms,"m":{metric: value}}   first written to the socket
 *   {"t":"resent","n":1,"at":ms}                                          written again, unacknowledged before
 *   {"t":"ack","n":1,"at":ms}                                             PUBACK read
 *   {"t":"dropped","at":ms,"d":device,"count":5}                          never sent: the device's queue was full
 *   {"t":"end","at":ms,"sent":…,"acknowledged":…}                         missing where the run was cut off
 *
 * Lines are kept back until 64 KiB or `flush`; writes are synchronous, so that a process that ends in any orderly way
 * has written them. A simulator that is killed loses the tail, and the reader takes a torn last line for what it is.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { MetricValue } from "../events/schema.ts";
import { SimulatorError } from "./errors.ts";

export const LEDGER_VERSION = 1;

export type LedgerLine =
  | {
      readonly t: "ledger";
      readonly version: typeof LEDGER_VERSION;
      readonly kind: "fleet" | "replay";
      readonly seed?: number;
      readonly options: Readonly<Record<string, unknown>>;
      readonly at: number;
    }
  | {
      readonly t: "sent";
      readonly n: number;
      readonly at: number;
      readonly d: string;
      readonly time: number;
      readonly m: Readonly<Record<string, MetricValue>>;
    }
  | { readonly t: "resent" | "ack"; readonly n: number; readonly at: number }
  | { readonly t: "dropped"; readonly at: number; readonly d: string; readonly count: number }
  | {
      readonly t: "end";
      readonly at: number;
      readonly sent: number;
      readonly acknowledged: number;
    };

/** Fewer system calls than a line each, and little to lose. */
const BUFFER_BYTES = 64 * 1024;

export class LedgerWriter {
  readonly #file: string;
  #fd: number | undefined;
  #pending = "";
  readonly #onExit = () => this.flush();

  constructor(file: string) {
    this.#file = file;
  }

  /** Begins the file anew. @throws SimulatorError `ledger` */
  start(): void {
    if (this.#fd !== undefined) return;
    try {
      this.#fd = openSync(this.#file, "w");
    } catch (error) {
      throw this.#error(error);
    }
    process.once("exit", this.#onExit);
  }

  /** @throws SimulatorError `ledger`, when it is this line that fills the buffer */
  write(line: LedgerLine): void {
    this.#pending += `${JSON.stringify(line)}\n`;
    if (this.#pending.length >= BUFFER_BYTES) this.flush();
  }

  /** @throws SimulatorError `ledger` */
  flush(): void {
    if (this.#fd === undefined || this.#pending === "") return;
    let bytes: Uint8Array = Buffer.from(this.#pending);
    this.#pending = "";
    try {
      // A write may take less than it was given, on a full disk for one.
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#fd, bytes));
    } catch (error) {
      throw this.#error(error);
    }
  }

  /** @throws SimulatorError `ledger`, where the last lines cannot be written; it is closed all the same */
  stop(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    process.off("exit", this.#onExit);
    try {
      this.flush();
    } finally {
      this.#fd = undefined;
      closeSync(fd);
    }
  }

  #error(error: unknown): SimulatorError {
    return new SimulatorError(
      "ledger",
      `the ledger ${this.#file} cannot be written: ${(error as Error).message}; choose another place for it`,
      { cause: error },
    );
  }
}
