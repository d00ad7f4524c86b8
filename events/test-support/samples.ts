/** One event of every type with all its members, and one with only those that it must have. */
import type { EventOf, EventType } from "../schema.ts";

type Samples = {
  readonly [T in EventType]: { readonly full: EventOf<T>; readonly least?: EventOf<T> };
};

const stamp = {
  received: 1_772_366_400_123,
  clock: "synced",
  boot: "7d9c1f0e-0000-4000-8000-000000000001",
  uptime: 86_400_000.25,
} as const;
const series = { gateway: "gw-1a2b3c4d", device: "freezer-1", metric: "temperature" } as const;

const payload = {
  payload: "019ca5f0cdfb1a2b3c4d5e6f",
  device: "door-camera",
  topic: "cameras/door-camera/image",
  size: 5_242_880,
  sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
} as const;

export const SAMPLES: Samples = {
  "tidegate.reading": {
    full: {
      ...stamp,
      clock: "device",
      device: "Kühlraum/1 ❄",
      metrics: { temperature: -12.5, open: false, mode: "auto", count: 42, big: 2 ** 40 },
      time: 1_772_366_399_000,
    },
    least: { ...stamp, device: "a", metrics: { value: 0 } },
  },
  "tidegate.heartbeat": { full: { ...stamp, interval: 10_000 } },
  "tidegate.epoch": {
    full: {
      ...stamp,
      reason: "moved",
      previous: { epoch: "0a1b2c3d4e", highest: 2 ** 33, gateway: "gw-0" },
    },
    least: { ...stamp, clock: "unsynced", received: 1500, reason: "first-start" },
  },
  "tidegate.loss": { full: { ...stamp, from: 7, to: 4_294_967_296, reason: "full" } },
  "tidegate.rejected-payload": {
    full: {
      ...stamp,
      topic: "sensors/freezer-1",
      payload: new Uint8Array([0x7b, 0x22, 0x00, 0xff]),
      size: 4,
      code: "not_json",
      message: "Unexpected token",
      client: "client-1",
    },
    least: {
      ...stamp,
      topic: "sensors/a",
      payload: new Uint8Array(),
      size: 0,
      code: "empty",
      message: "the payload is empty",
    },
  },
  "tidegate.clock": {
    full: {
      ...stamp,
      offset: 1_772_280_000_122.75,
      before: -99.5,
      reason: "stepped",
    },
    least: { ...stamp, offset: 1_772_280_000_122.75, reason: "synced" },
  },
  "tidegate.payload": {
    full: {
      ...stamp,
      ...payload,
      content_type: "image/jpeg",
      client: "client-1",
      key: "gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
      ref: "s3://pictures/gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
    },
    least: { ...stamp, ...payload, key: "a/b", ref: "file:///objects/a/b" },
  },
  "tidegate.payload-stored": {
    full: {
      ...stamp,
      ...payload,
      content_type: "image/jpeg",
      accepted: 1_772_366_398_000,
      key: "gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
      ref: "s3://pictures/gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
    },
    least: { ...stamp, ...payload, accepted: 0, key: "a/b", ref: "file:///objects/a/b" },
  },
  "tidegate.payload-lost": {
    full: { ...stamp, ...payload, reason: "full", accepted: 1_772_366_398_000 },
    least: { ...stamp, payload: "019ca5f0cdfb1a2b3c4d5e6f", reason: "damage" },
  },
  "tidegate.gateway-status": {
    full: {
      gateway: "gw-1a2b3c4d",
      time: 1_772_366_400_000,
      epoch: "0a1b2c3d4e",
      accepted: 1000,
      forwarded: 990,
      buffered_bytes: 1200,
      capacity_bytes: 1_073_741_824,
      hours_left: 71.25,
      buffer: {
        state: "recovering",
        policy: "drop-oldest",
        near_full: true,
        waiting: 10,
        trouble: "the disk is full",
        disk_bytes: 4_200_000,
        free_bytes: 9_000_000_000,
        floor_bytes: 134_217_728,
        lost: { full: 1204, damage: 0 },
        recoveries: 1,
      },
      rejected: 3,
      payloads: {
        waiting: 2,
        bytes: 10_485_760,
        capacity_bytes: 1_073_741_824,
        stored: 17,
        lost: { full: 1, damage: 0 },
        trouble: "the object store cannot be reached",
      },
      clock: { synced: true, off: -1_772_366_400_000 },
      clients: 12,
      hardware: "7m1v4c0dqz",
      copy_of: "gw-1a2b",
      interval: 5000,
      started: 1_772_366_000_000,
      version: "0.1.0",
    },
    least: {
      gateway: "gw-1a2b3c4d",
      time: 0,
      epoch: "0a1b2c3d4e",
      accepted: 0,
      forwarded: 0,
      buffered_bytes: 0,
      capacity_bytes: 1_073_741_824,
      clients: 0,
      interval: 5000,
      started: 0,
      version: "0.1.0",
    },
  },
  "tidegate.rollup": {
    full: {
      ...series,
      resolution: "1h",
      window: 1_772_366_400_000,
      count: 3600,
      min: -20.25,
      max: -12.5,
      sum: -60_000.75,
      revision: 3600,
    },
  },
  "tidegate.alert": {
    full: {
      ...series,
      alert: "warm@gw-1a2b3c4d/freezer-1/temperature",
      episode: "0a1b2c3d4e-17",
      rule: "warm",
      state: "resolved",
      severity: "critical",
      condition: "temperature above -15",
      threshold: -15,
      value: -19.25,
      since: 1_772_366_400_000,
      changed: 1_772_366_460_000,
      historical: false,
      fired: true,
      message: "freezer-1: temperature is -19.25, no longer above -15",
    },
    least: {
      ...series,
      alert: "warm@gw-1a2b3c4d/freezer-1/temperature",
      episode: "0a1b2c3d4e-17",
      rule: "warm",
      state: "firing",
      severity: "critical",
      condition: "temperature above -15",
      threshold: -15,
      value: -12.5,
      since: 1_772_366_400_000,
      changed: 1_772_366_460_000,
      historical: false,
      message: "freezer-1 is at -12.5, threshold -15",
    },
  },
  "tidegate.device": {
    full: {
      gateway: "gw-1a2b3c4d",
      device: "freezer-1",
      last_seen: 1_772_366_400_000,
      readings: 17,
      metrics: {
        temperature: { value: -12.5, time: 1_772_366_400_000 },
        open: { value: true, time: 1_772_366_300_000 },
        mode: { value: "auto", time: -1 },
      },
      payloads: 3,
      payload: {
        payload: payload.payload,
        time: 1_772_366_398_000,
        topic: payload.topic,
        size: payload.size,
        sha256: payload.sha256,
        content_type: "image/jpeg",
        key: "gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
        ref: "s3://pictures/gw-1a2b3c4d/2026-03-01/019ca5f0cdfb1a2b3c4d5e6f.jpg",
      },
    },
    least: { gateway: "g", device: "d", last_seen: 0, readings: 0, metrics: {} },
  },
  "tidegate.ledger": {
    full: {
      gateway: "gw-1a2b3c4d",
      epoch: "0a1b2c3d4e",
      received: [
        [1, 4],
        [7, 4_294_967_299],
      ],
      declared_lost: [[2, 3]],
      missing: [[5, 6]],
      duplicates: 9,
      accepted: 4_294_967_299,
      closed: true,
      first_received: 1_772_366_400_000,
      last_received: 1_772_366_500_000,
    },
    least: {
      gateway: "g",
      epoch: "0a1b2c3d4e",
      received: [],
      declared_lost: [],
      missing: [],
      duplicates: 0,
      accepted: 0,
    },
  },
  "tidegate.rejected-record": {
    full: {
      topology: "ledger",
      topic: "telemetry.events.v1",
      partition: 3,
      offset: 123_456,
      code: "not_cbor",
      message: "not CBOR: unexpected end",
      value: new Uint8Array([0xff]),
    },
    least: {
      topology: "rollups",
      topic: "telemetry.events.v1",
      partition: 0,
      offset: 0,
      code: "no_value",
      message: "the record has no value",
    },
  },
  "tidegate.device-reading": {
    full: {
      gateway: "gw-1a2b3c4d",
      device: "freezer-1",
      time: 1_772_366_399_000,
      clock: "device",
      metrics: { temperature: -12.5, open: false, mode: "auto" },
      received: 1_772_366_400_123,
      epoch: "0a1b2c3d4e",
      sequence: 4_294_967_299,
    },
  },
  "tidegate.tick": { full: { time: 1_772_366_400_000 } },
};

/** [type, which, event] of every sample. */
export const ALL_SAMPLES = (Object.keys(SAMPLES) as EventType[]).flatMap((type) =>
  Object.entries(SAMPLES[type]).map(
    ([which, event]) => [type, which, event as EventOf<EventType>] as const,
  ),
);
