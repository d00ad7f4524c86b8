/**
 * The broker without sockets and without aedes: the gateway's own sessions, handshakes, redelivery rule, decoders and intake,
 * as connection.ts uses them, for devices in virtual time.
 *
 * What it does itself is what a connection does: acknowledge in the order of the messages, hold what comes behind a large
 * payload, and know on its end what its device will send again.
 */
import type { BufferError, DurableBuffer } from "../../gateway/buffer/port.ts";
import { DurableNotes } from "../../gateway/mqtt/durable-notes.ts";
import { Handshakes } from "../../gateway/mqtt/handshakes.ts";
import { Ingest } from "../../gateway/mqtt/ingest.ts";
import type { Intake } from "../../gateway/mqtt/intake.ts";
import { Publish, type PublishOwner } from "../../gateway/mqtt/publish.ts";
import { PublishRights } from "../../gateway/mqtt/publish-rights.ts";
import { type Session, Sessions } from "../../gateway/mqtt/sessions.ts";
import type { Timers } from "../../time/timers.ts";
import type { PublishPacket } from "../device/port.ts";

/** What the broker sends to a device. */
export interface Replies {
  puback(messageId: number): void;
  pubrec(messageId: number): void;
  pubcomp(messageId: number): void;
  /** The broker has closed the connection. */
  closed(): void;
}

export class VirtualBroker {
  readonly #sessions: Sessions;
  readonly #handshakes: Handshakes;
  readonly #notes: DurableNotes;
  readonly #buffer: DurableBuffer;
  readonly ingest: Ingest;
  readonly rights = new PublishRights();
  readonly #open = new Map<string, BrokerConnection>();

  constructor(intake: Intake, timers: Timers) {
    this.#buffer = intake.buffer;
    this.#notes = new DurableNotes(intake.buffer, timers);
    this.#sessions = new Sessions(intake.buffer, this.#notes, (session) =>
      this.#handshakes.clear(session.client),
    );
    this.#handshakes = new Handshakes(this.#notes);
    this.ingest = new Ingest(intake, this.#sessions, this.#handshakes, this.#notes);
  }

  /** Takes up the sessions that are on disk; the buffer must be open. */
  async start(): Promise<void> {
    await this.#sessions.load();
    await this.#handshakes.load(this.#buffer, this.#sessions.byNumber());
  }

  /** Closes every connection; nothing more is acknowledged. */
  stop(): void {
    this.#notes.stop();
    for (const connection of [...this.#open.values()]) connection.close(true);
  }

  get clients(): number {
    return this.#open.size;
  }

  /** CONNECT. @returns the connection, and whether its session was held */
  connect(client: string, clean: boolean, replies: Replies): [BrokerConnection, boolean] {
    // [MQTT-3.1.4-2]
    this.#open.get(client)?.close(true);
    let session: Session | undefined;
    let present = false;
    if (clean) {
      this.#sessions.end(client);
      this.#handshakes.clear(client);
    } else {
      ({ session, present } = this.#sessions.open(client));
      if (!present) this.#handshakes.clear(client);
    }
    const ended = (connection: BrokerConnection) => {
      if (this.#open.get(client) !== connection) return;
      this.#open.delete(client);
      if (session) session.connected = false;
      else this.#handshakes.clear(client);
    };
    const connection = new BrokerConnection(this, client, session, replies, ended);
    this.#open.set(client, connection);
    return [connection, present];
  }
}

export class BrokerConnection implements PublishOwner {
  readonly #broker: VirtualBroker;
  readonly id: string;
  readonly session: Session | undefined;
  readonly #replies: Replies;
  readonly #ended: (connection: BrokerConnection) => void;
  #waiting: Publish[] = [];
  /** A large payload whose event is not in the buffer's queue yet, and what came behind it. */
  #keeping: Publish | undefined;
  #held: PublishPacket[] = [];
  #orderly = false;
  #closed = false;

  constructor(
    broker: VirtualBroker,
    id: string,
    session: Session | undefined,
    replies: Replies,
    ended: (connection: BrokerConnection) => void,
  ) {
    this.#broker = broker;
    this.id = id;
    this.session = session;
    this.#replies = replies;
    this.#ended = ended;
  }

  publish(packet: PublishPacket): void {
    if (this.#closed) return;
    if (this.#keeping) {
      this.#held.push(packet);
      return;
    }
    const { topic, payload, qos, messageId, dup } = packet;
    const { ingest, rights } = this.#broker;
    const right = rights.right(this.id, topic);
    if (right.kind !== "ingest") throw new Error(`${topic} is no topic of a reading`);
    const publish = new Publish(this, right, qos, messageId, false, payload.length);
    this.#waiting.push(publish);
    const ready =
      qos === 2
        ? ingest.takeOnce(publish, right, payload, dup, this)
        : ingest.take(publish, right, payload, dup, this);
    if (ready) {
      publish.ready = true;
      this.#acknowledge();
    } else if (publish.isLarge) this.#keeping = publish;
  }

  queued(publish: Publish): void {
    if (this.#keeping !== publish) return;
    this.#keeping = undefined;
    for (const packet of this.#held.splice(0)) this.publish(packet);
  }

  pubrel(messageId: number): void {
    if (this.#closed) return;
    const forgotten = this.#broker.ingest.release(this, messageId);
    if (forgotten === undefined) this.#replies.pubcomp(messageId);
    else void forgotten.then((done) => done && !this.#closed && this.#replies.pubcomp(messageId));
  }

  /** DISCONNECT came. */
  disconnect(): void {
    this.#orderly = true;
    this.close(false);
  }

  /** @param tell whether the device is to hear of it */
  close(tell: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const publish of this.#waiting) {
      if (!publish.offered) this.#broker.ingest.abandon(publish, this.id);
      // As in connection.ts: a clean session's device sends it again as a new one.
      if (publish.qos > 0 && this.session === undefined && !this.#orderly) publish.gone = true;
    }
    this.#waiting = [];
    this.#ended(this);
    if (tell) this.#replies.closed();
  }

  stored(publish: Publish): void {
    this.#broker.ingest.stored(publish);
    publish.ready = true;
    this.#acknowledge();
  }

  refused(publish: Publish, error: BufferError): void {
    this.#broker.ingest.refused(publish, this.id, error);
    if (this.#closed) return;
    if (publish.qos > 0) this.close(true);
    else {
      publish.ready = true;
      this.#acknowledge();
    }
  }

  /** [MQTT-4.6.0-2] In the order of the messages. */
  #acknowledge(): void {
    while (!this.#closed && this.#waiting[0]?.ready) {
      const { qos, messageId } = this.#waiting.shift() as Publish;
      if (qos === 1) this.#replies.puback(messageId);
      else if (qos === 2) this.#replies.pubrec(messageId);
    }
  }
}
