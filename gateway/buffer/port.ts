/**
 * The durable buffer between acknowledgement and forwarding, as its users see it.
 *
 * Implementations: gateway/buffer/leveldb.ts on the device, gateway/buffer/memory.ts in tests; both pass
 * gateway/buffer/conformance.ts. docs/spec/buffer.md states the promises as numbered clauses; in short:
 *  - what was appended is on disk before anybody is told, and survives any crash after that;
 *  - sequences of an epoch count from 1 without holes, in the order in which append() and offer() were called;
 *  - read() gives back exactly what was appended, or what declares it lost: never a record with another value;
 *  - release() frees what the log has; it is on disk before it resolves.
 *
 * A buffer may hold events of several epochs: after damage it begins a new one behind what it could save, and on other
 * hardware one under another gateway's id. Its own order over all of them is the *position*, which only grows and is never sent; within one epoch
 * `position - sequence` is constant.
 */
import type { Epoch, GatewayId } from "../../events/ids.ts";
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
  /** The place of the event among all that this buffer ever held; read() and release() go by it. */
  readonly position: number;
  readonly epoch: Epoch;
  /** Whose epoch it is; undefined for the gateway that the buffer was made for. */
  readonly gateway?: GatewayId;
  /**
   * Of the event in its epoch. A declared loss stands for `[from, to]` and has the sequence `to`: where it grew before
   * it was sent, it is another event and not a changed one.
   */
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

/**
 * Something small to remember beside the events, in the same commit: the broker keeps its open handshakes so. An
 * undefined value forgets the key. Notes outlive restarts; a damaged one is forgotten without a word, so nothing may
 * be kept in them that must not be lost.
 */
export interface Note {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export interface AppendOptions {
  /** May use the room kept for the gateway's own events when the buffer is full. */
  readonly reserved?: boolean;
  readonly notes?: readonly Note[];
}

/** Who waits for an event that was offered. Exactly one of the two is called, once, unless `gone` was set before. */
export interface Waiter {
  /** To be set by its owner when nobody waits any more: an event that is not on its way to the disk yet is then dropped. */
  gone?: boolean;
  /** The event, and the notes with it, are on disk. */
  stored(sequence: number): void;
  /** It is not, or nobody may rely on it. */
  refused(error: BufferError): void;
}

/** What happens at the cap: the oldest waiting events give way, declared lost, or new ones wait. */
export const FULL_POLICIES = ["drop-oldest", "refuse"] as const;
export type FullPolicy = (typeof FULL_POLICIES)[number];

export interface BufferStats {
  /**
   * `full`: at its cap, so that what is offered waits (`refuse`) or the oldest is dropped (`drop-oldest`);
   * `recovering`: a write failed or a record was found damaged, and nothing is acknowledged until the store was
   * opened again and checked.
   */
  readonly state: "open" | "full" | "recovering" | "closed";
  /** Why it is not open, in words. */
  readonly trouble?: string;
  /** The newest epoch. */
  readonly epoch: Epoch;
  /** Highest sequence of that epoch on disk; 0 where nothing was appended yet. */
  readonly accepted: number;
  /** Highest sequence of that epoch released; 0 while events of earlier epochs wait. */
  readonly released: number;
  /** The same in positions. */
  readonly positions: { readonly accepted: number; readonly released: number };
  /** Events that wait for the log, those of every epoch; a declared loss is one, whatever it stands for. */
  readonly waiting: number;
  /** Bytes of the events that wait. */
  readonly bytes: number;
  readonly capacityBytes: number;
  readonly policy: FullPolicy;
  /** What the store takes on the disk, and what the disk has left; undefined where that was not asked yet. */
  readonly diskBytes: number | undefined;
  readonly freeBytes: number | undefined;
  /** Groups written, each with one fsync, since start. */
  readonly commits: number;
  /** Events declared lost since start, by reason. */
  readonly lost: { readonly full: number; readonly damage: number };
  /** Times that the store was closed, opened and checked after a failed write or damage, since start. */
  readonly recoveries: number;
}

export const BUFFER_ERROR_CODES = [
  /** The byte cap is reached and too much waits already; nothing was stored. */
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
  /** @throws BufferError `in_use`, `unwritable`, `format` */
  start(): Promise<void>;
  /** Writes what waits, then closes. Idempotent. */
  stop(): Promise<void>;
  /**
   * Resolves when all of the events are on disk. Calls are taken in their order; concurrent ones share one fsync.
   * While the buffer is full or recovers it waits; a rejection says that none of the events counts as accepted.
   * @throws BufferError `full`, `unavailable`, `closed`
   */
  append(events: readonly NewEvent[], options?: AppendOptions): Promise<SequenceRange>;
  /** append() for one event and many callers: the same order, no promise. */
  offer(event: NewEvent, waiter: Waiter, notes?: readonly Note[]): void;
  /** Events after the given position, in order. @throws BufferError `unavailable`, `closed` */
  read(after: number, limit: ReadLimit): Promise<readonly BufferedEvent[]>;
  /** Resolves when an event after the given position is on disk; rejects with the signal's reason. */
  waitBeyond(after: number, signal: AbortSignal): Promise<void>;
  /** Gives up everything up to the position, durably. @throws BufferError `unavailable`, `closed` */
  release(upTo: number): Promise<void>;
  /** Keeps or forgets notes without an event, durably. @throws BufferError `unavailable`, `closed` */
  note(notes: readonly Note[]): Promise<void>;
  /** What is noted under keys that begin so, in key order. @throws BufferError `unavailable`, `closed` */
  noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]>;
  stats(): BufferStats;
}
