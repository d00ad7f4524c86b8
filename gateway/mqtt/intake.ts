/**
 * From a published message to a durable event: decode, encode, offer to the buffer.
 *
 * Every message on an ingest route becomes exactly one event of the journal: a reading, a large payload or a rejected one.
 * Who offers it is told when that event is on disk, and what it promises too, and only then acknowledges it.
 */
import { encodeEvent } from "../../events/codec.ts";
import { MAX_EVENT_BYTES, MAX_REJECTED_PAYLOAD_BYTES } from "../../events/limits.ts";
import type { RejectedPayload, Stamp } from "../../events/schema.ts";
import { systemTimers, type Timers } from "../../time/timers.ts";
import type { BufferError, DurableBuffer, Note, Waiter } from "../buffer/port.ts";
import type { Payloads } from "../payloads/payloads.ts";
import { decodePayload, isFault } from "./decode.core.ts";
import { ReadingWriter } from "./reading-writer.core.ts";
import type { BadRoute, Route } from "./routes.ts";

/** Who waits for a message's event. The intake writes down what became of the message, to count it once it is stored. */
export interface Offered extends Waiter {
  /** Metrics of the reading; 0 where it became none. */
  metrics: number;
  /** Why it became no reading. */
  rejection: string | undefined;
  /** It became a large payload, whose bytes go to the disk before its event is offered to the buffer. */
  isLarge?: boolean;
  /** Its event is in the buffer's queue. Called only of a large payload, and not before offer() has returned. */
  queued?(): void;
}

export interface IntakeStats {
  readings: number;
  metrics: number;
  /** Large payloads. */
  payloads: number;
  /** Rejected payloads by reason. */
  readonly rejected: Record<string, number>;
  /** Messages that no route matches, carried as ordinary MQTT. */
  unmatched: number;
  /** Messages that the buffer would not take and that were not acknowledged, by the buffer's reason. */
  readonly refused: Record<string, number>;
}

export interface IntakeOptions {
  readonly buffer: DurableBuffer;
  /** The moment, as the gateway's clock has it. */
  readonly stamp: () => Stamp;
  /** Default: the machine's. */
  readonly timers?: Timers;
  /** Larger payloads are rejected unread. */
  readonly maxPayloadBytes: number;
  /** Where large payloads go; without it there are none. */
  readonly payloads?: Payloads;
  /** Larger payloads are not decoded, but kept as they are. Default: as many as are taken. */
  readonly payloadsOverBytes?: number;
}

export class Intake {
  readonly stats: IntakeStats = {
    readings: 0,
    metrics: 0,
    payloads: 0,
    rejected: {},
    unmatched: 0,
    refused: {},
  };
  readonly buffer: DurableBuffer;
  readonly maxPayloadBytes: number;
  /** Larger payloads are large ones. */
  readonly decodedBytes: number;
  readonly #payloads: Payloads | undefined;
  readonly #now: () => Stamp;
  readonly #timers: Timers;
  readonly #writer = new ReadingWriter();
  #stamp: Stamp | undefined;
  readonly #forgetStamp = (): void => {
    this.#stamp = undefined;
  };

  constructor(options: IntakeOptions) {
    this.buffer = options.buffer;
    this.#payloads = options.payloads;
    const { maxPayloadBytes, payloadsOverBytes = maxPayloadBytes } = options;
    this.decodedBytes = Math.min(maxPayloadBytes, payloadsOverBytes);
    this.maxPayloadBytes = Math.min(
      maxPayloadBytes,
      Math.max(this.decodedBytes, this.#payloads?.maxBytes ?? 0),
    );
    this.#now = options.stamp;
    this.#timers = options.timers ?? systemTimers;
  }

  /**
   * Puts a message into the journal's queue, in the order of the calls.
   * @param payload read before this returns, and kept only of a large one, until the waiter is told
   * @param client MQTT client id; undefined for a will whose client is gone
   * @param notes to be kept in the event's own commit
   */
  offer(
    topic: string,
    route: Route | BadRoute,
    payload: Buffer,
    client: string | undefined,
    waiter: Offered,
    notes?: readonly Note[],
  ): void {
    const stamp = this.#stampOfTurn();
    if ("code" in route) {
      this.#reject(topic, payload, client, route.code, route.message, waiter, notes);
      return;
    }
    if (payload.length > this.maxPayloadBytes) {
      const reason = `the payload has ${payload.length} bytes, ${this.maxPayloadBytes} at most are taken`;
      this.#reject(topic, payload, client, "too_large", reason, waiter, notes);
      return;
    }
    if (this.#payloads && (route.isRaw === true || payload.length > this.decodedBytes)) {
      this.#keep(this.#payloads, topic, route, payload, client, waiter, notes);
      return;
    }
    const decoded = decodePayload(route, payload);
    if (isFault(decoded)) {
      this.#reject(topic, payload, client, decoded.code, decoded.message, waiter, notes);
      return;
    }
    const { metrics, time } = decoded;
    const value = this.#writer.write(stamp, route.device, metrics, time);
    if (value.length > MAX_EVENT_BYTES) {
      const reason = `the reading has ${value.length} bytes, an event at most ${MAX_EVENT_BYTES}`;
      this.#reject(topic, payload, client, "too_large", reason, waiter, notes);
      return;
    }
    waiter.metrics = this.#writer.metricCount;
    waiter.rejection = undefined;
    this.buffer.offer(
      { type: "tidegate.reading", time: time ?? stamp.received, value },
      waiter,
      notes,
    );
  }

  #keep(
    payloads: Payloads,
    topic: string,
    { device }: Route,
    payload: Buffer,
    client: string | undefined,
    waiter: Offered,
    notes: readonly Note[] | undefined,
  ): void {
    waiter.metrics = 0;
    waiter.rejection = undefined;
    waiter.isLarge = true;
    const stamp = this.#stampOfTurn();
    payloads.offer({ stamp, device, topic, client, payload }, waiter, notes);
  }

  /** Counts what is on disk now. */
  stored({ metrics, rejection, isLarge }: Offered): void {
    if (isLarge === true) this.stats.payloads += 1;
    else if (rejection === undefined) {
      this.stats.readings += 1;
      this.stats.metrics += metrics;
    } else this.stats.rejected[rejection] = (this.stats.rejected[rejection] ?? 0) + 1;
  }

  refused({ code }: BufferError): void {
    this.stats.refused[code] = (this.stats.refused[code] ?? 0) + 1;
  }

  #reject(
    topic: string,
    payload: Buffer,
    client: string | undefined,
    code: string,
    reason: string,
    waiter: Offered,
    notes: readonly Note[] | undefined,
  ): void {
    const stamp = this.#stampOfTurn();
    const event: RejectedPayload = {
      ...stamp,
      topic,
      payload: payload.subarray(0, MAX_REJECTED_PAYLOAD_BYTES),
      size: payload.length,
      code,
      // What it quotes of a payload may end within a character.
      message: reason.toWellFormed(),
      ...(client === undefined ? {} : { client }),
    };
    const value = encodeEvent("tidegate.rejected-payload", event);
    waiter.metrics = 0;
    waiter.rejection = code;
    this.buffer.offer(
      { type: "tidegate.rejected-payload", time: stamp.received, value },
      waiter,
      notes,
    );
  }

  /**
   * One stamp for everything that one turn of the event loop takes in: asking two clocks and encoding the answer costs
   * as much as decoding a reading, and a turn is shorter than what the clocks of devices agree to.
   */
  #stampOfTurn(): Stamp {
    if (this.#stamp === undefined) {
      this.#stamp = this.#now();
      this.#timers.setImmediate(this.#forgetStamp);
    }
    return this.#stamp;
  }
}
