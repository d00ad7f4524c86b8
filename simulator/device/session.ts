/**
 * What a device has open with a broker: MQTT 3.1.1's rules for a client that publishes. Packet ids, the window of
 * unacknowledged messages, the handshakes of QoS 1 and 2, and what is sent again after a connection was lost.
 *
 * Promises: messages are written in the order in which they were given; a packet id is used afresh only after what it was
 * used for is over; what a resumed session still has open is sent again, in order, before anything new [MQTT-4.4.0-1].
 */
import assert from "node:assert/strict";
import type { PublishPacket, SentReading } from "./port.ts";

/** One reading on its way. It may have been written several times, also as different messages. */
export interface Message {
  readonly reading: SentReading;
  readonly payload: Buffer;
  acknowledged: boolean;
}

export interface SessionWorld {
  publish(packet: PublishPacket): void;
  pubrel(messageId: number): void;
}

export interface SessionEvents {
  written(message: Message, packet: PublishPacket, fresh: boolean): void;
  /** PUBACK, or PUBREC at QoS 2. */
  acknowledged(message: Message): void;
  /** Its packet id is free again. */
  finished(message: Message, messageId: number): void;
}

/** Packet ids have 16 bits, and 0 is none [MQTT-2.3.1-1]. */
export const MAX_PACKET_ID = 65_535;

export class Session {
  readonly #topic: string;
  readonly #qos: 0 | 1 | 2;
  readonly #window: number;
  readonly #packetIds: number;
  readonly #world: SessionWorld;
  readonly #events: SessionEvents;
  #lastId = 0;
  /** Published and neither PUBACK nor PUBREC yet, by packet id, in the order of publishing. */
  readonly #published = new Map<number, Message>();
  /** PUBREC came, PUBCOMP did not, in the order of the PUBRECs. */
  readonly #released = new Map<number, Message>();
  /** Sent again although they were over, and not answered to the end. */
  readonly #echoes = new Set<number>();
  /** What a resumed session has to send again, the next one last. */
  #repeats: number[] = [];

  constructor(
    spec: {
      readonly topic: string;
      readonly qos: 0 | 1 | 2;
      readonly window: number;
      /** Ids go from 1 to this one and round. */
      readonly packetIds: number;
    },
    world: SessionWorld,
    events: SessionEvents,
  ) {
    this.#topic = spec.topic;
    this.#qos = spec.qos;
    this.#window = spec.window;
    this.#packetIds = spec.packetIds;
    this.#world = world;
    this.#events = events;
  }

  /** Messages that are not over. */
  get open(): number {
    return this.#published.size + this.#released.size;
  }

  /** Messages that were not acknowledged. */
  get unacknowledged(): number {
    return this.#published.size;
  }

  get hasRoom(): boolean {
    const { open } = this;
    return open < this.#window && open + this.#echoes.size < this.#packetIds;
  }

  /** A connection with the session that was left: all that is open has to be sent again, with repeat(). */
  resume(): void {
    // [MQTT-4.6.0-1], [MQTT-4.6.0-4]: each kind in the order of its first time.
    this.#repeats = [...this.#released.keys(), ...this.#published.keys()].reverse();
    for (const id of this.#echoes) {
      // What the broker holds open for a message that was over long ago is closed; it answers a PUBREL of any id.
      if (this.#qos === 2) this.#world.pubrel(id);
      else this.#echoes.delete(id);
    }
  }

  /**
   * A connection with a session that knows nothing: everything is over.
   * @returns what was not acknowledged, in order; it has to be sent as new messages
   */
  restart(): Message[] {
    const lost = [...this.#published.values()];
    this.#published.clear();
    this.#released.clear();
    this.#echoes.clear();
    this.#repeats = [];
    return lost;
  }

  /** Sends what a resumed session has open. */
  repeat(): void {
    for (let id = this.#repeats.pop(); id !== undefined; id = this.#repeats.pop()) {
      const message = this.#published.get(id);
      if (message) this.#write(message, id, true, false);
      else if (this.#released.has(id)) this.#world.pubrel(id);
    }
  }

  /** Sends it as a new message. @returns its packet id, 0 at QoS 0 */
  send(message: Message): number {
    const id = this.#qos === 0 ? 0 : this.#freeId();
    if (id > 0) this.#published.set(id, message);
    this.#write(message, id, false, true);
    return id;
  }

  /**
   * Sends a message again that is over, under the id that it had: firmware that does not believe an acknowledgement.
   * The id is taken until the broker has answered; whoever calls knows that it was not used for anything else since.
   */
  echo(message: Message, id: number): void {
    assert(!this.#isTaken(id), "an id that is open belongs to one message");
    this.#echoes.add(id);
    this.#write(message, id, true, false);
  }

  puback(id: number): void {
    if (this.#echoes.delete(id)) return;
    const message = this.#qos === 1 ? this.#published.get(id) : undefined;
    if (!message) return;
    this.#published.delete(id);
    this.#events.acknowledged(message);
    this.#events.finished(message, id);
  }

  pubrec(id: number): void {
    const message = this.#qos === 2 ? this.#published.get(id) : undefined;
    if (message) {
      this.#published.delete(id);
      this.#released.set(id, message);
      this.#events.acknowledged(message);
    }
    // [MQTT-4.3.3-1] A PUBREC is always answered, also one that came before.
    this.#world.pubrel(id);
  }

  pubcomp(id: number): void {
    if (this.#echoes.delete(id)) return;
    const message = this.#released.get(id);
    if (!message) return;
    this.#released.delete(id);
    this.#events.finished(message, id);
  }

  #write(message: Message, messageId: number, dup: boolean, fresh: boolean): void {
    const packet = {
      topic: this.#topic,
      payload: message.payload,
      qos: this.#qos,
      messageId,
      dup,
    };
    this.#world.publish(packet);
    this.#events.written(message, packet, fresh);
  }

  /** Ids go round, so that one is away for as long as can be before it comes again. */
  #freeId(): number {
    do this.#lastId = this.#lastId === this.#packetIds ? 1 : this.#lastId + 1;
    while (this.#isTaken(this.#lastId));
    return this.#lastId;
  }

  #isTaken(id: number): boolean {
    return this.#published.has(id) || this.#released.has(id) || this.#echoes.has(id);
  }
}
