/** What each program needs of Kafka: its topics as they have to be, and the least rights that it works with. */
import { cloudTopicSpecs, cloudTopologies } from "../cloud/topics.ts";
import { topicNames } from "../events/topics.ts";
import type { ApiName, Operation } from "../stream/kafka/admin-requests.ts";
import { groupIdOf } from "../stream/kafka/kafka-processor.ts";
import { journalTopicSpecs } from "../stream/topic-specs.ts";
import type { Role } from "./doctor.core.ts";
import type { PROGRAMS, ProgramSettings } from "./programs.ts";

export type RoleName = (typeof PROGRAMS)[number];

const WRITING = ["metadata", "initProducerId", "produce"] as const;
const READING = ["metadata", "listOffsets", "fetch"] as const;
const PROCESSING = [
  ...["findCoordinator", "joinGroup", "syncGroup", "heartbeat", "offsetFetch"],
  ...["addPartitionsToTxn", "addOffsetsToTxn", "txnOffsetCommit", "endTxn"],
] as readonly ApiName[];

/** Requests that it sends in its daily work. */
export const REQUESTS: Readonly<Record<RoleName, readonly ApiName[]>> = {
  gateway: WRITING,
  cloud: [...new Set([...WRITING, ...READING, ...PROCESSING])],
  dashboard: READING,
  start: [...new Set([...WRITING, ...READING, ...PROCESSING])],
};

export function roleOf<R extends RoleName>(name: R, settings: ProgramSettings[R]): Role {
  switch (name) {
    case "gateway":
      return gatewayRole(settings);
    case "cloud":
      return cloudRole(settings as ProgramSettings["cloud"]);
    case "dashboard":
      return dashboardRole(settings);
    default: {
      const whole = settings as ProgramSettings["start"];
      const cloud = cloudRole(whole);
      const parts = [cloud, gatewayRole(whole), dashboardRole(whole)];
      return { ...cloud, rights: merged(parts.flatMap(({ rights }) => rights)) };
    }
  }
}

type Common = Pick<ProgramSettings["gateway"], "namespace" | "topics">;

function gatewayRole({ namespace, topics }: Common): Role {
  const specs = journalTopicSpecs(namespace, topics);
  const rights = specs.map(({ name }) => ({ topic: name, operations: ["Write"] as const }));
  return { specs, rights, groups: [], transactionalIds: [], exact: true };
}

function cloudRole(settings: ProgramSettings["cloud"]): Role {
  const { namespace, topics } = settings;
  const topologies = cloudTopologies(namespace, settings, []);
  const reads = topologies.flatMap(({ inputs, changelog }) => [...inputs, changelog]);
  const writes = topologies.flatMap(({ inputs, outputs, changelog, tickMs }) => [
    ...outputs.map(({ topic }) => topic),
    changelog,
    // Ticks stand in the first input.
    ...(tickMs === undefined ? [] : inputs.slice(0, 1)),
  ]);
  const groups = topologies.map(groupIdOf);
  return {
    specs: cloudTopicSpecs(namespace, topics, settings),
    rights: merged([
      ...reads.map((topic) => ({ topic, operations: ["Read"] as const })),
      ...writes.map((topic) => ({ topic, operations: ["Write"] as const })),
    ]),
    groups,
    // One for each partition; they have one prefix, and so one rule.
    transactionalIds: groups.map((group) => `${group}-0`),
    exact: false,
  };
}

/** It reads; the topics are made by gateways and the cloud, whose settings it does not have. */
function dashboardRole({ namespace }: Common): Role {
  const names = topicNames(namespace);
  const { events, status, rollups, devices, alerts, alertState, ledger } = names;
  const topics = [events, status, rollups, devices, alerts, alertState, ledger];
  const rights = topics.map((topic) => ({ topic, operations: ["Read"] as const }));
  return { specs: [], rights, groups: [], transactionalIds: [], exact: false };
}

function merged(rights: Role["rights"]): Role["rights"] {
  return [...Map.groupBy(rights, ({ topic }) => topic)].map(([topic, of]) => ({
    topic,
    operations: [...new Set<Operation>(of.flatMap(({ operations }) => operations))],
  }));
}
