/**
 * All topics of the cloud as they are to be created, and the topologies over them: what a namespace and the settings
 * come to. Outputs and changelogs have the partitions of their inputs.
 */
import { changelogTopic, topicNames } from "../events/topics.ts";
import type { Rule } from "../rules/rule.ts";
import { rulesVersion } from "../rules/version.ts";
import type { TopicSpec, Topology } from "../stream/port.ts";
import { journalTopicSpecs, type TopicSettings } from "../stream/topic-specs.ts";
import { type AlertOptions, alertTopology } from "./alerts.core.ts";
import type { CloudSettings } from "./config.ts";
import { deviceTopology } from "./devices.core.ts";
import { guarded } from "./guarded.core.ts";
import { ledgerTopology } from "./ledger.core.ts";
import { readingsTopology } from "./readings.core.ts";
import { rollupTopology } from "./rollups.core.ts";

const DAY_MS = 86_400_000;
const DAY_HOURS = 24;

/** Those that always run. */
export const TOPOLOGY_NAMES = ["ledger", "rollups", "devices", "alerts"] as const;
/** Runs where it is turned on. */
const READINGS = "readings";

export function alertOptions(namespace: string, rules: readonly Rule[]): AlertOptions {
  const { events, alerts, alertState, rejected } = topicNames(namespace);
  const changelog = changelogTopic(namespace, "alerts");
  return { events, alerts, alertState, rejected, changelog, rules, version: rulesVersion(rules) };
}

/** How far behind a series' newest reading its windows are kept. */
export function keepHoursOf({ rollups }: Pick<CloudSettings, "rollups">) {
  return {
    "1m": rollups.minute_keep_days * DAY_HOURS,
    "1h": rollups.hour_keep_days * DAY_HOURS,
  };
}

export function cloudTopologies(
  namespace: string,
  settings: Pick<CloudSettings, "rollups" | "readings">,
  rules: readonly Rule[],
): readonly Topology[] {
  const { events, status, readings, ledger, rollups, devices, rejected } = topicNames(namespace);
  const changelog = (name: (typeof TOPOLOGY_NAMES)[number] | typeof READINGS) =>
    changelogTopic(namespace, name);
  const keepHours = keepHoursOf(settings);
  const topologies = [
    ledgerTopology({ events, status, ledger, rejected, changelog: changelog("ledger") }),
    rollupTopology({ events, rollups, rejected, changelog: changelog("rollups"), keepHours }),
    deviceTopology({ events, devices, changelog: changelog("devices") }),
    alertTopology(alertOptions(namespace, rules)),
    ...(settings.readings?.enabled
      ? [readingsTopology({ events, readings, changelog: changelog(READINGS) })]
      : []),
  ];
  return topologies.map((topology) => guarded(topology, rejected));
}

/** Every topic that the cloud reads or writes, those of the gateways included. */
export function cloudTopicSpecs(
  namespace: string,
  topics: TopicSettings,
  settings: CloudSettings,
): readonly TopicSpec[] {
  const names = topicNames(namespace);
  const { partitions } = topics;
  const compact = (name: string): TopicSpec => ({ name, partitions, cleanup: "compact" });
  const kept = (name: string, days: number): TopicSpec => ({
    name,
    partitions,
    cleanup: "delete",
    retentionMs: days * DAY_MS,
  });
  return [
    ...journalTopicSpecs(namespace, topics),
    // Windows that are no longer kept get a tombstone; the retention takes those of series that fell silent.
    {
      name: names.rollups,
      partitions,
      cleanup: "compact,delete",
      retentionMs: settings.rollups.hour_keep_days * DAY_MS,
    },
    kept(names.alerts, settings.alert_retention_days),
    compact(names.alertState),
    compact(names.devices),
    compact(names.ledger),
    kept(names.rejected, settings.rejected_retention_days),
    ...TOPOLOGY_NAMES.map((name) => compact(changelogTopic(namespace, name))),
    ...(settings.readings?.enabled
      ? [
          kept(names.readings, settings.readings.retention_days),
          compact(changelogTopic(namespace, READINGS)),
        ]
      : []),
  ];
}
