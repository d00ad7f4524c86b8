/** A gateway's journal for tests: each call is the next event, as the record that a log would hold. */
import { eventHeaders } from "../../events/cloudevents.ts";
import { encodeEvent } from "../../events/codec.ts";
import { type Epoch, eventId, type GatewayId, gatewaySource } from "../../events/ids.ts";
import type { EventOf, EventType, MetricValue, Stamp } from "../../events/schema.ts";
import { topicNames } from "../../events/topics.ts";
import type { StoredRecord } from "../../stream/port.ts";

export const NAMES = topicNames("test");
/** A moment that is a whole hour: 2026-03-01T12:00:00Z. */
export const NOON = Date.UTC(2026, 2, 1, 12);

export class TestJournal {
  readonly gateway: GatewayId;
  readonly epoch: Epoch;
  sequence = 0;
  /** The gateway's clock: each event is `stepMs` after the one before. */
  now: number;
  readonly #stepMs: number;
  readonly #offsets: { next: number };

  /** @param offsets shared by the journals that stand in one partition */
  constructor(
    gateway = "gw-one",
    epoch = "0000000001",
    options: { now?: number; stepMs?: number; offsets?: { next: number } } = {},
  ) {
    this.gateway = gateway as GatewayId;
    this.epoch = epoch as Epoch;
    this.now = options.now ?? NOON;
    this.#stepMs = options.stepMs ?? 1000;
    this.#offsets = options.offsets ?? { next: 0 };
  }

  stamp(): Stamp {
    return { received: this.now, clock: "synced", boot: "boot-1", uptime: this.now - NOON };
  }

  reading(
    device: string,
    metrics: Record<string, MetricValue>,
    more: Partial<EventOf<"tidegate.reading">> & { sent?: number } = {},
  ): StoredRecord {
    const { sent, ...fields } = more;
    const event = { ...this.stamp(), device, metrics, ...fields };
    return this.event("tidegate.reading", event, sent);
  }

  heartbeat(more: Partial<EventOf<"tidegate.heartbeat">> = {}): StoredRecord {
    return this.event("tidegate.heartbeat", { ...this.stamp(), interval: 10_000, ...more });
  }

  /** Stands under its first sequence; the journal goes on after its last. */
  loss(to: number, from = this.sequence + 1): StoredRecord {
    const record = this.event("tidegate.loss", { ...this.stamp(), from, to, reason: "full" });
    this.sequence = Math.max(this.sequence, to);
    return record;
  }

  opening(
    previous?: { epoch: string; highest: number; gateway?: string },
    reason: EventOf<"tidegate.epoch">["reason"] = "first-start",
  ): StoredRecord {
    const event = { ...this.stamp(), reason, ...(previous ? { previous } : {}) };
    return this.event("tidegate.epoch", event);
  }

  /** Sequences that never reach the log. */
  skip(count: number): void {
    this.sequence += count;
  }

  event<T extends EventType>(type: T, event: EventOf<T>, sent = this.now): StoredRecord {
    return this.record(type, encodeEvent(type, event), sent);
  }

  record(type: string, value: Uint8Array | null, sent = this.now): StoredRecord {
    this.sequence += 1;
    const id = eventId(this.epoch, this.sequence);
    const source = gatewaySource(this.gateway);
    const headers = eventHeaders(type as EventType, id, source, this.now);
    this.now += this.#stepMs;
    return {
      topic: NAMES.events,
      partition: 0,
      offset: this.#offsets.next++,
      timestamp: sent,
      key: this.gateway,
      headers: { ...headers },
      value,
    };
  }
}

/** A status record, outside the journal. */
export function statusRecord(
  gateway: string,
  epoch: string,
  accepted: number,
  offset = 0,
): StoredRecord {
  const status: EventOf<"tidegate.gateway-status"> = {
    gateway,
    time: NOON,
    epoch,
    accepted,
    forwarded: 0,
    buffered_bytes: 0,
    capacity_bytes: 1024,
    clients: 0,
    interval: 5000,
    started: NOON,
    version: "0.1.0",
  };
  const id = `${epoch}-${accepted}-${NOON}`;
  return {
    topic: NAMES.status,
    partition: 0,
    offset,
    timestamp: NOON,
    key: gateway,
    headers: { ...eventHeaders("tidegate.gateway-status", id, `/gateways/${gateway}`, NOON) },
    value: encodeEvent("tidegate.gateway-status", status),
  };
}
