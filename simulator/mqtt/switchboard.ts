/**
 * What all connections of a simulator share: where the broker is, the one timer, the gate, the buffer that all sockets are
 * read into, and the list of those that have something to write at the end of this turn of the loop.
 */
import { Alarms } from "./alarms.ts";
import type { Connection } from "./connection.ts";
import { Gate, type GateOptions } from "./gate.ts";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface SwitchboardOptions {
  readonly address: BrokerAddress;
  readonly gate?: Partial<GateOptions> | undefined;
  /** How late this process itself came to a device's turn, ms. */
  readonly onLate?: ((ms: number) => void) | undefined;
  /** ms since 1970, of a clock that does not jump. Default: the machine's clock at the start, and from there monotonic. */
  readonly now?: (() => number) | undefined;
}

/**
 * Node's event loop lets one connection in each turn, and a busy gateway has ten turns a second. More than it can let in
 * until they lose patience would be given up while they wait; then it spends its turns on those that are gone already, and
 * nobody gets in any more.
 */
export const MAX_PENDING = 32;
const SCRATCH_BYTES = 16 * 1024;

export class Switchboard {
  readonly address: BrokerAddress;
  readonly now: () => number;
  readonly alarms: Alarms;
  readonly gate: Gate;
  readonly scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES);
  #writing: Connection[] = [];

  constructor({ address, gate, onLate, now = steadyTime() }: SwitchboardOptions) {
    this.address = address;
    this.now = now;
    this.alarms = new Alarms(now, onLate);
    const limits = { perSecond: Number.POSITIVE_INFINITY, maxPending: MAX_PENDING, ...gate };
    this.gate = new Gate(limits, this.alarms, now);
  }

  /** Its flush() is called before the loop goes on. */
  toFlush(connection: Connection): void {
    if (this.#writing.length === 0) process.nextTick(() => this.#flush());
    this.#writing.push(connection);
  }

  #flush(): void {
    const writing = this.#writing;
    this.#writing = [];
    for (const connection of writing) connection.flush();
  }
}

function steadyTime(): () => number {
  const origin = Date.now() - performance.now();
  return () => origin + performance.now();
}
