/**
 * The durable buffer between acknowledgement and forwarding, as its users see it.
 *
 * Implementations: gateway/buffer/leveldb.ts on the device, gateway/buffer/memory.ts in tests; both pass
 * gateway/buffer/conformance.ts. What it promises:
 *  - append() resolves only when the events are on disk, synced; what was appended survives any crash after that;
 *  - sequences count from 1 without holes, in the order in which append() was called;
 *  - read() gives back exactly what was appended, or throws: never a record with another value;
 *  - release() frees what the log has; it is on disk before it resolves.
 */
import type { Epoch } from "../../events/ids.ts";
import type { JournalType } from "../../events/schema.ts";

/** An event of the journal before it has a sequence. */
export interface NewEvent {
  readonly type: JournalType;
  /** Event time, ms since 1970: the device's where it has one, else the time of receipt. */
  readonly time: number;
  /** The event in CBOR. */
  readonly value: Uint8Array;
}

export interface BufferedEvent extends NewEvent {
  readonly sequence: number;
}

/** Both included. */
export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

export interface ReadLimit {
  readonly events: number;
  /** Of values; at least one event is returned however large it is. */
  readonly bytes: number;
}

export interface BufferStats {
  readonly epoch: Epoch;
  /** Highest sequence on disk; 0 where nothing was appended yet. */
  readonly accepted: number;
  /** Highest sequence released. */
  readonly released: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  /** Groups written, each with one fsync, since start. */
  readonly commits: number;
}

export const BUFFER_ERROR_CODES = [
  /** The byte cap is reached; nothing was stored. */
  "full",
  /** The disk failed or is being recovered; nothing was stored, or nobody may rely on it. */
  "unavailable",
  /** Another process has the directory open. */
  "in_use",
  /** The directory cannot be made or written. */
  "unwritable",
  /** What is on disk is not what was written. */
  "damaged",
  /** Written by a newer version. */
  "format",
  /** Called before start() or after stop(). */
  "closed",
] as const;
export type BufferErrorCode = (typeof BUFFER_ERROR_CODES)[number];

export class BufferError extends Error {
  readonly code: BufferErrorCode;
  constructor(code: BufferErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BufferError";
    this.code = code;
  }
}

export interface DurableBuffer {
  /** @throws BufferError `in_use`, `unwritable`, `damaged`, `format` */
  start(): Promise<void>;
  /** Writes what waits, then closes. Idempotent. */
  stop(): Promise<void>;
  /**
   * Resolves when all of the events are on disk. Calls are taken in their order; concurrent ones share one fsync.
   * @param options.reserved may use the room kept for the gateway's own events when the buffer is full
   * @throws BufferError `full`, `unavailable`, `closed`; then none of the events counts as accepted
   */
  append(
    events: readonly NewEvent[],
    options?: { readonly reserved?: boolean },
  ): Promise<SequenceRange>;
  /** Events after the given sequence, in order. @throws BufferError `damaged`, `unavailable`, `closed` */
  read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]>;
  /** Resolves when an event after the given sequence is on disk; rejects with the signal's reason. */
  waitBeyond(after: number, signal: AbortSignal): Promise<void>;
  /** Gives up everything up to the sequence, durably. @throws BufferError `unavailable`, `closed` */
  release(upTo: number): Promise<void>;
  stats(): BufferStats;
}
