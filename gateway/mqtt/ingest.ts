/**
 * A message on an ingest route into the journal, once: asks what is remembered of the session whether it came before,
 * offers what is new, and keeps what the next redelivery will be judged by in the event's own commit.
 */
import { createHash, hash as digest } from "node:crypto";
import type { BufferError, Note } from "../buffer/port.ts";
import type { DurableNotes } from "./durable-notes.ts";
import type { Handshakes } from "./handshakes.ts";
import type { Intake, Offered } from "./intake.ts";
import type { Publish } from "./publish.ts";
import type { IngestRight, OrdinaryRight } from "./publish-rights.ts";
import type { PublishRecord } from "./redelivery.core.ts";
import { qos1Note } from "./session-notes.core.ts";
import type { Session, Sessions } from "./sessions.ts";

export interface Sender {
  /** MQTT client id. */
  readonly id: string;
  /** Undefined where the session is a clean one: nothing of it is remembered. */
  readonly session: Session | undefined;
}

export class Ingest {
  readonly intake: Intake;
  readonly #notes: DurableNotes;
  readonly #sessions: Sessions;
  readonly #handshakes: Handshakes;
  /** Messages that were recognised as sent again, and stored once. */
  repeats = 0;

  constructor(intake: Intake, sessions: Sessions, handshakes: Handshakes, notes: DurableNotes) {
    this.intake = intake;
    this.#notes = notes;
    this.#sessions = sessions;
    this.#handshakes = handshakes;
  }

  /** No further QoS 2 message can be begun. */
  get full(): boolean {
    return this.#handshakes.full;
  }

  /**
   * QoS 0 and 1. The publish's owner is told once it is on disk.
   * @returns true where that is so already
   */
  take(publish: Publish, right: IngestRight, payload: Buffer, dup: boolean, from: Sender): boolean {
    const { session } = from;
    if (publish.qos === 0 || session === undefined) {
      publish.offered = true;
      this.intake.offer(right.topic, right.route, payload, from.id, publish);
      return false;
    }
    this.#sessions.count(session);
    const hash = contentHash(right.topic, payload);
    const judged = session.redelivery.judge(publish.messageId, hash, dup, session.connections);
    if (judged.kind !== "new") {
      this.repeats += 1;
      publish.repeated = true;
      if (judged.kind === "stored") {
        this.#noteLater(session, judged.record);
        return true;
      }
      judged.publish.joined.push(publish);
      return false;
    }
    const open = session.redelivery.add(publish.messageId, hash, dup, session.connections);
    publish.open = open;
    publish.offered = true;
    const notes = this.#withSession(publish, session, qos1Note(session.number, open.record));
    this.intake.offer(right.topic, right.route, payload, from.id, publish, notes);
    return false;
  }

  /** QoS 2. A second one under an open id is the same message if it has DUP and the content [MQTT-4.3.3-2]. */
  takeOnce(
    publish: Publish,
    right: IngestRight | OrdinaryRight,
    payload: Buffer,
    dup: boolean,
    from: Sender,
  ): boolean {
    const { messageId } = publish;
    const hash = contentHash(right.topic, payload);
    const known = this.#handshakes.find(from.id, messageId);
    if (known && dup && known.hash === hash) {
      publish.repeated = true;
      if (right.kind === "ingest") this.repeats += 1;
      if (known.stored) return true;
      known.joined.push(publish);
      return false;
    }
    const session = right.kind === "ingest" ? from.session : undefined;
    const handshake = this.#handshakes.begin(from.id, messageId, hash, session);
    publish.handshake = handshake;
    // [MQTT-3.3.1-10] A retained message without payload removes the retained one; it is no reading.
    if (right.kind !== "ingest" || (publish.retain && payload.length === 0)) {
      handshake.stored = true;
      return true;
    }
    publish.offered = true;
    const note = this.#handshakes.note(messageId, handshake);
    const notes = note && session ? this.#withSession(publish, session, note) : undefined;
    this.intake.offer(right.topic, right.route, payload, from.id, publish, notes);
    return false;
  }

  /** PUBREL. @returns undefined where the id is free again, a promise where that has to reach the disk first */
  release(from: Sender, id: number): Promise<boolean> | undefined {
    return this.#handshakes.release(from.id, id);
  }

  /** It was neither stored nor passed on, and will not be: what is sent again is to be taken as new. */
  abandon({ handshake, messageId }: Publish, client: string): void {
    if (handshake) this.#handshakes.cancel(client, messageId, handshake);
  }

  /** The publish and its notes are on disk. Tells those that wait with it. */
  stored(publish: Publish): void {
    const { session, open, handshake } = publish;
    if (!publish.repeated) this.intake.stored(publish);
    if (session && publish.sessionVersion > session.written) {
      session.written = publish.sessionVersion;
    }
    if (open && session) {
      const changed = session.redelivery.close(open);
      if (changed) this.#noteLater(session, changed);
    }
    if (handshake) handshake.stored = true;
    for (const joined of joinedBy(publish)) joined.stored(0);
  }

  /** It is not on disk: what waits with it is not either. */
  refused(publish: Publish, client: string, error: BufferError): void {
    const { session, open, handshake, messageId } = publish;
    if (!publish.repeated) this.intake.refused(error);
    if (open && session) session.redelivery.cancel(open);
    if (handshake) this.#handshakes.cancel(client, messageId, handshake);
    for (const joined of joinedBy(publish)) joined.refused(error);
  }

  /** Nobody waits for it: without it a later redelivery may be stored twice, nothing more. */
  #noteLater(session: Session, record: PublishRecord): void {
    const note = qos1Note(session.number, record);
    void this.#notes.write(() => [note]);
  }

  #withSession(publish: Publish, session: Session, note: Note): readonly Note[] {
    publish.session = session;
    const own = this.#sessions.pendingNote(session);
    if (!own) return [note];
    publish.sessionVersion = session.version;
    return [note, own];
  }
}

function joinedBy({ open, handshake }: Publish): readonly Offered[] {
  return open?.joined ?? handshake?.joined ?? [];
}

/** Beyond this a copy costs more than a digest in pieces. */
const COPIED_BYTES = 64 * 1024;

/** 64 bits of a digest over topic and content. Only persistent sessions and QoS 2 pay for it. */
function contentHash(topic: string, payload: Buffer): bigint {
  const name = Buffer.from(topic);
  // The topic cannot hold U+0000 [MQTT-1.5.3-2], so that the border between the two is in the bytes.
  if (payload.length > COPIED_BYTES) {
    const pieces = createHash("sha1").update(name).update(Buffer.of(0)).update(payload);
    return pieces.digest().readBigUInt64BE(0);
  }
  const all = Buffer.concat([name, Buffer.of(0), payload]);
  return digest("sha1", all, "buffer").readBigUInt64BE(0);
}
