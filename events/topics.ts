/**
 * Topic names: `<namespace>.<entity>.v<major>`. The namespace separates tenants on one broker.
 * What each topic holds is told in docs/events.md, and for programs in TOPIC_CONTRACTS.
 */
import type { EventType } from "./schema.ts";

export const NAMESPACE_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$";

export interface TopicNames {
  /** Journals of all gateways, keyed by gateway. */
  readonly events: string;
  /** What each gateway says of itself now, keyed by gateway, compacted. */
  readonly status: string;
  /** Each reading once, keyed by device; only where it is turned on. */
  readonly readings: string;
  /** One aggregate for each series, resolution and window, compacted. */
  readonly rollups: string;
  /** Each state change of each alert. */
  readonly alerts: string;
  /** The alerts as they are, compacted. */
  readonly alertState: string;
  /** Last values and last seen of each device, compacted. */
  readonly devices: string;
  /** Received and missing ranges of each gateway's epochs, compacted. */
  readonly ledger: string;
  /** Records that the processors could not read. */
  readonly rejected: string;
}

export function topicNames(namespace: string): TopicNames {
  const name = (entity: string) => `${namespace}.${entity}.v1`;
  return {
    events: name("events"),
    status: name("status"),
    readings: name("readings"),
    rollups: name("rollups"),
    alerts: name("alerts"),
    alertState: name("alert-state"),
    devices: name("devices"),
    ledger: name("ledger"),
    rejected: name("rejected"),
  };
}

/** Where a topology keeps its state, partition by partition beside its input. */
export function changelogTopic(namespace: string, topology: string): string {
  return `${namespace}.${topology}-changelog.v1`;
}

export interface TopicContract {
  /** Of what the records' keys are made. */
  readonly key: string;
  /** Every `ce_type` that stands in it; within version 1 it may gain some. */
  readonly types: readonly EventType[];
}

/** What may be relied on of each topic. */
export const TOPIC_CONTRACTS: Readonly<Record<keyof TopicNames, TopicContract>> = {
  events: {
    key: "gateway; of a tick none",
    types: [
      "tidegate.reading",
      "tidegate.heartbeat",
      "tidegate.epoch",
      "tidegate.loss",
      "tidegate.rejected-payload",
      "tidegate.clock",
      "tidegate.payload",
      "tidegate.payload-stored",
      "tidegate.payload-lost",
      "tidegate.tick",
    ],
  },
  status: { key: "gateway", types: ["tidegate.gateway-status"] },
  readings: { key: "gateway/device", types: ["tidegate.device-reading"] },
  rollups: { key: "gateway/device/metric/resolution/window", types: ["tidegate.rollup"] },
  alerts: { key: "alert", types: ["tidegate.alert"] },
  alertState: { key: "alert", types: ["tidegate.alert"] },
  devices: { key: "gateway/device", types: ["tidegate.device"] },
  ledger: { key: "gateway/epoch", types: ["tidegate.ledger"] },
  rejected: { key: "source topic/partition", types: ["tidegate.rejected-record"] },
};
