/**
 * The two topics that gateways write, as they are to be created. They stand here because gateways and the cloud meet
 * only in the log: whoever comes first creates them, and both have to mean the same.
 */
import Type, { type Static } from "typebox";
import { topicNames } from "../events/topics.ts";
import type { TopicSpec } from "./port.ts";

const DAY_MS = 86_400_000;

export const topicSettings = Type.Object(
  {
    partitions: Type.Integer({
      default: 6,
      minimum: 1,
      maximum: 1000,
      description:
        "Partitions of the events topic and what is processed from it: most processes that can share the work. Fixed once the topics exist; 1 is enough for the embedded log.",
    }),
    events_retention_days: Type.Integer({
      default: 90,
      minimum: 1,
      description:
        "How long the journals are kept, from the time of sending: what can be replayed and computed anew.",
    }),
    create: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          "Create topics that are missing in Kafka. What is there is left as it is: `tidegate doctor` says where it differs.",
      }),
    ),
    replication_factor: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 15,
        description:
          "Copies of each topic that is created in Kafka. Without it the brokers' `default.replication.factor`; 3 outlives the loss of a broker.",
      }),
    ),
    min_insync_replicas: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 15,
        description:
          "Copies that must have a record before it counts as written, of topics that are created in Kafka. Without it the brokers' `min.insync.replicas`; 2 of 3 loses nothing with one broker.",
      }),
    ),
  },
  { additionalProperties: false, default: {} },
);
export type TopicSettings = Static<typeof topicSettings>;

/** The topics of `telemetry.events.v1` and `telemetry.status.v1`. */
export function journalTopicSpecs(
  namespace: string,
  settings: TopicSettings,
): readonly TopicSpec[] {
  const names = topicNames(namespace);
  const { partitions } = settings;
  return [
    {
      name: names.events,
      partitions,
      cleanup: "delete",
      retentionMs: settings.events_retention_days * DAY_MS,
    },
    { name: names.status, partitions, cleanup: "compact" },
  ];
}
