/**
 * One device's connection: MQTT 3.1.1, QoS 1, a bounded window of unacknowledged messages and a bounded queue behind it.
 *
 * Promises: messages are first written in the order they were offered; a message is acknowledged once, however often
 * it had to be written; what was unacknowledged when a connection ended is written again, with DUP and the same packet
 * identifier, before anything new [MQTT-4.4.0-1]; while the broker is away it tries again with growing, spread pauses.
 */
import assert from "node:assert/strict";
import mqtt, { Store } from "mqtt";

export interface Outgoing {
  readonly topic: string;
  readonly payload: string;
}

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  /** Clean sessions; false keeps the session on the broker between connections. */
  readonly clean: boolean;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
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
const CONNECT_TIMEOUT_MS = 10_000;
const KEEPALIVE_SECONDS = 60;
/** What the broker gets to answer a DISCONNECT with the end of the connection, ms. */
const GOODBYE_MS = 1000;

/** The library sends unacknowledged messages again, but forgets to say so: [MQTT-3.3.1-1] DUP must be set. */
class DupStore extends Store {
  override put(...[packet, done]: Parameters<Store["put"]>): this {
    return super.put(packet.cmd === "publish" ? { ...packet, dup: true } : packet, done);
  }
}

export class DeviceLink<Message extends Outgoing> {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents<Message>;
  #client: mqtt.MqttClient | undefined;
  #online = false;
  #stopped = false;
  #attempt = 0;
  readonly #queue: Message[] = [];
  /** By packet identifier. */
  readonly #inFlight = new Map<number, Message>();
  /** The message whose publish call is on the stack: the library tells its packet identifier only while writing. */
  #publishing: Message | undefined;

  constructor(options: LinkOptions, events: LinkEvents<Message>) {
    this.#options = options;
    this.#events = events;
  }

  /** Connects, and keeps trying; `onOnline` tells when it succeeded. */
  start(): void {
    if (this.#client || this.#stopped) return;
    const { host, port, clientId, clean, username, password } = this.#options;
    const client = mqtt.connect({
      protocol: "mqtt",
      host,
      port,
      clientId,
      clean,
      protocolVersion: 4,
      keepalive: KEEPALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: this.#pause(),
      reconnectOnConnackError: true,
      outgoingStore: new DupStore(),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    });
    this.#client = client;
    client.on("packetsend", (packet) => {
      if (packet.cmd === "publish") this.#onWritten(packet.messageId ?? 0);
    });
    // The library says so only after everything unacknowledged has been sent again and acknowledged.
    client.on("connect", () => {
      this.#attempt = 0;
      client.options.reconnectPeriod = this.#pause();
      this.#online = true;
      this.#events.onOnline();
      this.#pump();
    });
    client.on("close", () => {
      // The library has just planned its next try with the pause set before; this one is for the try after.
      this.#attempt += 1;
      client.options.reconnectPeriod = this.#pause();
      if (!this.#online) return;
      this.#online = false;
      this.#events.onOffline();
    });
    client.on("error", (error) => this.#events.onFault(reason(error)));
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
    return this.#online;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Cuts the connection without a word, as a lost radio link does; it comes back by itself. */
  cut(): void {
    if (this.#online) this.#client?.stream.destroy();
  }

  /** Says goodbye where it can. What is unacknowledged or queued stays so. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const client = this.#client;
    if (!client) return;
    this.#client = undefined;
    const forced = !this.#online || this.#inFlight.size > 0;
    this.#online = false;
    const ended = client.endAsync(forced).catch(() => undefined);
    const late = setTimeout(() => client.stream.destroy(), GOODBYE_MS);
    await ended;
    clearTimeout(late);
  }

  #pump(): void {
    while (this.#online && !this.#stopped && this.#inFlight.size < this.#options.window) {
      const message = this.#queue.shift();
      if (!message) return;
      this.#publish(message);
    }
  }

  #publish(message: Message): void {
    const client = this.#client;
    if (!client) return;
    this.#publishing = message;
    client.publish(message.topic, message.payload, { qos: 1 }, (error, packet) => {
      // The one error is that the client is being ended; the message stays unacknowledged.
      if (error) return;
      assert(packet?.messageId !== undefined, "a PUBACK names its message");
      this.#inFlight.delete(packet.messageId);
      this.#events.onAcknowledged(message);
      this.#pump();
    });
    // Otherwise it would be in a queue of the library's own, and be counted as never sent.
    assert(this.#publishing === undefined, "while online, a publish is written at once");
  }

  #onWritten(id: number): void {
    const first = this.#publishing;
    if (first) {
      this.#publishing = undefined;
      this.#inFlight.set(id, first);
      this.#events.onWritten(first, false);
      return;
    }
    const again = this.#inFlight.get(id);
    if (again) this.#events.onWritten(again, true);
  }

  /** Half of it is spread, so that a thousand devices do not come back in the same moment. */
  #pause(): number {
    const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#attempt, 10));
    return Math.ceil(full / 2 + (full / 2) * this.#options.random());
  }
}

function reason(error: Error): string {
  // Several addresses tried at once come as one error without words of its own.
  if (error instanceof AggregateError) return error.errors.map(String).join(", ");
  return error.message;
}
