/**
 * Persistent sessions (clean=0) across restarts: that they exist, what they subscribe to, and which of their QoS 1
 * messages came last. aedes keeps sessions in memory only; what is here is also in the buffer's notes.
 *
 * A session is on disk at the latest with its first stored reading or before the SUBACK of its first subscription. One
 * that was only opened and did neither may be forgotten by a crash, and its client is told so by the CONNACK.
 */
import type { DurableBuffer, Note } from "../buffer/port.ts";
import type { DurableNotes } from "./durable-notes.ts";
import type { Offered } from "./intake.ts";
import { type PublishRecord, RECENT, RedeliveryTable } from "./redelivery.core.ts";
import {
  keyNumbers,
  QOS1_PREFIX,
  type Qos,
  qos1Key,
  readQos1,
  readSession,
  SESSION_PREFIX,
  sessionKey,
  sessionNote,
} from "./session-notes.core.ts";

/** Sessions that are kept; beyond it the one whose client was away longest is forgotten. About 4 KB of memory each. */
export const MAX_SESSIONS = 10_000;

export class Session {
  /** Never given out again, so that what is left of a session on disk is no other one's. */
  readonly number: number;
  readonly client: string;
  readonly redelivery = new RedeliveryTable<Offered>();
  readonly subscriptions = new Map<string, Qos>();
  /** Connections so far over which a message came: another one tells nothing of what the device has sent. */
  connections = 0;
  /** The one that is open is not among them yet. */
  uncounted = false;
  connected = false;
  /** Grows with each change of what is kept in its own note; the second is the newest that is on disk. */
  version = 0;
  written = 0;

  constructor(number: number, client: string) {
    this.number = number;
    this.client = client;
  }
}

export class Sessions {
  /** By client id, the one that was connected longest ago first. */
  readonly #sessions = new Map<string, Session>();
  readonly #buffer: DurableBuffer;
  readonly #notes: DurableNotes;
  readonly #max: number;
  readonly #onForgotten: (session: Session) => void;
  #nextNumber = 1;

  constructor(
    buffer: DurableBuffer,
    notes: DurableNotes,
    onForgotten: (session: Session) => void,
    max = MAX_SESSIONS,
  ) {
    this.#buffer = buffer;
    this.#notes = notes;
    this.#onForgotten = onForgotten;
    this.#max = max;
  }

  /** Takes up what is on disk. What belongs to no session any more is deleted. */
  async load(): Promise<void> {
    const byNumber = new Map<number, Session>();
    const left: Note[] = [];
    for (const [key, value] of await this.#buffer.noted(SESSION_PREFIX)) {
      const number = this.#numberOf(key);
      const record = readSession(value);
      if (number === undefined || record === undefined || this.#sessions.has(record.client)) {
        left.push({ key, value: undefined });
        continue;
      }
      const session = new Session(number, record.client);
      session.connections = record.connections;
      for (const [filter, qos] of record.subscriptions) session.subscriptions.set(filter, qos);
      byNumber.set(number, session);
    }
    // Numbers grow, so this is the order in which they were opened.
    for (const session of [...byNumber.values()].sort((a, b) => a.number - b.number)) {
      this.#sessions.set(session.client, session);
    }
    const publishes = new Map<Session, PublishRecord[]>();
    for (const [key, value] of await this.#buffer.noted(QOS1_PREFIX)) {
      const session = byNumber.get(this.#numberOf(key) ?? -1);
      const record = readQos1(value);
      if (!session || !record) left.push({ key, value: undefined });
      else if (publishes.get(session)?.push(record) === undefined) publishes.set(session, [record]);
    }
    for (const [session, records] of publishes) {
      const newest = session.redelivery.restore(records);
      session.connections = Math.max(session.connections, newest);
    }
    if (left.length > 0) void this.#notes.write(() => left);
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(client: string): Session | undefined {
    return this.#sessions.get(client);
  }

  byNumber(): ReadonlyMap<number, Session> {
    return new Map([...this.#sessions.values()].map((session) => [session.number, session]));
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /** A client connects with clean=0. @returns its session, and whether it was held [MQTT-3.2.2-2] */
  open(client: string): { readonly session: Session; readonly present: boolean } {
    const held = this.#sessions.get(client);
    const session = held ?? new Session(this.#nextNumber++, client);
    this.#sessions.delete(client);
    this.#sessions.set(client, session);
    session.uncounted = true;
    session.connected = true;
    if (held === undefined) {
      session.version += 1;
      this.#forgetOldest();
      void this.#write(session);
    }
    return { session, present: held !== undefined };
  }

  /** A client connects with clean=1: what was kept of it ends [MQTT-3.1.2-6]. Costs nothing where nothing was. */
  end(client: string): void {
    const session = this.#sessions.get(client);
    if (session) this.#forget(session);
  }

  /** A message has come. Goes to the disk with it, or with the next one. */
  count(session: Session): void {
    if (!session.uncounted) return;
    session.uncounted = false;
    session.connections += 1;
    session.version += 1;
  }

  /** Resolves when it is on disk, so that the SUBACK can say so. */
  async subscribe(
    client: string,
    subscriptions: Iterable<readonly [filter: string, qos: Qos]>,
  ): Promise<void> {
    const session = this.#sessions.get(client);
    if (!session) return;
    for (const [filter, qos] of subscriptions) session.subscriptions.set(filter, qos);
    session.version += 1;
    await this.#write(session);
  }

  async unsubscribe(client: string, filters: Iterable<string>): Promise<void> {
    const session = this.#sessions.get(client);
    if (!session) return;
    for (const filter of filters) session.subscriptions.delete(filter);
    session.version += 1;
    await this.#write(session);
  }

  /** The session's own note where it is not on disk as it is, to go with an event. */
  pendingNote(session: Session): Note | undefined {
    return session.written < session.version && this.#sessions.get(session.client) === session
      ? sessionNote(session.number, session)
      : undefined;
  }

  async #write(session: Session): Promise<void> {
    let version = 0;
    const done = await this.#notes.write(() => {
      version = session.version;
      const note = this.pendingNote(session);
      return note ? [note] : [];
    });
    if (done) session.written = Math.max(session.written, version);
  }

  #forgetOldest(): void {
    if (this.#sessions.size <= this.#max) return;
    for (const session of this.#sessions.values()) {
      if (session.connected) continue;
      this.#forget(session);
      return;
    }
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.client);
    this.#onForgotten(session);
    const notes: Note[] = [{ key: sessionKey(session.number), value: undefined }];
    for (let place = 0; place < RECENT; place += 1) {
      notes.push({ key: qos1Key(session.number, place), value: undefined });
    }
    void this.#notes.write(() => notes);
  }

  #numberOf(key: string): number | undefined {
    const number = keyNumbers(key)?.[0];
    if (number !== undefined) this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    return number;
  }
}
