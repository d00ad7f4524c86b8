/**
 * Large payloads: taken in, kept, brought to the object store, and told of in the journal.
 *
 * Promises:
 *  - who offers one is told only when its bytes, and the event with their digest, are on the disk: bytes first, each fsynced;
 *  - everything that was taken in is told of once more, as stored (then the object is in the store, whole) or as lost;
 *  - what waits is bounded; at the bound it goes as with readings: the oldest gives way, declared, or nothing more is taken;
 *  - one is taken in after another, so that events stand in the journal in the order in which they were offered here.
 */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { encodeEvent } from "../../events/codec.ts";
import type { LargePayload, Stamp } from "../../events/schema.ts";
import { pause, systemTimers, type Timers } from "../../time/timers.ts";
import {
  BufferError,
  type DurableBuffer,
  type FullPolicy,
  type Note,
  type Waiter,
} from "../buffer/port.ts";
import { contentTypeOf } from "./content-type.core.ts";
import { objectKey } from "./keys.core.ts";
import type { ObjectStore, Pace, PayloadFiles } from "./port.ts";
import { Uploader } from "./uploader.ts";
import { type WaitingPayload, WaitingPayloads } from "./waiting.ts";

export interface PayloadsOptions {
  readonly gateway: string;
  readonly buffer: DurableBuffer;
  readonly files: PayloadFiles;
  readonly store: ObjectStore;
  readonly stamp: () => Stamp;
  readonly capacityBytes: number;
  readonly policy: FullPolicy;
  /** With less left on the disk nothing is added; 0 never looks. */
  readonly freeFloorBytes: number;
  readonly pace?: Pace | undefined;
  /** Default: the machine's. */
  readonly timers?: Timers;
  /** Default: chance. */
  readonly random?: (bytes: number) => Uint8Array;
  readonly logger: Logger;
}

/** A message whose payload is to be kept whole. */
export interface IncomingPayload {
  readonly stamp: Stamp;
  readonly device: string;
  readonly topic: string;
  readonly client: string | undefined;
  /** Not changed until the waiter is told. */
  readonly payload: Buffer;
}

/** Who waits for it. */
export interface PayloadWaiter extends Waiter {
  /** Its event is in the buffer's queue: what comes behind it may be offered to the buffer. */
  queued?(): void;
}

export interface PayloadStats {
  /** That wait for the object store. */
  readonly waiting: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  readonly stored: number;
  readonly lost: { readonly full: number; readonly damage: number };
  readonly retries: number;
  /** Why none is taken in, or none goes out; undefined where all is well. */
  readonly trouble: string | undefined;
}

interface Offer {
  readonly incoming: IncomingPayload;
  readonly waiter: PayloadWaiter;
  readonly notes: readonly Note[];
}

/** Between looks whether there is room again, or the disk writes again, ms. */
const ROOM_RETRY_MS = 1000;

export class Payloads {
  readonly #options: PayloadsOptions;
  readonly #timers: Timers;
  readonly #waiting: WaitingPayloads;
  readonly #uploader: Uploader;
  readonly #stopping = new AbortController();
  #offers: Offer[] = [];
  #isTaking = false;
  #taking: Promise<void> | undefined;
  #room: () => void = () => {};
  /** Why none is taken in. */
  #held: string | undefined;

  constructor(options: PayloadsOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    const { buffer, files, stamp, store, logger, pace, random = randomBytes } = options;
    const timers = this.#timers;
    this.#waiting = new WaitingPayloads({ buffer, files, stamp, timers, logger });
    this.#uploader = new Uploader({
      ...{ waiting: this.#waiting, files, store, timers, logger, random, pace },
    });
    this.#waiting.watch(() => {
      this.#uploader.wake();
      this.#room();
    });
  }

  /** The largest payload that is taken. */
  get maxBytes(): number {
    return Math.floor(this.#options.capacityBytes / 2);
  }

  /** Finds what waits. The buffer must be open; may be called again where it failed. */
  async load(): Promise<void> {
    await this.#waiting.load();
  }

  /** Begins to upload. */
  start(): void {
    this.#uploader.start();
  }

  /** What is being taken in is refused; the upload under way may end. To be called while the buffer is still open. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    this.#room();
    await Promise.all([this.#taking, this.#uploader.stop(deadlineMs)]);
  }

  stats(): PayloadStats {
    const { count, bytes, stored, lost } = this.#waiting;
    return {
      waiting: count,
      bytes,
      capacityBytes: this.#options.capacityBytes,
      stored,
      lost: { ...lost },
      retries: this.#uploader.retries,
      trouble: this.#held ?? this.#uploader.trouble,
    };
  }

  /** Takes one in, in the order of the calls. The waiter is told as by the buffer. */
  offer(incoming: IncomingPayload, waiter: PayloadWaiter, notes: readonly Note[] = []): void {
    this.#offers.push({ incoming, waiter, notes });
    if (this.#isTaking) return;
    this.#isTaking = true;
    this.#taking = this.#takeAll();
  }

  async #takeAll(): Promise<void> {
    // In a turn of its own, so that whoever offers is not told before the call has returned.
    await undefined;
    for (let offer = this.#offers.shift(); offer; offer = this.#offers.shift()) {
      const { waiter } = offer;
      if (!waiter.gone && !this.#stopping.signal.aborted) {
        await this.#take(offer);
        continue;
      }
      if (!waiter.gone) waiter.refused(new BufferError("closed", "the gateway is being stopped"));
    }
    this.#isTaking = false;
  }

  async #take(offer: Offer): Promise<void> {
    const { incoming, waiter, notes } = offer;
    const { files, buffer, random = randomBytes } = this.#options;
    const { length } = incoming.payload;
    const id = this.#waiting.ids.next(incoming.stamp.received, random(6));
    const wanted = () => waiter.gone !== true && !this.#stopping.signal.aborted;
    const describe = (sha256: string) => this.#describe(incoming, id, sha256);
    let event: LargePayload | undefined;
    while (wanted()) {
      if (!(await this.#hasRoom(length))) continue;
      this.#waiting.reserve(length);
      try {
        event = await files.write(id, incoming.payload, describe, wanted);
        break;
      } catch (error) {
        this.#waiting.release(length);
        await this.#wait(`a payload cannot be written: ${(error as Error).message}`);
      }
    }
    if (!event) {
      if (waiter.gone !== true) {
        waiter.refused(new BufferError("closed", "the gateway is being stopped"));
      }
      return;
    }
    this.#goes();
    const payload = { id, event, bytes: length, busy: false };
    const value = encodeEvent("tidegate.payload", event);
    buffer.offer(
      { type: "tidegate.payload", time: event.received, value },
      {
        // It is kept although nobody waits any more: that it is on its way to the disk cannot be taken back.
        stored: (sequence) => {
          this.#waiting.add(payload);
          if (!waiter.gone) waiter.stored(sequence);
        },
        refused: (error) => {
          void this.#waiting.findOut(payload, this.#stopping.signal);
          if (!waiter.gone) waiter.refused(error);
        },
      },
      [...notes, this.#waiting.note(id, event)],
    );
    waiter.queued?.();
  }

  #describe(incoming: IncomingPayload, id: string, sha256: string): LargePayload {
    const { gateway, store } = this.#options;
    const { stamp, device, topic, client, payload } = incoming;
    const { type, extension } = contentTypeOf(payload);
    const received = stamp.clock === "unsynced" ? undefined : stamp.received;
    const key = objectKey(gateway, id, received, extension);
    return {
      ...stamp,
      payload: id,
      device,
      topic,
      size: payload.length,
      sha256,
      ...(extension === ".bin" ? {} : { content_type: type }),
      ...(client === undefined ? {} : { client }),
      key,
      ref: store.refOf(key),
    };
  }

  /** Makes room as the policy says, or waits a while for it. */
  async #hasRoom(bytes: number): Promise<boolean> {
    const lack = await this.#lack(bytes);
    if (lack === undefined) return true;
    const oldest = this.#options.policy === "drop-oldest" && lack.helps ? this.#idle() : undefined;
    if (!oldest) {
      await this.#wait(`${lack.reason}: payloads are not acknowledged`);
      return false;
    }
    this.#tell(`${lack.reason}: the oldest give way and are declared lost`);
    oldest.busy = true;
    try {
      await this.#waiting.giveUp(oldest, "full", this.#stopping.signal);
    } catch (error) {
      oldest.busy = false;
      if (!this.#stopping.signal.aborted) await this.#wait((error as Error).message);
    }
    return false;
  }

  /** The oldest that nobody is uploading. */
  #idle(): WaitingPayload | undefined {
    for (const payload of this.#waiting.all()) if (!payload.busy) return payload;
    return undefined;
  }

  /** What room for so much is lacking, and whether it helps that others give way. */
  async #lack(bytes: number): Promise<{ reason: string; helps: boolean } | undefined> {
    const { capacityBytes, freeFloorBytes, files } = this.#options;
    const { bytes: held } = this.#waiting;
    if (held + bytes > capacityBytes) {
      const reason = "as many payloads wait for the object store as may (payloads.capacity_bytes)";
      return { reason, helps: true };
    }
    if (freeFloorBytes === 0) return undefined;
    try {
      const free = await files.freeBytes();
      if (free - bytes >= freeFloorBytes) return undefined;
      const reason = `the disk has ${free} bytes left, and ${freeFloorBytes} are kept free (buffer.free_floor_bytes)`;
      return { reason, helps: free + held - bytes >= freeFloorBytes };
    } catch (error) {
      return { reason: `the disk cannot be asked: ${(error as Error).message}`, helps: false };
    }
  }

  #tell(reason: string): void {
    if (this.#held === undefined)
      this.#options.logger.warn({ reason }, "large payloads find no room");
    this.#held = reason;
  }

  #goes(): void {
    this.#held = undefined;
  }

  async #wait(reason: string): Promise<void> {
    this.#tell(reason);
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, over.signal]);
    this.#room = () => over.abort();
    await pause(this.#timers, ROOM_RETRY_MS, signal).catch(() => undefined);
    this.#room = () => {};
  }
}
