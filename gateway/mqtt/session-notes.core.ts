/**
 * What the broker keeps of persistent sessions in the buffer's notes, as keys and bytes. Pure.
 *
 *   s/<session>            → CBOR { client, connections, subscriptions: [[filter, qos], …] }
 *   1/<session>/<place>    → a QoS 1 publish: position f64 | id u16 | hash u64 | connection u32 | flags u8
 *   2/<session>/<id>       → the hash u64 of a QoS 2 message between its PUBLISH and its PUBREL
 *
 * Sessions and ids are written in base 36; all numbers are big endian. The place of a QoS 1 publish is its position modulo
 * `RECENT`, so that a new one takes the room of the oldest and nothing has to be deleted. A note that cannot be read is
 * passed over: what is kept here saves duplicates, never readings.
 */
import { decodeCbor, encodeCbor } from "../../events/codec.ts";
import type { Note } from "../buffer/port.ts";
import { type PublishRecord, RECENT } from "./redelivery.core.ts";

export const SESSION_PREFIX = "s/";
export const QOS1_PREFIX = "1/";
export const QOS2_PREFIX = "2/";

const PUBLISH_BYTES = 8 + 2 + 8 + 4 + 1;
const REUSES = 1;

export type Qos = 0 | 1 | 2;

export interface SessionRecord {
  readonly client: string;
  readonly connections: number;
  readonly subscriptions: ReadonlyMap<string, Qos>;
}

export const sessionKey = (session: number): string => `${SESSION_PREFIX}${session.toString(36)}`;

export const qos1Key = (session: number, place: number): string =>
  `${QOS1_PREFIX}${session.toString(36)}/${place.toString(36)}`;

export const qos2Key = (session: number, id: number): string =>
  `${QOS2_PREFIX}${session.toString(36)}/${id.toString(36)}`;

/** The numbers that a key ends with. @returns undefined where it is no key of ours */
export function keyNumbers(key: string): readonly [session: number, other: number] | undefined {
  const parts = /^[s12]\/([0-9a-z]{1,10})(?:\/([0-9a-z]{1,4}))?$/.exec(key);
  if (!parts) return undefined;
  return [Number.parseInt(parts[1] ?? "", 36), Number.parseInt(parts[2] ?? "0", 36)];
}

export function sessionNote(session: number, record: SessionRecord): Note {
  const { client, connections, subscriptions } = record;
  // Copied, because the encoder uses its memory again.
  const value = Uint8Array.from(
    encodeCbor({ client, connections, subscriptions: [...subscriptions] }),
  );
  return { key: sessionKey(session), value };
}

export function readSession(value: Uint8Array): SessionRecord | undefined {
  let found: unknown;
  try {
    found = decodeCbor(value);
  } catch {
    return undefined;
  }
  if (typeof found !== "object" || found === null) return undefined;
  const { client, connections, subscriptions } = found as Record<string, unknown>;
  if (typeof client !== "string" || !Number.isSafeInteger(connections)) return undefined;
  if (!Array.isArray(subscriptions)) return undefined;
  const held = new Map<string, Qos>();
  for (const one of subscriptions) {
    if (!Array.isArray(one)) return undefined;
    const [filter, qos] = one as unknown[];
    if (typeof filter !== "string" || (qos !== 0 && qos !== 1 && qos !== 2)) return undefined;
    held.set(filter, qos);
  }
  return { client, connections: connections as number, subscriptions: held };
}

export function qos1Note(session: number, record: PublishRecord): Note {
  const value = Buffer.allocUnsafe(PUBLISH_BYTES);
  value.writeDoubleBE(record.position, 0);
  value.writeUInt16BE(record.id, 8);
  value.writeBigUInt64BE(record.hash, 10);
  value.writeUInt32BE(record.connection, 18);
  value[22] = record.reuses ? REUSES : 0;
  return { key: qos1Key(session, record.position % RECENT), value };
}

export function readQos1(bytes: Uint8Array): PublishRecord | undefined {
  if (bytes.length !== PUBLISH_BYTES) return undefined;
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const position = value.readDoubleBE(0);
  if (!Number.isSafeInteger(position) || position < 0) return undefined;
  const flags = value[22] ?? 0;
  return {
    position,
    id: value.readUInt16BE(8),
    hash: value.readBigUInt64BE(10),
    connection: value.readUInt32BE(18),
    reuses: (flags & REUSES) !== 0,
  };
}

export function qos2Note(session: number, id: number, hash: bigint): Note {
  const value = Buffer.allocUnsafe(8);
  value.writeBigUInt64BE(hash);
  return { key: qos2Key(session, id), value };
}

export function readQos2(bytes: Uint8Array): bigint | undefined {
  if (bytes.length !== 8) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readBigUInt64BE();
}
