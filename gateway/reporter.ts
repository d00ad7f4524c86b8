/**
 * What a gateway says of itself: heartbeats into its journal, which prove that all accepted before has come, and its status
 * past any backlog straight to the log, which says what the link and the buffer are like.
 *
 * Neither is on the way of a reading: one that cannot be told is one that did not come, and its absence says so.
 */
import type { Logger } from "pino";
import { eventHeaders } from "../events/cloudevents.ts";
import { encodeEvent } from "../events/codec.ts";
import { type Epoch, eventId, type GatewayId, gatewaySource } from "../events/ids.ts";
import type { GatewayStatus } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import type { EventLog } from "../stream/port.ts";
import { systemTimers, type Timer, type Timers } from "../time/timers.ts";
import { BufferError, type DurableBuffer, type NewEvent } from "./buffer/port.ts";
import type { ClockWatch } from "./clock-watch.ts";
import type { IntakeStats } from "./mqtt/intake.ts";
import type { PayloadStats } from "./payloads/payloads.ts";
import { bufferStatus, type RoomWatch } from "./room-watch.ts";

export interface ReporterOptions {
  readonly gateway: GatewayId;
  /** Name of the hardware; undefined where it cannot be told from other. */
  readonly hardware?: string;
  /** Id that the data had on other hardware, where this may be a copy of it. */
  readonly copyOf?: string;
  readonly namespace: string;
  readonly version: string;
  readonly buffer: DurableBuffer;
  readonly watch: ClockWatch;
  readonly room: RoomWatch;
  readonly intake: { readonly stats: IntakeStats };
  /** Without it the status does not speak of large payloads. */
  readonly payloads?: { stats(): PayloadStats };
  readonly statusIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  readonly freeFloorBytes: number;
  /** Connected MQTT clients. */
  readonly clients: () => number;
  /** Default: the machine's. */
  readonly timers?: Timers;
  readonly logger: Logger;
}

/** From the first status to the second. */
const SECOND_STATUS_MS = 1000;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #timers: Timers;
  readonly #set = new Set<Timer>();
  /** When it was started, on the boot clock: the wall clock may be set afterwards. */
  readonly #startedUptime: number;
  #stopped = false;
  #heartbeatInFlight = false;
  #statusInFlight = false;
  #statusTold = true;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#startedUptime = options.watch.uptime();
  }

  /** Resolves when the first heartbeat is on disk, or could not be stored. */
  async start(): Promise<void> {
    const { room, statusIntervalMs, heartbeatIntervalMs } = this.#options;
    room.look();
    this.#every(statusIntervalMs, () => room.look());
    this.#every(heartbeatIntervalMs, () => void this.#heartbeat());
    await this.#heartbeat();
  }

  /** Resolves when the first status was sent, or could not be. */
  async reportTo(log: EventLog): Promise<void> {
    if (this.#stopped) return;
    this.#every(this.#options.statusIntervalMs, () => void this.#publishStatus(log));
    await this.#publishStatus(log);
    if (this.#stopped) return;
    // The first status tells of a backlog that is just being sent: a page should not show that for a whole interval.
    this.#set.add(this.#timers.setTimeout(() => void this.#publishStatus(log), SECOND_STATUS_MS));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#set) this.#timers.clear(timer);
    this.#set.clear();
  }

  #every(intervalMs: number, action: () => void): void {
    this.#set.add(this.#timers.setInterval(action, intervalMs));
  }

  async #heartbeat(): Promise<void> {
    // One that waits for the buffer says all that those behind it would.
    if (this.#stopped || this.#heartbeatInFlight) return;
    this.#heartbeatInFlight = true;
    const { buffer, watch, heartbeatIntervalMs: interval } = this.#options;
    const stamp = watch.stamp();
    const value = encodeEvent("tidegate.heartbeat", { ...stamp, interval });
    const event: NewEvent = { type: "tidegate.heartbeat", time: stamp.received, value };
    try {
      await buffer.append([event], { reserved: true });
    } catch (error) {
      // A heartbeat that cannot be stored is one that did not come, which is what its absence says.
      if (!(error instanceof BufferError)) throw error;
      this.#options.logger.warn({ reason: error.message }, "heartbeat not stored");
    } finally {
      this.#heartbeatInFlight = false;
    }
  }

  async #publishStatus(log: EventLog): Promise<void> {
    const { gateway, namespace, logger } = this.#options;
    // A status that waits for a log that is away is old news; one at a time is enough.
    if (this.#stopped || this.#statusInFlight) return;
    const status = this.status();
    // Before the store was opened for the first time there is nothing to say it of.
    if (!status) return;
    this.#statusInFlight = true;
    const id = `${eventId(status.epoch as Epoch, status.accepted)}-${status.time}`;
    const source = gatewaySource(gateway);
    try {
      await log.append(topicNames(namespace).status, [
        {
          key: status.gateway,
          headers: { ...eventHeaders("tidegate.gateway-status", id, source, status.time) },
          value: encodeEvent("tidegate.gateway-status", status),
        },
      ]);
      this.#statusTold = true;
    } catch (error) {
      if (this.#statusTold) logger.warn({ reason: (error as Error).message }, "status not sent");
      this.#statusTold = false;
    } finally {
      this.#statusInFlight = false;
    }
  }

  /** What the gateway says of itself now; undefined before its buffer could be opened for the first time. */
  status(): GatewayStatus | undefined {
    const { gateway, buffer, intake, payloads, room, watch, version, clients } = this.#options;
    const { hardware, copyOf } = this.#options;
    const stats = buffer.stats();
    if (stats.epoch === "" || stats.state === "closed") return undefined;
    const { hoursLeft } = room.room;
    return {
      gateway,
      time: watch.now(),
      epoch: stats.epoch,
      accepted: stats.accepted,
      forwarded: stats.released,
      buffered_bytes: stats.bytes,
      capacity_bytes: stats.capacityBytes,
      ...(hoursLeft === undefined ? {} : { hours_left: hoursLeft }),
      buffer: bufferStatus(stats, room.room, this.#options.freeFloorBytes),
      clients: clients(),
      rejected: Object.values(intake.stats.rejected).reduce((sum, count) => sum + count, 0),
      ...(hardware === undefined ? {} : { hardware }),
      ...(copyOf === undefined ? {} : { copy_of: copyOf }),
      ...(payloads ? { payloads: payloadStatus(payloads.stats()) } : {}),
      interval: this.#options.statusIntervalMs,
      clock: watch.status(),
      // By the boot clock: a clock that is set after the start moves both.
      started: watch.now() - Math.round(watch.uptime() - this.#startedUptime),
      version,
    };
  }
}

function payloadStatus(stats: PayloadStats): NonNullable<GatewayStatus["payloads"]> {
  const { waiting, bytes, capacityBytes, stored, lost, trouble } = stats;
  return {
    waiting,
    bytes,
    capacity_bytes: capacityBytes,
    stored,
    lost,
    ...(trouble === undefined ? {} : { trouble }),
  };
}
