/**
 * The payloads that wait for the object store: which they are, oldest first, and what they take of the disk.
 *
 * What waits is noted in the buffer, in the commit of the event that says that it was taken in, until the commit of the
 * event that says what became of it. So an event and what it promises come to the disk together, and leave together.
 *
 * A file without a note is of a message that was not acknowledged, and goes, as long as the buffer is as it was. Notes may be
 * lost by damage, though, and then the buffer begins a new epoch: the files that are there are taken up by what they say of
 * themselves. A note without a file is a payload that is lost, unless the object store has it.
 */
import type { Logger } from "pino";
import { decodeEvent, encodeEvent } from "../../events/codec.ts";
import type {
  LargePayload,
  PayloadLossReason,
  PayloadLost,
  PayloadStored,
  Stamp,
} from "../../events/schema.ts";
import { pause, type Timers } from "../../time/timers.ts";
import { BufferError, type DurableBuffer, type NewEvent, type Note } from "../buffer/port.ts";
import { PayloadIds } from "./keys.core.ts";
import type { PayloadFiles } from "./port.ts";

export interface WaitingPayload {
  readonly id: string;
  /** What was said of it; undefined where a salvage found the bytes and not what they are. */
  readonly event: LargePayload | undefined;
  readonly bytes: number;
  /** Somebody brings it to its end, whichever that is: no other may. */
  busy: boolean;
}

export interface WaitingOptions {
  readonly buffer: DurableBuffer;
  readonly files: PayloadFiles;
  readonly stamp: () => Stamp;
  readonly timers: Timers;
  readonly logger: Logger;
}

const NOTE = "payload/";
/** The epoch in which notes and files were last held against each other. */
const EPOCH_NOTE = "payload-epoch";
/** Between tries while the buffer is being reopened, ms. */
const BUFFER_RETRY_MS = 200;

export class WaitingPayloads {
  readonly ids = new PayloadIds();
  readonly #options: WaitingOptions;
  readonly #waiting = new Map<string, WaitingPayload>();
  #bytes = 0;
  stored = 0;
  readonly lost: Record<PayloadLossReason, number> = { full: 0, damage: 0 };
  #onChange: () => void = () => {};

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  /** Called when something waits more, or less. */
  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Of payloads that wait, and of those that are being taken in. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Oldest first. */
  all(): Iterable<WaitingPayload> {
    return this.#waiting.values();
  }

  /**
   * Finds what waits. The buffer must be open.
   * @throws BufferError, or what the disk says
   */
  async load(): Promise<void> {
    const { buffer, files, logger } = this.#options;
    const there = new Set(await files.open());
    const noted = await buffer.noted(NOTE);
    const [checked] = await buffer.noted(EPOCH_NOTE);
    const { epoch } = buffer.stats();
    // A store that was lost whole has lost this too.
    const isDamaged = checked === undefined || Buffer.from(checked[1]).toString() !== epoch;
    const found = new Map<string, LargePayload | undefined>();
    for (const [key, value] of noted) found.set(key.slice(NOTE.length), eventOf(value));
    const notes: Note[] = [];
    for (const id of there) {
      if (found.has(id)) continue;
      if (!isDamaged) {
        await files.remove(id);
        continue;
      }
      const event = (await files.read(id).catch(() => undefined))?.event;
      found.set(id, event);
      notes.push(this.note(id, event));
      logger.warn(
        { payload: id },
        "a payload of which the damaged buffer knew nothing is taken up",
      );
    }
    if (isDamaged) {
      await buffer.note([...notes, { key: EPOCH_NOTE, value: Buffer.from(epoch) }]);
    }
    this.#waiting.clear();
    this.#bytes = 0;
    for (const id of [...found.keys()].sort()) {
      const event = found.get(id);
      this.ids.seen(id);
      this.reserve(event?.size ?? 0);
      this.add({ id, event, bytes: event?.size ?? 0, busy: false });
    }
  }

  /** To be kept with the event that tells of a payload. */
  note(id: string, event: LargePayload | undefined): Note {
    const value = event ? encodeEvent("tidegate.payload", event) : new Uint8Array();
    return { key: NOTE + id, value };
  }

  /** Room for what is about to be written. */
  reserve(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Of what was not written after all, or is gone. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    this.#onChange();
  }

  /** Its event is on the disk, and its room reserved. */
  add(payload: WaitingPayload): void {
    this.#waiting.set(payload.id, payload);
    this.#onChange();
  }

  /**
   * The buffer would not take its event, or cannot say whether it has: what is noted with the event tells that, once the
   * buffer can be asked.
   */
  async findOut(payload: WaitingPayload, signal: AbortSignal): Promise<void> {
    const { buffer, files, timers } = this.#options;
    while (!signal.aborted) {
      try {
        const [note] = await buffer.noted(NOTE + payload.id);
        if (note) this.add(payload);
        else {
          await files.remove(payload.id);
          this.release(payload.bytes);
        }
        return;
      } catch (error) {
        // Closed: the next start finds it out.
        if (error instanceof BufferError && error.code === "closed") return;
        await pause(timers, BUFFER_RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  /** The store has it, durably: says so, durably, and only then lets go of the file. */
  async settle(
    payload: WaitingPayload,
    event: LargePayload,
    ref: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { payload: id, device, topic, size, sha256, content_type, key } = event;
    const stamp = this.#options.stamp();
    const told: PayloadStored = {
      ...stamp,
      payload: id,
      ...{ device, topic, size, sha256 },
      ...(content_type === undefined ? {} : { content_type }),
      accepted: acceptedAt(event, stamp),
      ...{ key, ref },
    };
    const value = encodeEvent("tidegate.payload-stored", told);
    await this.#end(
      payload,
      { type: "tidegate.payload-stored", time: stamp.received, value },
      signal,
    );
    this.stored += 1;
  }

  /** Declares it lost, durably, and lets go of what there is of it. */
  async giveUp(
    payload: WaitingPayload,
    reason: PayloadLossReason,
    signal: AbortSignal,
  ): Promise<void> {
    const { event, id } = payload;
    const stamp = this.#options.stamp();
    const lost: PayloadLost = {
      ...stamp,
      payload: id,
      reason,
      ...(event && aboutLost(event, stamp)),
    };
    const value = encodeEvent("tidegate.payload-lost", lost);
    await this.#end(
      payload,
      { type: "tidegate.payload-lost", time: stamp.received, value },
      signal,
    );
    this.lost[reason] += 1;
  }

  async #end(payload: WaitingPayload, event: NewEvent, signal: AbortSignal): Promise<void> {
    const { buffer, files, timers, logger } = this.#options;
    const notes = [{ key: NOTE + payload.id, value: undefined }];
    for (;;) {
      try {
        await buffer.append([event], { reserved: true, notes });
        break;
      } catch (error) {
        if (!(error instanceof BufferError) || error.code === "closed") throw error;
        await pause(timers, BUFFER_RETRY_MS, signal);
      }
    }
    this.#waiting.delete(payload.id);
    try {
      await files.remove(payload.id);
    } catch (error) {
      // The next start removes it: nothing knows of it any more.
      logger.warn({ payload: payload.id, reason: (error as Error).message }, "a payload stays");
    }
    this.release(payload.bytes);
  }
}

function eventOf(value: Uint8Array): LargePayload | undefined {
  try {
    return decodeEvent("tidegate.payload", value);
  } catch {
    return undefined;
  }
}

function aboutLost(
  event: LargePayload,
  now: Stamp,
): Omit<PayloadLost, "payload" | "reason" | keyof Stamp> {
  const { device, topic, size, sha256 } = event;
  return { device, topic, size, sha256, accepted: acceptedAt(event, now) };
}

/** By the clock as it is known to be now, where it is still the same boot: it may have been wrong then. */
function acceptedAt(event: LargePayload, now: Stamp): number {
  if (event.boot !== now.boot || now.clock === "unsynced") return event.received;
  return Math.round(now.received - (now.uptime - event.uptime));
}
