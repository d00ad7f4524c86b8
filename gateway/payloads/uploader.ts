/**
 * Brings the payloads that wait into the object store, one after another, oldest first, past the journal: no reading waits
 * for a picture, nor for a store that is away.
 *
 * A payload is uploaded again until the store has it; again is the same object under the same key. What its own digest says
 * is not what was taken in is looked for in the store, where an earlier try may have brought it, and else declared lost. One
 * that the store refuses is passed over for a while and holds up no other.
 */
import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { pause, type Timers } from "../../time/timers.ts";
import { BufferError } from "../buffer/port.ts";
import {
  type FoundPayload,
  type ObjectStore,
  ObjectStoreError,
  type Pace,
  type PayloadFiles,
} from "./port.ts";
import type { WaitingPayload, WaitingPayloads } from "./waiting.ts";

export interface UploaderOptions {
  readonly waiting: WaitingPayloads;
  readonly files: PayloadFiles;
  readonly store: ObjectStore;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly random: (bytes: number) => Uint8Array;
  readonly pace?: Pace | undefined;
}

/** Pause before a try that follows a failed one, ms: doubled up to the most, and spread so that a fleet does not knock at once. */
const RETRY_MS = { first: 1000, most: 60_000 } as const;
/** What the store refused is offered to it again after so long, ms. */
const REFUSED_MS = 10 * 60_000;
/** A file that cannot be read is given up after so many tries: the disk may only have been slow to answer. */
const READ_TRIES = 3;

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #stopping = new AbortController();
  #ending = false;
  #running: Promise<void> | undefined;
  #wake: () => void = () => {};
  readonly #notBefore = new Map<string, number>();
  readonly #readFailures = new Map<string, number>();
  /** Why nothing goes out; undefined while it does. */
  trouble: string | undefined;
  #told: string | undefined;
  retries = 0;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the upload under way, or the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    const { timers } = this.#options;
    this.#ending = true;
    this.#wake();
    const deadline = timers.setTimeout(() => this.#stopping.abort(), deadlineMs);
    await this.#running;
    timers.clear(deadline);
    this.#stopping.abort();
  }

  /** There may be something to do. */
  wake(): void {
    this.#wake();
  }

  async #run(): Promise<void> {
    const { timers, logger, random } = this.#options;
    for (let failures = 0; !this.#ending; ) {
      const payload = this.#next();
      if (!payload) {
        await this.#idle();
        continue;
      }
      payload.busy = true;
      try {
        await this.#bring(payload);
        failures = 0;
        this.#recovered();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        if (error instanceof BufferError) return;
        payload.busy = false;
        this.retries += 1;
        if (error instanceof ObjectStoreError && error.code === "refused") {
          this.#notBefore.set(payload.id, timers.now() + REFUSED_MS);
          logger.error(
            { payload: payload.id, reason: error.message },
            "the object store refuses a payload",
          );
          continue;
        }
        this.#failed(error as Error);
        const wait = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** failures);
        failures += 1;
        if (this.#ending) return;
        const { signal } = this.#stopping;
        await pause(timers, wait * (1 + (random(1)[0] ?? 0) / 1024), signal).catch(() => undefined);
      }
    }
  }

  #next(): WaitingPayload | undefined {
    const now = this.#options.timers.now();
    for (const payload of this.#options.waiting.all()) {
      const { id, busy } = payload;
      if (!busy && (this.#notBefore.get(id) ?? 0) <= now) return payload;
    }
    return undefined;
  }

  #idle(): Promise<void> {
    const { timers } = this.#options;
    return new Promise((resolve) => {
      const timer =
        this.#notBefore.size > 0 ? timers.setTimeout(() => this.#wake(), REFUSED_MS) : undefined;
      timer?.unref?.();
      this.#wake = () => {
        timers.clear(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }

  async #bring(payload: WaitingPayload): Promise<void> {
    const { waiting, store, pace } = this.#options;
    const { signal } = this.#stopping;
    const found = await this.#read(payload);
    const event = payload.event ?? found?.event;
    // Behind it stands what only the event could have told.
    const bytes = found?.bytes.subarray(0, event?.size);
    if (event && bytes && digestOf(bytes) === event.sha256) {
      const { key, sha256, content_type: contentType } = event;
      await store.put({ key, sha256, contentType, bytes }, signal, pace);
    } else if (!event || !(await this.#storeHas(event.key, event.sha256))) {
      const { id } = payload;
      const reason = found ? "is not what was taken in" : "is gone from the disk";
      this.#options.logger.error(
        { payload: id, device: event?.device },
        `a payload ${reason}: it is declared lost`,
      );
      await waiting.giveUp(payload, "damage", signal);
      this.#forget(id);
      return;
    }
    await waiting.settle(payload, event, store.refOf(event.key), signal);
    this.#forget(payload.id);
  }

  async #read({ id }: WaitingPayload): Promise<FoundPayload | undefined> {
    try {
      return await this.#options.files.read(id);
    } catch (error) {
      const failures = (this.#readFailures.get(id) ?? 0) + 1;
      this.#readFailures.set(id, failures);
      if (failures < READ_TRIES) throw error;
      return undefined;
    }
  }

  async #storeHas(key: string, sha256: string): Promise<boolean> {
    const bytes = await this.#options.store.get(key, this.#stopping.signal);
    return bytes !== undefined && digestOf(bytes) === sha256;
  }

  #forget(id: string): void {
    this.#notBefore.delete(id);
    this.#readFailures.delete(id);
  }

  #failed(error: Error): void {
    this.trouble = error.message;
    if (this.#told === error.message) return;
    this.#told = error.message;
    this.#options.logger.warn(
      { reason: error.message },
      "large payloads wait: readings go on, and these follow when the object store takes them",
    );
  }

  #recovered(): void {
    this.trouble = undefined;
    if (this.#told === undefined) return;
    this.#told = undefined;
    this.#options.logger.info("the object store takes payloads again");
  }
}

export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
