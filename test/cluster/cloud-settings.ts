/** How the cloud of a cluster run is set: everything that a processor can do is on. */
import type { CloudSettings } from "../../cloud/config.ts";
import type { KeepHours } from "../../simulator/oracle-rollups.ts";
import type { TopicSettings } from "../../stream/topic-specs.ts";

const MINUTE_KEEP_DAYS = 7;
const HOUR_KEEP_DAYS = 400;

export const KEEP_HOURS: KeepHours = { "1m": MINUTE_KEEP_DAYS * 24, "1h": HOUR_KEEP_DAYS * 24 };

export const CLOUD_SETTINGS: CloudSettings = {
  rollups: { minute_keep_days: MINUTE_KEEP_DAYS, hour_keep_days: HOUR_KEEP_DAYS },
  readings: { enabled: true, retention_days: 30 },
  alert_retention_days: 30,
  rejected_retention_days: 30,
  read_model: { raw_keep_days: 1, raw_max_bytes: 1024 ** 2, alert_history_max: 100 },
};

/** Every topic on each of the three, and two must have what is acknowledged. */
export const REPLICAS = { replicationFactor: 3, minInsyncReplicas: 2 } as const;

export function topicSettings(partitions: number): TopicSettings {
  return { partitions, events_retention_days: 30 };
}
