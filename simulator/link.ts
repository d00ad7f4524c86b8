/**
 * One device's connection: MQTT 3.1.1, QoS 1, a bounded window of unacknowledged messages and a bounded queue behind it.
 *
 * Promises: messages are first written in the order they were offered; a message is acknowledged once, however often
 * it had to be written; what was unacknowledged when a connection ended is written again, with DUP and the same packet
 * identifier, before anything new [MQTT-4.4.0-1]; while the broker is away it tries again with growing, spread pauses.
 */

import { Fifo } from "./device/fifo.ts";
import { Alarm } from "./mqtt/alarms.ts";
import { Connection, type ConnectionEvents } from "./mqtt/connection.ts";
import type { Switchboard } from "./mqtt/switchboard.ts";

export interface Outgoing {
  readonly topic: string;
  readonly payload: string;
}

export interface LinkOptions {
  readonly switchboard: Switchboard;
  readonly clientId: string;
  /** Clean sessions; false keeps the session on the broker between connections. */
  readonly clean: boolean;
  /** Most messages written and not acknowledged. */
  readonly window: number;
  /** Most messages that wait for their turn; beyond it the oldest is dropped and reported. */
  readonly maxQueued: number;
  /** In [0, 1): spreads the pauses. */
  readonly random: () => number;
}

export interface LinkEvents<Message extends Outgoing> {
  /** @param again it was written before, on an earlier connection */
  onWritten(message: Message, again: boolean): void;
  onAcknowledged(message: Message): void;
  /** It waited for too long while others came; it was never written. */
  onDropped(message: Message): void;
  onOnline(): void;
  onOffline(): void;
  /** Why the connection ended or could not be made, in words. */
  onFault(reason: string): void;
}

/** The first pause before trying again, ms; a broker that restarts is missed for this long at least. */
const FIRST_PAUSE_MS = 200;
/** The longest pause, ms: how late a broker that came back may be noticed. */
const LONGEST_PAUSE_MS = 5000;
const MAX_ID = 65_535;

export class DeviceLink<Message extends Outgoing> {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents<Message>;
  readonly #retry = new Alarm(() => this.#connect());
  #connection: Connection | undefined;
  #started = false;
  #stopped = false;
  #attempt = 0;
  #lastId = 0;
  readonly #queue = new Fifo<Message>();
  /** By packet identifier, in the order of their first writing. */
  readonly #inFlight = new Map<number, Message>();

  constructor(options: LinkOptions, events: LinkEvents<Message>) {
    this.#options = options;
    this.#events = events;
  }

  /** Connects, and keeps trying; `onOnline` tells when it succeeded. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.#connect();
  }

  /** Written at once where the window allows, else queued. */
  offer(message: Message): void {
    if (this.#stopped) return;
    this.#queue.push(message);
    this.#pump();
    if (this.#queue.length > this.#options.maxQueued) {
      const dropped = this.#queue.shift();
      if (dropped) this.#events.onDropped(dropped);
    }
  }

  get online(): boolean {
    return this.#connection?.isOpen ?? false;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Cuts the connection without a word, as a lost radio link does; it comes back by itself. */
  cut(): void {
    if (!this.#connection?.isOpen) return;
    this.#connection.cut();
    this.#onClosed(true);
  }

  /** Says goodbye where it can. What is unacknowledged or queued stays so. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.switchboard.alarms.clear(this.#retry);
    const connection = this.#connection;
    this.#connection = undefined;
    if (this.#inFlight.size > 0) connection?.cut();
    else await connection?.end();
  }

  #connect(): void {
    const { switchboard, clientId, clean } = this.#options;
    this.#connection = new Connection(switchboard, { clientId, clean }, this.#connectionEvents());
  }

  #connectionEvents(): ConnectionEvents {
    return {
      connected: () => {
        this.#attempt = 0;
        this.#events.onOnline();
        for (const [id, message] of this.#inFlight) this.#write(message, id, true);
        this.#pump();
      },
      closed: (reason, wasOpen) => {
        this.#events.onFault(reason);
        this.#onClosed(wasOpen);
      },
      puback: (id) => {
        const message = this.#inFlight.get(id);
        if (!message) return;
        this.#inFlight.delete(id);
        this.#events.onAcknowledged(message);
        this.#pump();
      },
      // Answers to QoS 2, which nothing is sent with.
      pubrec: () => undefined,
      pubcomp: () => undefined,
    };
  }

  #onClosed(wasOpen: boolean): void {
    this.#connection = undefined;
    if (wasOpen) this.#events.onOffline();
    const { alarms, now } = this.#options.switchboard;
    alarms.set(this.#retry, now() + this.#pause());
    this.#attempt += 1;
  }

  #pump(): void {
    while (this.online && !this.#stopped && this.#inFlight.size < this.#options.window) {
      const message = this.#queue.shift();
      if (!message) return;
      const id = this.#freeId();
      this.#inFlight.set(id, message);
      this.#write(message, id, false);
    }
  }

  #write(message: Message, messageId: number, dup: boolean): void {
    const { topic, payload } = message;
    this.#connection?.publish({ topic, payload: Buffer.from(payload), qos: 1, messageId, dup });
    this.#events.onWritten(message, dup);
  }

  /** Ids go round, so that one is away for as long as can be before it comes again. */
  #freeId(): number {
    do this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    while (this.#inFlight.has(this.#lastId));
    return this.#lastId;
  }

  /** Half of it is spread, so that a thousand devices do not come back in the same moment. */
  #pause(): number {
    const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#attempt, 10));
    return Math.ceil(full / 2 + (full / 2) * this.#options.random());
  }
}
