/**
 * One MQTT 3.1.1 connection of a publisher, from its beginning to its end: raw socket, packets by hand, no timer of its own.
 *
 * Promises: what is published in one turn of the loop goes out in one write, in order; a broker that says nothing to a
 * CONNECT or a PINGREQ is given up; `closed` comes once, with the reason, and never from within a call; nothing comes
 * after it, and nothing at all after end() or cut().
 */
import { connect as connectSocket, type Socket } from "node:net";
import type { PublishPacket } from "../device/port.ts";
import { Alarm } from "./alarms.ts";
import type { Pass } from "./gate.ts";
import {
  type AnswerEvents,
  AnswerReader,
  connectPacket,
  DISCONNECT,
  PINGREQ,
  publishPacket,
  pubrelPacket,
  refusalText,
} from "./packets.core.ts";
import type { Switchboard } from "./switchboard.ts";

export interface ConnectionOptions {
  readonly clientId: string;
  readonly clean: boolean;
}

export interface ConnectionEvents {
  connected(sessionPresent: boolean): void;
  /** @param wasOpen it had been taken by the broker */
  closed(reason: string, wasOpen: boolean): void;
  puback(messageId: number): void;
  pubrec(messageId: number): void;
  pubcomp(messageId: number): void;
}

/** For the connection and the answer to CONNECT together, ms. */
const CONNECT_TIMEOUT_MS = 10_000;
export const KEEPALIVE_SECONDS = 60;
/** So long without a word from the broker, ms, and it is asked; a device that gets acknowledgements never has to. */
const QUIET_MS = 45_000;
const PING_TIMEOUT_MS = 10_000;
/** What the broker gets to answer a DISCONNECT with the end of the connection, ms. */
const GOODBYE_MS = 1000;
/** Bytes that the broker does not take from us: nothing bounds what a device sends with QoS 0. */
const MAX_UNREAD_BYTES = 1024 * 1024;

export class Connection implements AnswerEvents {
  readonly #switchboard: Switchboard;
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #reader = new AnswerReader(this);
  readonly #alarm = new Alarm(() => this.#onAlarm());
  readonly #pass: Pass;
  #socket: Socket | undefined;
  #state: "waiting" | "connecting" | "open" | "leaving" | "closed" = "waiting";
  /** Packets of this turn of the loop. */
  #out: Buffer[] = [];
  #heardAt = 0;
  #pingedAt = Number.NEGATIVE_INFINITY;

  /** Begins to connect as soon as the gate lets it. */
  constructor(switchboard: Switchboard, options: ConnectionOptions, events: ConnectionEvents) {
    this.#switchboard = switchboard;
    this.#options = options;
    this.#events = events;
    this.#pass = switchboard.gate.enter(() => this.#begin());
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  publish(packet: PublishPacket): void {
    this.#write(publishPacket(packet));
  }

  pubrel(messageId: number): void {
    this.#write(pubrelPacket(messageId));
  }

  /** Says goodbye [MQTT-3.14.4-1]. @returns when the connection is gone */
  end(): Promise<void> {
    if (this.#state !== "open") {
      this.cut();
      return Promise.resolve();
    }
    const socket = this.#socket;
    this.#writeOut();
    this.#state = "leaving";
    const gone = new Promise<void>((resolve) => socket?.once("close", () => resolve()));
    socket?.end(DISCONNECT);
    this.#switchboard.alarms.set(this.#alarm, this.#switchboard.now() + GOODBYE_MS);
    return gone;
  }

  /** Ends it without a word, as a lost radio link does. */
  cut(): void {
    if (this.#state === "closed") return;
    this.#release();
    this.#socket?.destroy();
  }

  /** Writes what was published in this turn; called by the switchboard. */
  flush(): void {
    this.#writeOut();
    const unread = this.#socket?.writableLength ?? 0;
    if (this.#state === "open" && unread > MAX_UNREAD_BYTES) this.#fail("the broker does not read");
  }

  connack(sessionPresent: boolean, code: number): void {
    if (this.#state !== "connecting") return;
    if (code !== 0) {
      this.#fail(refusalText(code));
      return;
    }
    this.#state = "open";
    this.#pass.leave();
    const { alarms } = this.#switchboard;
    alarms.set(this.#alarm, this.#heardAt + QUIET_MS);
    this.#events.connected(sessionPresent);
  }

  puback(messageId: number): void {
    if (this.#state === "open") this.#events.puback(messageId);
  }

  pubrec(messageId: number): void {
    if (this.#state === "open") this.#events.pubrec(messageId);
  }

  pubcomp(messageId: number): void {
    if (this.#state === "open") this.#events.pubcomp(messageId);
  }

  #begin(): void {
    const { address, alarms, now, scratch } = this.#switchboard;
    this.#state = "connecting";
    alarms.set(this.#alarm, now() + CONNECT_TIMEOUT_MS);
    const { host, port, username, password } = address;
    const socket = connectSocket({
      host,
      port,
      noDelay: true,
      // All connections are read into the same bytes: each chunk is looked through before the next one is read.
      onread: {
        buffer: scratch,
        callback: (size, bytes) => {
          this.#heardAt = now();
          if (!this.#reader.read(bytes, size)) this.#fail("the broker does not speak MQTT");
          return true;
        },
      },
    });
    this.#socket = socket;
    let fault: string | undefined;
    socket.on("connect", () => {
      const keepaliveSeconds = KEEPALIVE_SECONDS;
      socket.write(connectPacket({ ...this.#options, keepaliveSeconds, username, password }));
    });
    socket.on("error", (error) => {
      fault = reason(error);
    });
    socket.on("close", () => this.#onClose(fault ?? "the broker closed the connection"));
  }

  #writeOut(): void {
    const out = this.#out;
    this.#out = [];
    const [first] = out;
    if (!first || this.#state !== "open") return;
    this.#socket?.write(out.length === 1 ? first : Buffer.concat(out));
  }

  #write(packet: Buffer): void {
    if (this.#state !== "open") return;
    if (this.#out.length === 0) this.#switchboard.toFlush(this);
    this.#out.push(packet);
  }

  /** Connecting takes too long, or nothing was heard for long, or the goodbye is not answered. */
  #onAlarm(): void {
    const { alarms, now } = this.#switchboard;
    const quietUntil = this.#heardAt + QUIET_MS;
    if (this.#state === "connecting") this.#fail("no answer to CONNECT");
    else if (this.#state === "leaving") this.#socket?.destroy();
    else if (quietUntil > now()) alarms.set(this.#alarm, quietUntil);
    else if (this.#pingedAt > this.#heardAt) this.#fail("no answer to PINGREQ");
    else {
      this.#pingedAt = now();
      this.#socket?.write(PINGREQ);
      alarms.set(this.#alarm, this.#pingedAt + PING_TIMEOUT_MS);
    }
  }

  #fail(why: string): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#release();
    this.#socket?.destroy();
    this.#events.closed(why, wasOpen);
  }

  #onClose(why: string): void {
    if (this.#state === "closed") return;
    const leaving = this.#state === "leaving";
    const wasOpen = this.isOpen;
    this.#release();
    if (!leaving) this.#events.closed(why, wasOpen);
  }

  #release(): void {
    this.#state = "closed";
    this.#out = [];
    this.#pass.leave();
    this.#switchboard.alarms.clear(this.#alarm);
  }
}

function reason(error: Error): string {
  // Several addresses tried at once come as one error without words of its own.
  if (error instanceof AggregateError) return error.errors.map(String).join(", ");
  return error.message;
}
