/**
 * Large payloads between their acknowledgement and the object store: what they need of a disk and of a store.
 *
 * A payload is on the disk before its event goes into the buffer, and stays there until the store has it durably and an
 * event that says so is in the buffer too. Object stores: a directory (directory-store.ts) and S3 (s3-store.ts); both pass
 * gateway/payloads/conformance.ts.
 */
import type { LargePayload } from "../../events/schema.ts";

/** A payload as it was found on the disk. */
export interface FoundPayload {
  readonly bytes: Buffer;
  /** What was said of it when it was taken in; undefined where that is damaged. */
  readonly event: LargePayload | undefined;
}

/** The payloads on a gateway's disk, by their ids. */
export interface PayloadFiles {
  /** Makes what it needs, and removes what was left half written. @returns the ids of those that are there */
  open(): Promise<readonly string[]>;
  /**
   * Resolves when payload and event are on the disk, both fsynced, and a power cut leaves either of them or none.
   * @param describe the event, once the digest of the payload is known
   * @param wanted asked now and then; where it says no, nothing is kept
   * @returns the event; undefined where it is not wanted any more
   */
  write(
    id: string,
    payload: Uint8Array,
    describe: (sha256: string) => LargePayload,
    wanted: () => boolean,
  ): Promise<LargePayload | undefined>;
  /** @returns undefined where there is none; the bytes may be others than were written */
  read(id: string): Promise<FoundPayload | undefined>;
  /** One that is not there is removed already. */
  remove(id: string): Promise<void>;
  /** What the disk has left for us. */
  freeBytes(): Promise<number>;
}

export interface StoreObject {
  readonly key: string;
  readonly bytes: Buffer;
  /** Of the bytes, in hexadecimal. */
  readonly sha256: string;
  readonly contentType?: string | undefined;
}

export const OBJECT_STORE_ERROR_CODES = [
  /** Nobody answers, or not in time; trying again later may help. */
  "unreachable",
  /** Its certificate is none that we trust, or one side speaks TLS and the other does not. */
  "tls",
  /** Who we say we are, or what we may do. */
  "denied",
  /** The bucket or the directory is not there. */
  "missing",
  /** It has no room. */
  "full",
  /** It does not take this object, and may take others. */
  "refused",
  /** What it says it has is not what it was given. */
  "corrupt",
] as const;
export type ObjectStoreErrorCode = (typeof OBJECT_STORE_ERROR_CODES)[number];

/** The world's faults. The message says where, what, and what to do. */
export class ObjectStoreError extends Error {
  readonly code: ObjectStoreErrorCode;
  constructor(code: ObjectStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ObjectStoreError";
    this.code = code;
  }
}

/** Who may hold up the bytes of an upload, so that it takes no more of the link than it may. */
export type Pace = (bytes: number, signal: AbortSignal) => Promise<void>;

/** Every method throws ObjectStoreError, or the signal's reason. */
export interface ObjectStore {
  readonly kind: "directory" | "s3";
  /** Where it is, for people; no secrets. */
  readonly place: string;
  /** URI of an object. */
  refOf(key: string): string;
  /** Resolves when the object is durable and whole in the store; the same again changes nothing. */
  put(object: StoreObject, signal: AbortSignal, pace?: Pace): Promise<void>;
  /** @returns undefined where there is none */
  get(key: string, signal: AbortSignal): Promise<Buffer | undefined>;
  /** One that is not there is removed already. */
  remove(key: string, signal: AbortSignal): Promise<void>;
}
