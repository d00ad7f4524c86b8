/**
 * Devices as last heard: the newest value of each metric with its time, when the device was last seen, how many
 * readings it gave. Pure.
 *
 * A late reading changes only what it is newer in: a metric keeps its value until a newer one comes, whatever the
 * device's other metrics do. At the same time the later in the journal counts. Late is only what a device has given a
 * time: where the gateway has, the later in the journal is the newer, whatever its clock showed meanwhile.
 */
import { deviceKey } from "../events/ids.ts";
import { MAX_METRICS, MAX_NAME_LENGTH, MAX_TEXT_VALUE_LENGTH } from "../events/limits.ts";
import type { Device, PayloadStored } from "../events/schema.ts";
import type { StepResult, Topology } from "../stream/port.ts";
import {
  Fault,
  firstArrival,
  latestPossible,
  MAX_AHEAD_MS,
  readingTime,
  readValue,
} from "./journal.core.ts";

export interface DeviceOptions {
  readonly events: string;
  readonly devices: string;
  readonly changelog: string;
}

const NOTHING: StepResult = { state: [], outputs: [] };
/** Of the state's keys, before the device's own. */
const DEVICE = "device/";

export function deviceTopology(options: DeviceOptions): Topology {
  return {
    name: "devices",
    inputs: [options.events],
    outputs: [{ topic: options.devices, coalesce: true }],
    changelog: options.changelog,
    step(state, input) {
      const first = firstArrival(state, input);
      if (!first) return NOTHING;
      const { journal, seen } = first;
      const { record } = journal;
      if (journal.type === "tidegate.payload-stored") {
        const stored = readValue("tidegate.payload-stored", record);
        if (stored instanceof Fault) return { state: [seen], outputs: [] };
        const stateKey = `${DEVICE}${deviceKey(journal.gateway, stored.device)}`;
        const old = state.get(stateKey) as Device | undefined;
        // A clock that ran ahead when it was taken in does not outlast what was true when it was sent.
        const accepted = Math.min(stored.accepted, record.timestamp);
        const device = withPayload(old, journal.gateway, { ...stored, accepted });
        return { state: device ? [seen, [stateKey, device]] : [seen], outputs: [] };
      }
      if (journal.type !== "tidegate.reading") return { state: [seen], outputs: [] };
      const reading = readValue("tidegate.reading", record);
      if (reading instanceof Fault) return { state: [seen], outputs: [] };
      const key = deviceKey(journal.gateway, reading.device);
      const stateKey = `${DEVICE}${key}`;
      // A clock that runs ahead would make every true reading after it look late.
      const latest = latestPossible(reading, record);
      const known = Math.min(readingTime(reading, record), latest);
      const old = state.get(stateKey) as Device | undefined;
      const seenBefore = old?.last_seen ?? known;
      const ordered = reading.time === undefined;
      // Without any clock that was set, nothing is shown as earlier than what came before it.
      const unsynced = ordered && reading.clock === "unsynced";
      const time = unsynced ? Math.max(known, seenBefore) : known;
      const mistaken = ordered || seenBefore > latest + MAX_AHEAD_MS;
      const device: Device = {
        gateway: journal.gateway,
        device: reading.device,
        last_seen: mistaken ? time : Math.max(seenBefore, time),
        readings: (old?.readings ?? 0) + 1,
        metrics: newest(
          old?.metrics ?? {},
          reading.metrics,
          time,
          (before) => ordered || time >= before || before > latest + MAX_AHEAD_MS,
        ),
        ...(old?.payloads === undefined ? {} : { payloads: old.payloads }),
        ...(old?.payload === undefined ? {} : { payload: old.payload }),
      };
      return { state: [seen, [stateKey, device]], outputs: [] };
    },
    show({ key: stateKey, now }) {
      if (!stateKey.startsWith(DEVICE) || now === undefined) return [];
      const device = now as Device;
      const key = stateKey.slice(DEVICE.length);
      // Each change adds one reading or one payload, so their number is the revision.
      const id = `${key}@${device.readings + (device.payloads ?? 0)}`;
      const { devices: topic } = options;
      return [{ topic, key, type: "tidegate.device", id, time: device.last_seen, event: device }];
    },
  };
}

/** @returns undefined where it was told already: after damage a gateway may say it twice */
function withPayload(
  old: Device | undefined,
  gateway: string,
  stored: PayloadStored,
): Device | undefined {
  const { payload, accepted: time, topic, size, sha256, content_type, key, ref } = stored;
  if (old?.payload?.payload === payload) return undefined;
  const type = content_type === undefined ? {} : { content_type };
  const told = { payload, time, topic, size, sha256, ...type, key, ref };
  const before = old ?? {
    gateway,
    device: stored.device,
    last_seen: time,
    readings: 0,
    metrics: {},
  };
  return {
    ...before,
    // It was seen when it sent it, however long the upload took.
    last_seen: Math.max(before.last_seen, time),
    payloads: (old?.payloads ?? 0) + 1,
    payload: old?.payload && old.payload.time > time ? old.payload : told,
  };
}

function newest(
  old: Device["metrics"],
  values: Readonly<Record<string, Device["metrics"][string]["value"]>>,
  time: number,
  replaces: (before: number) => boolean,
): Device["metrics"] {
  const metrics = { ...old };
  for (const [name, value] of Object.entries(values)) {
    const before = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
    if (!before || replaces(before.time)) metrics[name] = { value, time };
  }
  return bounded(metrics);
}

/**
 * What the names and values of a device may take, in bytes: below the 1 MiB that either log takes as one record, with
 * room for as many numbers as a device may have. A larger one could never be committed, and its partition would stop.
 */
const MAX_DEVICE_BYTES = 512 * 1024;
/** Of one metric, beside its name and text: the map's keys, a number, the time. */
const METRIC_OVERHEAD = 32;
/** So many metrics fit whatever they hold (a UTF-16 unit is three bytes of UTF-8 at most), and need not be measured. */
const ALWAYS_FIT = Math.floor(
  MAX_DEVICE_BYTES / (3 * (MAX_NAME_LENGTH + MAX_TEXT_VALUE_LENGTH) + METRIC_OVERHEAD),
);

/** A device that makes up names for ever, or says long texts, keeps its most recent metrics. */
function bounded(metrics: Device["metrics"]): Device["metrics"] {
  const entries = Object.entries(metrics);
  if (entries.length <= ALWAYS_FIT) return metrics;
  const newestFirst = entries.sort(([, a], [, b]) => b.time - a.time);
  let room = MAX_DEVICE_BYTES;
  const kept = newestFirst.slice(0, MAX_METRICS).filter(([name, { value }]) => {
    room -= METRIC_OVERHEAD + Buffer.byteLength(name);
    if (typeof value === "string") room -= Buffer.byteLength(value);
    return room >= 0;
  });
  return kept.length === entries.length ? metrics : Object.fromEntries(kept);
}
