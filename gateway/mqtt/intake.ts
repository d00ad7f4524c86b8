/**
 * From a published message to a durable event: route, decode, encode, append.
 *
 * Every message that a route matches becomes exactly one event of the journal, a reading or a rejected payload; its
 * promise resolves when that event is on disk, and the acknowledgement waits for it.
 */
import { encodeEvent } from "../../events/codec.ts";
import { MAX_EVENT_BYTES, MAX_REJECTED_PAYLOAD_BYTES } from "../../events/limits.ts";
import type { RejectedPayload, Stamp } from "../../events/schema.ts";
import type { DurableBuffer, NewEvent } from "../buffer/port.ts";
import { decodePayload, isFault } from "./decode.core.ts";
import { matchRoute } from "./routes.ts";

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** MQTT client id; undefined for a will whose client is gone. */
  readonly client?: string;
}

export interface IntakeStats {
  readings: number;
  metrics: number;
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
  /** Larger payloads are rejected unread. */
  readonly maxPayloadBytes: number;
}

export class Intake {
  readonly stats: IntakeStats = {
    readings: 0,
    metrics: 0,
    rejected: {},
    unmatched: 0,
    refused: {},
  };
  readonly #options: IntakeOptions;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /**
   * Takes a message into the journal.
   * @returns undefined where no route matches; else a promise that resolves once its event is on disk
   * @throws (rejects) BufferError where it is not, and must not be acknowledged
   */
  accept(message: Message): Promise<void> | undefined {
    const route = matchRoute(message.topic);
    if (route === undefined) {
      this.stats.unmatched += 1;
      return undefined;
    }
    if ("code" in route) return this.#reject(message, route.code, route.message);
    const { maxPayloadBytes } = this.#options;
    if (message.payload.length > maxPayloadBytes) {
      return this.#reject(
        message,
        "too_large",
        `the payload has ${message.payload.length} bytes, ${maxPayloadBytes} at most are taken`,
      );
    }
    const decoded = decodePayload(route, message.payload);
    if (isFault(decoded)) return this.#reject(message, decoded.code, decoded.message);
    const stamp = this.#options.stamp();
    const value = encodeEvent("tidegate.reading", {
      ...stamp,
      ...(decoded.time === undefined ? {} : { time: decoded.time, clock: "device" as const }),
      device: route.device,
      metrics: decoded.metrics,
    });
    if (value.length > MAX_EVENT_BYTES) {
      return this.#reject(
        message,
        "too_large",
        `the reading has ${value.length} bytes, an event at most ${MAX_EVENT_BYTES}`,
      );
    }
    const time = decoded.time ?? stamp.received;
    return this.#append({ type: "tidegate.reading", time, value }, () => {
      this.stats.readings += 1;
      this.stats.metrics += Object.keys(decoded.metrics).length;
    });
  }

  #reject(message: Message, code: string, reason: string): Promise<void> {
    const stamp = this.#options.stamp();
    const event: RejectedPayload = {
      ...stamp,
      topic: message.topic,
      payload: message.payload.subarray(0, MAX_REJECTED_PAYLOAD_BYTES),
      size: message.payload.length,
      code,
      // What it quotes of a payload may end within a character.
      message: reason.toWellFormed(),
      ...(message.client === undefined ? {} : { client: message.client }),
    };
    const value = encodeEvent("tidegate.rejected-payload", event);
    return this.#append({ type: "tidegate.rejected-payload", time: stamp.received, value }, () => {
      this.stats.rejected[code] = (this.stats.rejected[code] ?? 0) + 1;
    });
  }

  async #append(event: NewEvent, count: () => void): Promise<void> {
    try {
      await this.#options.buffer.append([event]);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
      this.stats.refused[code] = (this.stats.refused[code] ?? 0) + 1;
      throw error;
    }
    count();
  }
}
