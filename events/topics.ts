/**
 * Topic names: `<namespace>.<entity>.v<major>`. The namespace separates tenants on one broker.
 * What each topic holds is told in docs/events.md.
 */

export const NAMESPACE_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$";

export interface TopicNames {
  /** Journals of all gateways, keyed by gateway. */
  readonly events: string;
  /** What each gateway says of itself now, keyed by gateway, compacted. */
  readonly status: string;
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
