/** Records of a gateway's journal as the oracles take them, written by hand: each call is the next event. */
import type { EventOf, MetricValue } from "../../events/schema.ts";
import type { JournalRecord } from "../oracle-journal.ts";

/** 2026-03-01T12:00:00Z, a whole hour. */
export const NOON = Date.UTC(2026, 2, 1, 12);

export class HandJournal {
  readonly gateway: string;
  readonly epoch: string;
  sequence = 0;
  /** The gateway's clock, and the log's; each event is a second after the one before. */
  now = NOON;
  boot = "boot-1";
  bootedAt = NOON - 60_000;
  readonly #offsets: { next: number };

  constructor(gateway = "g", epoch = "000000000a", offsets: { next: number } = { next: 0 }) {
    this.gateway = gateway;
    this.epoch = epoch;
    this.#offsets = offsets;
  }

  stamp() {
    const uptime = this.now - this.bootedAt;
    return { received: this.now, clock: "synced" as const, boot: this.boot, uptime };
  }

  reading(
    device: string,
    metrics: Record<string, MetricValue>,
    more: Partial<EventOf<"tidegate.reading">> & { sent?: number } = {},
  ): JournalRecord {
    const { sent, ...fields } = more;
    return this.event("reading", { ...this.stamp(), device, metrics, ...fields }, sent);
  }

  heartbeat(more: { sent?: number } = {}): JournalRecord {
    return this.event("heartbeat", { ...this.stamp(), interval: 10_000 }, more.sent);
  }

  /** Stands under its last sequence; the journal goes on behind it. */
  loss(to: number, from = this.sequence + 1): JournalRecord {
    this.sequence = to - 1;
    return this.event("loss", { ...this.stamp(), from, to, reason: "full" });
  }

  opening(
    previous?: { epoch: string; highest: number; gateway?: string },
    reason: EventOf<"tidegate.epoch">["reason"] = "first-start",
  ): JournalRecord {
    return this.event("epoch", { ...this.stamp(), reason, ...(previous ? { previous } : {}) });
  }

  event(type: string, data: unknown, timestamp = this.now): JournalRecord {
    this.sequence += 1;
    this.now += 1000;
    const ce_type = `tidegate.${type}`;
    const ce_id = `${this.epoch}-${this.sequence}`;
    return {
      key: this.gateway,
      partition: 0,
      offset: this.#offsets.next++,
      timestamp,
      headers: { ce_type, ce_id, ce_source: `/gateways/${this.gateway}` },
      type: ce_type,
      data,
    };
  }
}

export function handStatus(
  gateway: string,
  epoch: string,
  accepted: number,
  more: { forwarded?: number; at?: number } = {},
): JournalRecord {
  const { forwarded = 0, at = NOON } = more;
  return {
    key: gateway,
    partition: 0,
    offset: 0,
    timestamp: at,
    headers: {},
    type: "tidegate.gateway-status",
    data: { gateway, epoch, accepted, forwarded, time: at },
  };
}
