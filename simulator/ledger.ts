/**
 * The ledger of a run: what was sent and what was acknowledged, so that it can be held against the events topic later
 * by something that believes nobody (oracle-ledger.ts).
 *
 * NDJSON, short, because a fleet makes ten thousand readings a second. First a line that says what it is of:
 *   {"t":"ledger","version":2,"kind":…,"scenario":…,"seed":…,"rules":[…],"options":{…},"at":ms}
 * `at` is ms since 1970; all other times are ms from there. Then, in the order of time:
 *   {"t":"device","i":0,"d":device,"m":[metric, …]}   names for what follows; again when a device says other metrics
 *   ["s",n,at,i,time,value, …]    message n, first written to the socket, values in the order of `m`. `time` is what the
 *                                 payload says, null where it says none; [time,measured] where it was measured at another time
 *   ["r",n,at]                    written again as the same message, with DUP
 *   ["f",n,at]                    sent once more as another message
 *   ["a",at,n, …]                 acknowledged at this time
 *   ["x",at,i,count]              never sent: the device's queue was full
 *   {"t":"end","at":ms,"sent":…,"acknowledged":…}   missing where the run was cut off; `at` from the beginning
 *
 * Lines are kept back until 64 KiB or `flush`; writes are synchronous, so that a process that ends in any orderly way
 * has written them. A simulator that is killed loses the tail, and the reader takes a torn last line for what it is.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { MetricValue } from "../events/schema.ts";
import type { Rule } from "../rules/rule.ts";
import { SimulatorError } from "./errors.ts";

export const LEDGER_VERSION = 2;

/** Times are ms since 1970. */
export type LedgerLine =
  | {
      readonly t: "ledger";
      readonly kind: "fleet" | "replay" | "scenario";
      readonly scenario?: string;
      readonly seed?: number;
      /** Those that the run is to be judged by. */
      readonly rules?: readonly Rule[];
      readonly options: Readonly<Record<string, unknown>>;
      readonly at: number;
    }
  | {
      readonly t: "sent";
      readonly n: number;
      readonly at: number;
      readonly d: string;
      /** As the payload says. */
      readonly time: number | undefined;
      /** Where it is not `time`. */
      readonly measured?: number;
      readonly m: Readonly<Record<string, MetricValue>>;
    }
  /** `resent` as the same message, with DUP; `again` as another one. */
  | { readonly t: "resent" | "again" | "ack"; readonly n: number; readonly at: number }
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
  #begun = 0;
  /** The line of acknowledgements at the end of what is pending is of this time; more of it can be added. */
  #ackedAt: number | undefined;
  /** Numbers of devices with their metrics, by device and metrics. */
  readonly #names = new Map<string, number>();
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
    if (line.t !== "ack") this.#endAcks();
    switch (line.t) {
      case "ledger":
        this.#begun = Math.round(line.at);
        this.#pending += `${JSON.stringify({ ...line, version: LEDGER_VERSION, at: this.#begun })}\n`;
        break;
      case "sent":
        this.#sent(line);
        break;
      case "ack":
        this.#acknowledged(line.n, this.#since(line.at));
        break;
      case "resent":
      case "again":
        this.#pending += `["${line.t === "again" ? "f" : "r"}",${line.n},${this.#since(line.at)}]\n`;
        break;
      case "dropped":
        this.#pending += `["x",${this.#since(line.at)},${this.#nameOf(line.d, [])},${line.count}]\n`;
        break;
      case "end":
        this.#pending += `${JSON.stringify({ ...line, at: this.#since(line.at) })}\n`;
        break;
    }
    if (this.#pending.length >= BUFFER_BYTES) this.flush();
  }

  /** @throws SimulatorError `ledger` */
  flush(): void {
    this.#endAcks();
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

  #sent({ n, at, d, time, measured, m }: Extract<LedgerLine, { t: "sent" }>): void {
    const name = this.#nameOf(d, Object.keys(m));
    const told = time === undefined ? "null" : this.#since(time);
    const when = measured === undefined ? told : `[${told},${this.#since(measured)}]`;
    const values = JSON.stringify(Object.values(m));
    const comma = values === "[]" ? "" : ",";
    this.#pending += `["s",${n},${this.#since(at)},${name},${when}${comma}${values.slice(1)}\n`;
  }

  #acknowledged(n: number, at: number): void {
    if (this.#ackedAt !== at) {
      this.#endAcks();
      this.#pending += `["a",${at}`;
      this.#ackedAt = at;
    }
    this.#pending += `,${n}`;
  }

  #endAcks(): void {
    if (this.#ackedAt === undefined) return;
    this.#pending += "]\n";
    this.#ackedAt = undefined;
  }

  #nameOf(device: string, metrics: readonly string[]): number {
    // No name has a control character.
    const key = `${device}\n${metrics.join("\n")}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const number = this.#names.size;
    this.#names.set(key, number);
    this.#pending += `${JSON.stringify({ t: "device", i: number, d: device, m: metrics })}\n`;
    return number;
  }

  #since(at: number): number {
    return Math.round(at) - this.#begun;
  }

  #error(error: unknown): SimulatorError {
    return new SimulatorError(
      "ledger",
      `the ledger ${this.#file} cannot be written: ${(error as Error).message}; choose another place for it`,
      { cause: error },
    );
  }
}
