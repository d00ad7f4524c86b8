/** The topics of a run as they stand in Kafka, decoded for the judge. */
import { decodeEvent } from "../../events/codec.ts";
import type { DeviceReading, EventType } from "../../events/schema.ts";
import { topicNames } from "../../events/topics.ts";
import { decodeRecord } from "../../simulator/oracle-journal.ts";
import type { EventLog } from "../../stream/port.ts";
import type { ClusterView } from "./judge.core.ts";

export async function readView(log: EventLog, namespace: string): Promise<ClusterView> {
  const names = topicNames(namespace);
  const all = async <T>(topic: string, take: (record: Stored) => T): Promise<T[]> => {
    const found: T[] = [];
    for await (const record of log.read(topic)) found.push(take(record));
    return found;
  };
  const newest = async <Type extends EventType>(topic: string, type: Type) =>
    [...(await log.latest(topic)).values()].map(({ value }) => decoded(type, value));
  return {
    events: await all(names.events, (record) => decodeRecord(record)),
    readings: await all(names.readings, ({ key, headers, value }) => {
      const data: DeviceReading = decoded("tidegate.device-reading", value);
      return { key, headers, data };
    }),
    rollups: await newest(names.rollups, "tidegate.rollup"),
    alerts: await all(names.alerts, ({ value }) => decoded("tidegate.alert", value)),
    alertStates: await newest(names.alertState, "tidegate.alert"),
    ledger: await newest(names.ledger, "tidegate.ledger"),
    devices: await newest(names.devices, "tidegate.device"),
    rejected: await all(names.rejected, ({ value }) => decoded("tidegate.rejected-record", value)),
  };
}

type Stored = Parameters<typeof decodeRecord>[0];

function decoded<Type extends EventType>(type: Type, value: Uint8Array | null) {
  if (value === null) throw new Error(`a ${type} without a value`);
  return decodeEvent(type, value);
}
