/**
 * The event types of version 1, as schemas: the one source of the TypeScript types, of what the decoder checks, and of the
 * CDDL and JSON Schemas for everybody else (cddl.ts, json-schema.ts; `npm run contract` writes the files).
 *
 * Evolution: within version 1 a schema only ever gains optional fields, and readers ignore what they don't know.
 * compatibility.core.ts holds every change against what was released.
 * Times are milliseconds since 1970-01-01T00:00:00Z, durations milliseconds, both as numbers.
 */
import Type, { type Static, type TSchema } from "typebox";
import { MAX_METRICS, MAX_TEXT_VALUE_LENGTH } from "./limits.ts";
import {
  byName,
  bytes,
  clock,
  count,
  name,
  oneOf,
  range,
  sequence,
  stamp,
  text,
  time,
} from "./schema-parts.ts";

const stampSchema = Type.Object(stamp);
export type Stamp = Static<typeof stampSchema>;

const metricValue = Type.Union([
  Type.Number(),
  Type.Boolean(),
  Type.String({ maxLength: MAX_TEXT_VALUE_LENGTH }),
]);
export type MetricValue = Static<typeof metricValue>;

const metrics = byName(metricValue, { minProperties: 1, maxProperties: MAX_METRICS });

export const readingSchema = Type.Object(
  {
    ...stamp,
    device: name,
    metrics,
    time: Type.Optional(
      Type.Number({ description: "the device's own, where it gave one, ms since 1970" }),
    ),
  },
  { description: "What one message of one device said." },
);
export type Reading = Static<typeof readingSchema>;

export const heartbeatSchema = Type.Object(
  { ...stamp, interval: Type.Number({ description: "ms until the next one is due" }) },
  {
    description:
      "All that the gateway accepted before this has come before this: absence is judged by it.",
  },
);
export type Heartbeat = Static<typeof heartbeatSchema>;

export const EPOCH_REASONS = ["first-start", "salvage", "restored", "moved"] as const;
export type EpochReason = (typeof EPOCH_REASONS)[number];

export const epochSchema = Type.Object(
  {
    ...stamp,
    reason: oneOf(EPOCH_REASONS, {
      "first-start": "a new buffer, with no memory of one before",
      salvage: "the buffer was damaged and made whole again",
      restored: "the buffer came back from a copy",
      moved: "the card was moved to other hardware",
    }),
    previous: Type.Optional(
      Type.Object({
        epoch: text,
        highest: Type.Integer({ minimum: 0, description: "highest sequence known to be accepted" }),
        gateway: Type.Optional(
          Type.String({
            description:
              "whose epoch that is, where it is another gateway's, which may go on with it",
          }),
        ),
      }),
    ),
  },
  {
    description:
      "The first event of every epoch. It names the one before, so that the ledger can close it.",
  },
);
export type EpochStart = Static<typeof epochSchema>;

export const LOSS_REASONS = ["full", "damage", "expired"] as const;
export type LossReason = (typeof LOSS_REASONS)[number];

export const lossSchema = Type.Object(
  {
    ...stamp,
    from: sequence,
    to: sequence,
    reason: oneOf(LOSS_REASONS, {
      full: "given up for space",
      damage: "unreadable after damage",
      expired: "older than the gateway keeps",
    }),
  },
  {
    description:
      "Stands in the place of what it replaces: sequences from..to, both included, are given up.",
  },
);
export type Loss = Static<typeof lossSchema>;

export const CLOCK_REASONS = ["synced", "stepped"] as const;
export type ClockReason = (typeof CLOCK_REASONS)[number];

export const clockSchema = Type.Object(
  {
    ...stamp,
    offset: Type.Number({ description: "wall clock minus `uptime`, as now known to be right, ms" }),
    before: Type.Optional(Type.Number({ description: "what was believed until now, ms" })),
    reason: oneOf(CLOCK_REASONS, {
      synced: "the clock was set for the first time in this boot",
      stepped: "the clock was set again",
    }),
  },
  {
    description:
      "From here on the gateway knows the time of this boot. Events of the same boot that were sent as `unsynced` before happened at `offset + uptime`.",
  },
);
export type ClockSet = Static<typeof clockSchema>;

export const rejectedPayloadSchema = Type.Object(
  {
    ...stamp,
    topic: text,
    payload: bytes,
    size: Type.Integer({
      minimum: 0,
      description: "bytes of the whole payload; `payload` may be cut",
    }),
    code: text,
    message: text,
    client: Type.Optional(text),
  },
  {
    description:
      "A message that matched a route and could not be decoded, kept so that it can be looked at and run again.",
  },
);
export type RejectedPayload = Static<typeof rejectedPayloadSchema>;

/** What is said of a large payload again and again. */
const payloadId = Type.String({
  minLength: 1,
  maxLength: 64,
  description: "the payload's own id: all that is said of it carries the same",
});
const sha256 = Type.String({
  minLength: 64,
  maxLength: 64,
  description: "of the payload's bytes, in hexadecimal",
});
const objectKey = Type.String({ description: "where it stands within the object store" });
const contentType = Type.String({
  description: "media type, where the first bytes of the payload tell it",
});
const payloadSize = Type.Integer({ minimum: 0, description: "bytes of the payload" });

export const payloadSchema = Type.Object(
  {
    ...stamp,
    payload: payloadId,
    device: name,
    topic: text,
    size: payloadSize,
    sha256,
    content_type: Type.Optional(contentType),
    client: Type.Optional(text),
    key: objectKey,
    ref: Type.String({
      description:
        "URI at which it will be; that it is there says `tidegate.payload-stored`, which may name another",
    }),
  },
  {
    description:
      "A message with a large payload (a picture, a waveform). Its bytes are on the gateway's disk and follow into an object store, past the journal.",
  },
);
export type LargePayload = Static<typeof payloadSchema>;

export const payloadStoredSchema = Type.Object(
  {
    ...stamp,
    payload: payloadId,
    device: name,
    topic: text,
    size: payloadSize,
    sha256,
    content_type: Type.Optional(contentType),
    accepted: Type.Number({
      description: "when the gateway took the payload in, ms since 1970",
    }),
    key: objectKey,
    ref: Type.String({ description: "URI at which it is" }),
  },
  {
    description:
      "A large payload is in the object store, durably: from now on it can be fetched. After damage to a gateway's disk it may be said twice.",
  },
);
export type PayloadStored = Static<typeof payloadStoredSchema>;

export const PAYLOAD_LOSS_REASONS = ["full", "damage"] as const;
export type PayloadLossReason = (typeof PAYLOAD_LOSS_REASONS)[number];

export const payloadLostSchema = Type.Object(
  {
    ...stamp,
    payload: payloadId,
    reason: oneOf(PAYLOAD_LOSS_REASONS, {
      full: "given up for space before the object store took it",
      damage: "gone from the gateway's disk, or not what was written there",
    }),
    device: Type.Optional(name),
    topic: Type.Optional(text),
    size: Type.Optional(payloadSize),
    sha256: Type.Optional(sha256),
    accepted: Type.Optional(
      Type.Number({ description: "when the gateway took the payload in, ms since 1970" }),
    ),
  },
  { description: "A large payload that was accepted will never be in the object store." },
);
export type PayloadLost = Static<typeof payloadLostSchema>;

export const BUFFER_STATES = ["open", "full", "recovering"] as const;
/** Of a gateway's buffer: `recovering` acknowledges nothing until its store was opened again and checked. */
export type BufferState = (typeof BUFFER_STATES)[number];
export const BUFFER_POLICIES = ["drop-oldest", "refuse"] as const;
export type BufferPolicy = (typeof BUFFER_POLICIES)[number];

const bufferStatus = Type.Object(
  {
    state: oneOf(BUFFER_STATES, {
      open: "takes readings",
      full: "has no room for more",
      recovering: "acknowledges nothing until its store was opened again and checked",
    }),
    policy: oneOf(BUFFER_POLICIES, {
      "drop-oldest": "gives up the oldest for the newest when full, and declares it",
      refuse: "acknowledges nothing when full",
    }),
    near_full: Type.Boolean({ description: "little room is left, or little time" }),
    waiting: Type.Integer({
      minimum: 0,
      description: "events of all epochs that wait for the log",
    }),
    trouble: Type.Optional(Type.String({ description: "why it is recovering" })),
    disk_bytes: Type.Optional(
      Type.Integer({ minimum: 0, description: "what the buffer takes on its disk" }),
    ),
    free_bytes: Type.Optional(Type.Integer({ minimum: 0, description: "what the disk has left" })),
    floor_bytes: Type.Integer({
      minimum: 0,
      description: "with less left on the disk the buffer grows no more; 0 never looks",
    }),
    lost: Type.Object(
      { full: count, damage: count },
      {
        description: "events declared lost since `started`, by reason",
      },
    ),
    recoveries: Type.Integer({
      minimum: 0,
      description: "times that the store was opened again and checked since `started`",
    }),
  },
  { description: "how the buffer is, beside what it holds" },
);
export type BufferStatus = Static<typeof bufferStatus>;

export const gatewayStatusSchema = Type.Object(
  {
    gateway: text,
    time,
    epoch: text,
    accepted: Type.Integer({ minimum: 0, description: "highest sequence on the gateway's disk" }),
    forwarded: Type.Integer({
      minimum: 0,
      description: "highest sequence the log has acknowledged",
    }),
    buffered_bytes: count,
    capacity_bytes: count,
    hours_left: Type.Optional(
      Type.Number({ description: "until the buffer is full, by its cap or by its disk" }),
    ),
    buffer: Type.Optional(bufferStatus),
    clients: count,
    rejected: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: "payloads that could not be decoded, since `started`",
      }),
    ),
    payloads: Type.Optional(
      Type.Object(
        {
          waiting: Type.Integer({ minimum: 0, description: "that wait for the object store" }),
          bytes: Type.Integer({ minimum: 0, description: "of those that wait" }),
          capacity_bytes: count,
          stored: Type.Integer({ minimum: 0, description: "since `started`" }),
          lost: Type.Object(
            { full: count, damage: count },
            { description: "declared lost since `started`, by reason" },
          ),
          trouble: Type.Optional(
            Type.String({ description: "why the object store takes none, or the disk" }),
          ),
        },
        { description: "large payloads, where the gateway takes any" },
      ),
    ),
    clock: Type.Optional(
      Type.Object(
        {
          synced: Type.Boolean({ description: "whether the gateway knows what time it is" }),
          off: Type.Optional(
            Type.Number({
              description: "ms by which the machine's clock is ahead of the time that is believed",
            }),
          ),
        },
        { description: "how far the machine's clock is trusted" },
      ),
    ),
    hardware: Type.Optional(
      Type.String({
        description:
          "what tells the gateway's hardware from other hardware, hashed; missing where nothing does",
      }),
    ),
    copy_of: Type.Optional(
      Type.String({
        description: "id under which its data began on other hardware, where it may be a copy",
      }),
    ),
    interval: Type.Number({ description: "ms until the next status is due" }),
    started: time,
    version: text,
  },
  {
    description:
      "What a gateway says of itself now; not part of its journal, so it is sent past any backlog.",
  },
);
export type GatewayStatus = Static<typeof gatewayStatusSchema>;

export const RESOLUTIONS = ["1m", "1h"] as const;
export type Resolution = (typeof RESOLUTIONS)[number];
export const RESOLUTION_MS: Readonly<Record<Resolution, number>> = {
  "1m": 60_000,
  "1h": 3_600_000,
};

export const rollupSchema = Type.Object(
  {
    gateway: text,
    device: name,
    metric: name,
    resolution: oneOf(RESOLUTIONS, { "1m": "windows of a minute", "1h": "windows of an hour" }),
    window: Type.Number({ description: "start of the window, ms since 1970" }),
    count: Type.Integer({ minimum: 1 }),
    min: Type.Number(),
    max: Type.Number(),
    sum: Type.Number(),
    revision: Type.Integer({
      minimum: 1,
      description: "grows with each reading of the window; only a rebuild may set it back",
    }),
  },
  {
    description:
      "Aggregate of one series over one window `[window, window + resolution)` of event time. The mean is sum / count.",
  },
);
export type Rollup = Static<typeof rollupSchema>;

export const ALERT_STATES = ["pending", "firing", "resolved"] as const;
export type AlertState = (typeof ALERT_STATES)[number];
export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const alertSchema = Type.Object(
  {
    alert: Type.String({ description: "rule and series: the alert's lasting identity" }),
    episode: Type.String({
      description: "event id that began this episode: one from pending to resolved",
    }),
    rule: text,
    gateway: text,
    device: name,
    metric: name,
    state: oneOf(ALERT_STATES, {
      pending: "the condition holds, but not yet for as long as the rule says",
      firing: "the condition has held for as long as the rule says",
      resolved: "the condition no longer holds",
    }),
    severity: oneOf(SEVERITIES, {
      info: "nobody need act",
      warning: "somebody should look",
      critical: "somebody must act",
    }),
    condition: Type.String({ description: "the rule's condition in words, with its threshold" }),
    threshold: Type.Number(),
    value: Type.Number({ description: "value at this change" }),
    since: Type.Number({ description: "event time at which the condition began to hold, ms" }),
    changed: Type.Number({ description: "event time of this change, ms" }),
    historical: Type.Boolean({ description: "the reading was older than the rule's freshness" }),
    fired: Type.Optional(
      Type.Boolean({
        description: "on `resolved`: whether the episode had fired, or only was pending",
      }),
    ),
    message: text,
  },
  {
    description:
      "An alert as it is after a change. The same shape is the history (one each change) and the state (the last).",
  },
);
export type Alert = Static<typeof alertSchema>;

export const deviceSchema = Type.Object(
  {
    gateway: text,
    device: name,
    last_seen: Type.Number({ description: "event time of the newest reading, ms" }),
    readings: count,
    metrics: byName(Type.Object({ value: metricValue, time })),
    payloads: Type.Optional(
      Type.Integer({ minimum: 0, description: "large payloads that are in the object store" }),
    ),
    payload: Type.Optional(
      Type.Object(
        {
          payload: payloadId,
          time: Type.Number({ description: "when the gateway took it in, ms since 1970" }),
          topic: text,
          size: payloadSize,
          sha256,
          content_type: Type.Optional(contentType),
          key: objectKey,
          ref: Type.String({ description: "URI at which it is" }),
        },
        { description: "the newest of them" },
      ),
    ),
  },
  { description: "A device as last heard." },
);
export type Device = Static<typeof deviceSchema>;

export const ledgerSchema = Type.Object(
  {
    gateway: text,
    epoch: text,
    received: Type.Array(range, {
      description: "sequences that arrived, declared losses included",
    }),
    declared_lost: Type.Array(range),
    missing: Type.Array(range, {
      description: "holes below what is known to have been sent before",
    }),
    duplicates: count,
    accepted: Type.Integer({ minimum: 0, description: "highest sequence the gateway has claimed" }),
    closed: Type.Optional(Type.Boolean({ description: "a later epoch has named this one's end" })),
    first_received: Type.Optional(time),
    last_received: Type.Optional(time),
  },
  { description: "What has arrived of one epoch of one gateway, to the sequence." },
);
export type LedgerEntry = Static<typeof ledgerSchema>;

export const rejectedRecordSchema = Type.Object(
  {
    topology: text,
    topic: text,
    partition: count,
    offset: count,
    code: text,
    message: text,
    value: Type.Optional(bytes),
  },
  { description: "A record of an input topic that a processor could not read or take." },
);
export type RejectedRecord = Static<typeof rejectedRecordSchema>;

export const deviceReadingSchema = Type.Object(
  {
    gateway: text,
    device: name,
    time: Type.Number({
      description:
        "when it was true: the device's time, else the gateway's; where `clock` is `unsynced`, when it was sent, ms since 1970",
    }),
    clock,
    metrics,
    received: Type.Number({ description: "the gateway's clock at receipt, ms since 1970" }),
    epoch: text,
    sequence: Type.Integer({
      minimum: 1,
      description: "with `gateway` and `epoch` unique for ever: the reading's place in the journal",
    }),
  },
  { description: "A reading for everybody else: each exactly once, in the order of its device." },
);
export type DeviceReading = Static<typeof deviceReadingSchema>;

export const tickSchema = Type.Object(
  { time },
  {
    description:
      "The passing of time, written by a processor's runtime into its input partition once it is caught up.",
  },
);
export type Tick = Static<typeof tickSchema>;

/** CloudEvents `ce_type` of each event, and the schema of its value. */
export const EVENT_SCHEMAS = {
  "tidegate.reading": readingSchema,
  "tidegate.heartbeat": heartbeatSchema,
  "tidegate.epoch": epochSchema,
  "tidegate.loss": lossSchema,
  "tidegate.rejected-payload": rejectedPayloadSchema,
  "tidegate.clock": clockSchema,
  "tidegate.payload": payloadSchema,
  "tidegate.payload-stored": payloadStoredSchema,
  "tidegate.payload-lost": payloadLostSchema,
  "tidegate.gateway-status": gatewayStatusSchema,
  "tidegate.rollup": rollupSchema,
  "tidegate.alert": alertSchema,
  "tidegate.device": deviceSchema,
  "tidegate.ledger": ledgerSchema,
  "tidegate.rejected-record": rejectedRecordSchema,
  "tidegate.device-reading": deviceReadingSchema,
  "tidegate.tick": tickSchema,
} as const satisfies Record<string, TSchema>;

export type EventType = keyof typeof EVENT_SCHEMAS;
export type EventOf<T extends EventType> = Static<(typeof EVENT_SCHEMAS)[T]>;

/** The types that stand in a gateway's journal, each with a sequence. */
export const JOURNAL_TYPES = [
  "tidegate.reading",
  "tidegate.heartbeat",
  "tidegate.epoch",
  "tidegate.loss",
  "tidegate.rejected-payload",
  "tidegate.clock",
  "tidegate.payload",
  "tidegate.payload-stored",
  "tidegate.payload-lost",
] as const satisfies readonly EventType[];
export type JournalType = (typeof JOURNAL_TYPES)[number];

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(EVENT_SCHEMAS, text);
}

export function isJournalType(text: string): text is JournalType {
  return (JOURNAL_TYPES as readonly string[]).includes(text);
}
