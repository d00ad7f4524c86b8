/**
 * QoS 2 messages between their PUBLISH and their PUBREL, for all sessions. aedes does not see them: it would keep whole
 * packets in memory, forget them with the process, and write a PUBREC only once all subscribers were served.
 *
 * For a persistent session the id is on disk in the
 * event's own commit, before the PUBREC, until the PUBREL, and its deletion is on disk before the PUBCOMP: what a device
 * sends again after a crash of either side is the same message [MQTT-4.3.3-2].
 */
import type { DurableBuffer, Note } from "../buffer/port.ts";
import type { DurableNotes } from "./durable-notes.ts";
import type { Offered } from "./intake.ts";
import { keyNumbers, QOS2_PREFIX, qos2Key, qos2Note, readQos2 } from "./session-notes.core.ts";
import type { Session } from "./sessions.ts";

/**
 * Open at once over all clients; one more closes its connection. A device that sends its backlog at once may have as many
 * as there are packet ids: closing earlier would make it send again what is stored.
 */
export const MAX_OPEN_HANDSHAKES = 262_144;

export interface Handshake {
  readonly hash: bigint;
  /** Where the id is on disk, or will be; undefined for a clean session or a message that is no event. */
  readonly session: Session | undefined;
  stored: boolean;
  /** Publishes of the same message that wait with the first. */
  readonly joined: Offered[];
}

export class Handshakes {
  readonly #clients = new Map<string, Map<number, Handshake>>();
  readonly #notes: DurableNotes;
  #open = 0;

  constructor(notes: DurableNotes) {
    this.#notes = notes;
  }

  /** Takes up what is on disk for the sessions. */
  async load(buffer: DurableBuffer, sessions: ReadonlyMap<number, Session>): Promise<void> {
    const left: Note[] = [];
    for (const [key, value] of await buffer.noted(QOS2_PREFIX)) {
      const [number, id] = keyNumbers(key) ?? [-1, 0];
      const session = sessions.get(number);
      const hash = readQos2(value);
      if (!session || hash === undefined) left.push({ key, value: undefined });
      else {
        const handshake = { hash, session, stored: true, joined: [] };
        this.#set(session.client, id, handshake);
      }
    }
    if (left.length > 0) void this.#notes.write(() => left);
  }

  get full(): boolean {
    return this.#open >= MAX_OPEN_HANDSHAKES;
  }

  find(client: string, id: number): Handshake | undefined {
    return this.#clients.get(client)?.get(id);
  }

  /** What a device begins under an id that is still open is another message: it has lost its memory. */
  begin(client: string, id: number, hash: bigint, session: Session | undefined): Handshake {
    const handshake = { hash, session, stored: false, joined: [] };
    this.#set(client, id, handshake);
    return handshake;
  }

  /** To go with the event of a persistent session. */
  note(id: number, { session, hash }: Handshake): Note | undefined {
    return session ? qos2Note(session.number, id, hash) : undefined;
  }

  /** Its event was not stored. */
  cancel(client: string, id: number, handshake: Handshake): void {
    if (this.find(client, id) === handshake) this.#delete(client, id);
  }

  /** PUBREL. @returns undefined where it is forgotten, a promise where that has to reach the disk first */
  release(client: string, id: number): Promise<boolean> | undefined {
    const handshake = this.find(client, id);
    if (!handshake) return undefined;
    this.#delete(client, id);
    const { session } = handshake;
    if (session === undefined) return undefined;
    const forgotten: readonly Note[] = [{ key: qos2Key(session.number, id), value: undefined }];
    // A late try must not take away what was begun under the id meanwhile.
    return this.#notes.write(() => (this.find(client, id) ? [] : forgotten));
  }

  /** The session ends, and what was open with it. */
  clear(client: string): void {
    const open = this.#clients.get(client);
    if (!open) return;
    this.#open -= open.size;
    this.#clients.delete(client);
    const notes: Note[] = [];
    for (const [id, { session }] of open) {
      if (session) notes.push({ key: qos2Key(session.number, id), value: undefined });
    }
    if (notes.length > 0) void this.#notes.write(() => notes);
  }

  #set(client: string, id: number, handshake: Handshake): void {
    let open = this.#clients.get(client);
    if (!open) {
      open = new Map();
      this.#clients.set(client, open);
    }
    if (!open.has(id)) this.#open += 1;
    open.set(id, handshake);
  }

  #delete(client: string, id: number): void {
    const open = this.#clients.get(client);
    if (!open?.delete(id)) return;
    this.#open -= 1;
    if (open.size === 0) this.#clients.delete(client);
  }
}
