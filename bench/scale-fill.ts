/** Topics as a fleet of gateways leaves them, for bench/scale.ts: journals with recorded readings, and a state of each gateway. */
import { createHash } from "node:crypto";
import { eventHeaders } from "../events/cloudevents.ts";
import { encodeEvent } from "../events/codec.ts";
import { eventId, type GatewayId, gatewaySource, makeEpoch } from "../events/ids.ts";
import { topicNames } from "../events/topics.ts";
import { freeze } from "../gateway/forwarder/freeze.core.ts";
import type { EventLog, LogRecord } from "../stream/port.ts";
import { RecordedDevices } from "./recorded-devices.ts";

export interface Fleet {
  readonly gateways: number;
  /** Of each gateway. */
  readonly devices: number;
  /** Of each device, a minute apart. */
  readonly readings: number;
}

const BEGUN = Date.UTC(2026, 2, 1, 12);
const MINUTE_MS = 60_000;
const RECORDS_AT_ONCE = 5000;
/** The one reading of the journal's events that comes first. */
const EPOCH_SEQUENCE = 1;

const gatewayName = (index: number) => `gw-${String(index).padStart(6, "0")}` as GatewayId;

/** Minute by minute, as it comes where all is well: all gateways in turn, each with one batch. */
export async function fillFleet(log: EventLog, namespace: string, fleet: Fleet): Promise<void> {
  const { events, status } = topicNames(namespace);
  const recorded = new RecordedDevices(fleet.gateways * fleet.devices);
  let waiting: LogRecord[] = [];
  const send = async (topic: string, records: readonly LogRecord[], last: boolean) => {
    waiting.push(...records);
    if (waiting.length === 0 || (waiting.length < RECORDS_AT_ONCE && !last)) return;
    await log.append(topic, waiting);
    waiting = [];
  };
  for (let step = 0; step < fleet.readings; step += 1) {
    for (let index = 0; index < fleet.gateways; index += 1) {
      await send(events, journalOf(events, fleet, index, step, recorded), false);
    }
    await send(events, [], true);
  }
  for (let index = 0; index < fleet.gateways; index += 1) {
    await send(status, [statusOf(fleet, index)], false);
  }
  await send(status, [], true);
}

function journalOf(
  topic: string,
  { devices }: Fleet,
  index: number,
  step: number,
  recorded: RecordedDevices,
): readonly LogRecord[] {
  const gateway = gatewayName(index);
  const epoch = epochOf(index);
  const received = BEGUN + step * MINUTE_MS;
  const boot = "6f2d1c80-0b4e-4b7e-9a43-1e7f3b1d2c3a";
  const stamp = { received, clock: "synced" as const, boot, uptime: step * MINUTE_MS };
  const first = EPOCH_SEQUENCE + 1 + step * devices;
  const readings = Array.from({ length: devices }, (_, at) => {
    const { json } = recorded.next();
    const device = `room-${String(at).padStart(3, "0")}`;
    const value = encodeEvent("tidegate.reading", { ...stamp, device, metrics: JSON.parse(json) });
    const sequence = first + at;
    const type = "tidegate.reading" as const;
    return { type, time: received, value, position: sequence, epoch, sequence };
  });
  const frozen = freeze({ gateway, topic }, readings, { offsetOf: () => undefined }).records;
  if (step > 0) return frozen;
  const begin = encodeEvent("tidegate.epoch", { ...stamp, reason: "first-start" });
  const id = eventId(epoch, EPOCH_SEQUENCE);
  const headers = { ...eventHeaders("tidegate.epoch", id, gatewaySource(gateway), received) };
  return [{ key: gateway, headers, value: begin }, ...frozen];
}

function epochOf(index: number) {
  return makeEpoch(createHash("sha256").update(String(index)).digest().subarray(0, 10));
}

function statusOf({ devices, readings }: Fleet, index: number): LogRecord {
  const gateway = gatewayName(index);
  const time = BEGUN + readings * MINUTE_MS;
  const sent = EPOCH_SEQUENCE + readings * devices;
  const value = encodeEvent("tidegate.gateway-status", {
    ...{ gateway, time, epoch: epochOf(index), accepted: sent, forwarded: sent },
    ...{ buffered_bytes: 0, capacity_bytes: 1024 ** 3, clients: devices, interval: 5000 },
    ...{ started: BEGUN, version: "bench" },
  });
  const source = gatewaySource(gateway);
  const headers = { ...eventHeaders("tidegate.gateway-status", `${time}`, source, time) };
  return { key: gateway, headers, value };
}
