/**
 * What a scenario may say, as YAML and as code: one schema, from which the checks, the types, the defaults and
 * docs/scenarios.md come. Quantities are written as people write them (friendly.core.ts).
 *
 * Every default is what a quiet, ordinary site has; faults happen only where the scenario says so.
 */
import Type, { type Static } from "typebox";
import { MAX_NAME_LENGTH } from "../../events/limits.ts";
import type { Rule } from "../../rules/rule.ts";
import { DEVICE_KINDS, type DeviceKind } from "../kinds.ts";
import { closed, count, outages, pattern, quantity, share } from "./fields.ts";
import { metricsSchema } from "./metric-schema.ts";

const linkSchema = closed({
  latency: Type.Optional(
    quantity("duration", {
      default: "20ms",
      description:
        "One way. 20 ms is a wired line to a data centre in the country; a mobile one has 50 to 100.",
    }),
  ),
  jitter: Type.Optional(
    quantity("duration", {
      default: "5ms",
      description:
        "Added at random, up to so much; more than the time between two requests lets them overtake each other.",
    }),
  ),
  loss: Type.Optional(
    share({ default: "0%", description: "Chance that a request or an answer is lost." }),
  ),
  duplicates: Type.Optional(share({ default: "0%", description: "Chance that it comes twice." })),
  down: outages("Nothing gets through, either way."),
  half_open: outages("Requests arrive, answers do not."),
});

const jumpSchema = closed({
  at: quantity("duration", { description: "From the beginning of the run." }),
  by: quantity("signed", { description: "How far the wall clock jumps." }),
});

const clockSchema = closed({
  sync_after: Type.Optional(
    quantity("sync", {
      default: "0s",
      description: "From each boot to the moment at which the time service has set the clock.",
    }),
  ),
  off_at_boot: Type.Optional(
    quantity("signed", {
      default: "0s",
      description:
        "How far off the clock is at a boot, until it is set. A board without a battery clock shows the past.",
    }),
  ),
  jumps: Type.Optional(
    Type.Array(jumpSchema, {
      maxItems: 1000,
      default: [],
      "x-kind": "list",
      description: "Jumps of the wall clock.",
    }),
  ),
});

const bufferSchema = closed({
  capacity: Type.Optional(
    quantity("size", {
      default: "1GB",
      description: "What may wait for the log. The product's own default.",
    }),
  ),
  policy: Type.Optional(
    Type.Unsafe<"drop-oldest" | "refuse">(
      Type.Enum(["drop-oldest", "refuse"], {
        default: "drop-oldest",
        "x-kind": "`drop-oldest` or `refuse`",
        description:
          "At the cap: the oldest give way and are declared lost, or nothing more is acknowledged.",
      }),
    ),
  ),
  commit_window: Type.Optional(
    quantity("duration", {
      default: "0s",
      description:
        "How long readings gather before they are written together. The product's own default.",
    }),
  ),
  write_errors: outages("Writes fail, as with a dying card (EIO)."),
  disk_full: outages("Nothing can be written."),
  record_damaged: outages(
    "One bit of a record is another. As all below: while the machine is off, for so long; this one half of the time while it runs.",
  ),
  tail_lost: outages("The newest writes are gone: the store is as it was some moments ago."),
  store_lost: outages("The store is gone, the high-water mark beside it is not."),
  mark_lost: outages("The high-water mark is gone, the store is not."),
  old_copy: outages("The whole data directory is put back as it was so long ago."),
  disk_lost: outages("The whole data directory is gone: the gateway begins anew under its name."),
});

const qos = Type.Unsafe<0 | 1 | 2>(
  Type.Enum([0, 1, 2], {
    default: 1,
    "x-kind": "0, 1 or 2",
    description: "QoS of its messages. At 0 nothing is acknowledged, so nothing is promised.",
  }),
);

export const behaviourKeys = {
  time: Type.Optional(
    Type.Unsafe<"device" | "none" | "wrong">(
      Type.Enum(["device", "none", "wrong"], {
        default: "device",
        "x-kind": "`device`, `none` or `wrong`",
        description: "Time in its payloads: its own, none, or one that is off by `clock_off`.",
      }),
    ),
  ),
  clock_off: Type.Optional(
    quantity("signed", {
      default: "0s",
      description: "How far its clock is off; needs `time: wrong`.",
    }),
  ),
  duplicates: Type.Optional(
    share({
      default: "0%",
      description: "Chance that it sends a reading a second time, as a new message.",
    }),
  ),
  ignores_acks: Type.Optional(
    share({
      default: "0%",
      description:
        "Chance that it does not believe an acknowledgement and sends again, with DUP and the same id.",
    }),
  ),
  sleep: Type.Optional(
    quantity("positive", {
      description:
        "A battery node: it connects only so often, sends what it has gathered, and disconnects.",
    }),
  ),
  reconnect_every: Type.Optional(
    quantity("duration", {
      default: "0s",
      description: "Its connection breaks so often, on average; `0s` never.",
    }),
  ),
  max_queued: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 10_000_000,
      default: 1000,
      "x-kind": "number",
      description:
        "Readings that it keeps while it cannot send; beyond it the oldest are given up. 1000 take some 100 KB of flash.",
    }),
  ),
  window: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 10,
      "x-kind": "number",
      description: "Messages unacknowledged at once. Small firmware has 1, libraries 10 to 20.",
    }),
  ),
  ack_timeout: Type.Optional(
    quantity("duration", {
      default: "0s",
      description:
        "It breaks its connection where no acknowledgement came for so long; `0s` never.",
    }),
  ),
  packet_ids: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 65_535,
      "x-kind": "number",
      description:
        "Its packet ids go from 1 to this and round. Small firmware has few, or always the same.",
    }),
  ),
  offline: outages(
    "It has no network: its connection breaks and none can be made, but it measures on.",
  ),
  silent: outages("It measures nothing and sends nothing."),
};

export const deviceSchema = closed({
  kind: Type.Optional(
    Type.Unsafe<DeviceKind>(
      Type.Enum([...DEVICE_KINDS], {
        "x-kind": DEVICE_KINDS.map((kind) => `\`${kind}\``).join(", "),
        description:
          "A kind that the simulator knows, with its metrics and their faults. This, `metrics`, or both.",
      }),
    ),
  ),
  metrics: Type.Optional(metricsSchema),
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: "^[A-Za-z0-9{][A-Za-z0-9_.{}-]*$",
      "x-kind": "text",
      description:
        "Without it the kind. A number is added where there are several (or no name was given), and the gateway's name in front where there are several gateways: `truck-1-freezer-3`. With `{n}` and `{gateway}` in it, it is as you write it.",
    }),
  ),
  count: count(1, "How many of them hang on each gateway of the group."),
  every: Type.Optional(
    quantity("positive", { default: "10s", description: "From one reading to the next." }),
  ),
  phase: Type.Optional(
    quantity("duration", {
      description:
        "The first reading, from the beginning of the run. Without it each device has its own, within `every`.",
    }),
  ),
  qos: Type.Optional(qos),
  persistent: Type.Optional(
    Type.Boolean({
      default: true,
      "x-kind": "`true` or `false`",
      description:
        "Whether the gateway keeps its session, and so can tell what is sent again from what is new.",
    }),
  ),
  ...behaviourKeys,
});
export type RawDevice = Static<typeof deviceSchema>;

export const gatewaySchema = closed({
  name: Type.String({
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$",
    "x-kind": "text",
    description: "Its id. Where there are several, `-1`, `-2` and so on is added.",
  }),
  count: count(1, "How many like this one."),
  cloned: Type.Optional(
    Type.Boolean({
      default: false,
      "x-kind": "`true` or `false`",
      description:
        "All of them were made from one card and have one id. Their devices are still called after `name-1`, `name-2`.",
    }),
  ),
  link: Type.Optional(linkSchema),
  clock: Type.Optional(clockSchema),
  power: outages("It has no power."),
  kills: outages("Its program is killed, and started again after so long; the machine stays up."),
  restarts: outages("Its program is stopped in order, and started again after so long."),
  buffer: Type.Optional(bufferSchema),
  devices: Type.Optional(
    Type.Array(deviceSchema, {
      maxItems: 1000,
      default: [],
      "x-kind": "list",
      description: "Groups of devices, see below.",
    }),
  ),
});
export type RawGateway = Static<typeof gatewaySchema>;

export const siteSchema = closed({
  log_away: outages("The log does not answer."),
  power: outages("The machine with the log and the processors has no power."),
  processor_kills: outages(
    "The program of log and processors is killed, and started again after so long.",
  ),
  processor_moves: outages(
    "The processors are stopped in order and go on elsewhere, from what was committed.",
  ),
  write_errors: outages("Writes of the log fail."),
  duplicates: Type.Optional(
    Type.Unsafe<"once" | "twice">(
      Type.Enum(["once", "twice"], {
        default: "once",
        "x-kind": "`once` or `twice`",
        description:
          "What a restarted gateway sends again: the log drops it, as the embedded one does, or it stands there twice, as it may on Kafka.",
      }),
    ),
  ),
});

export const eventSchema = closed({
  at: quantity("duration", { description: "From the beginning of the run." }),
  for: Type.Optional(quantity("positive", { description: "How long; without it to the end." })),
  device: pattern("devices"),
  gateway: pattern("gateways"),
  metric: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_NAME_LENGTH,
      "x-kind": "text",
      description: "Which metric.",
    }),
  ),
  add: Type.Optional(
    Type.Number({ "x-kind": "number", description: "Added to what the metric would be." }),
  ),
  over: Type.Optional(
    quantity("duration", {
      default: "0s",
      description: "With `add`: so long it takes to get there, and to go back.",
    }),
  ),
  set: Type.Optional(
    Type.Unsafe<number | boolean | string>({
      type: ["number", "boolean", "string"],
      "x-kind": "number, truth or word",
      description: "What the metric is instead.",
    }),
  ),
  silent: Type.Optional(
    Type.Boolean({
      const: true,
      "x-kind": "`true`",
      description: "The metric says nothing; without `metric` the whole device.",
    }),
  ),
  offline: Type.Optional(
    Type.Boolean({
      const: true,
      "x-kind": "`true`",
      description:
        "These devices have no network, and come back all at once when it is over: an access point that restarts.",
    }),
  ),
});
export type RawEvent = Static<typeof eventSchema>;

export const scenarioSchema = closed({
  name: Type.String({
    pattern: "^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$",
    "x-kind": "text",
    description: "What it is called.",
  }),
  description: Type.Optional(
    Type.String({ maxLength: 2000, "x-kind": "text", description: "What it is about." }),
  ),
  start: Type.Optional(
    quantity("time", {
      default: "2026-11-16",
      description:
        "What time it is at the beginning, in virtual time. A Monday, so that a week begins with working days.",
    }),
  ),
  duration: Type.Optional(
    quantity("positive", {
      default: "1h",
      description: "How long devices measure; what they have is sent to the end.",
    }),
  ),
  seed: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2 ** 32 - 1,
      default: 1,
      "x-kind": "number",
      description: "All chance comes from it: the same seed is the same run.",
    }),
  ),
  numbered: Type.Optional(
    Type.Boolean({
      default: true,
      "x-kind": "`true` or `false`",
      description:
        "Each reading has a metric `n`, its number, so that two of a sensor that stands still are told apart.",
    }),
  ),
  rules: Type.Optional(
    Type.Unsafe<unknown>({
      default: [],
      "x-kind": "list, or text",
      description:
        "Alert rules as in a rules file ([rules.md](rules.md)), or the path of one, from this file.",
    }),
  ),
  gateways: Type.Array(gatewaySchema, {
    minItems: 1,
    maxItems: 1000,
    "x-kind": "list",
    description: "Groups of gateways, see below.",
  }),
  site: Type.Optional(siteSchema),
  events: Type.Optional(
    Type.Array(eventSchema, {
      maxItems: 1000,
      default: [],
      "x-kind": "list",
      description: "What happens to devices at a time, see below.",
    }),
  ),
});

/** A rule as a rules file has it. */
export interface RawRule {
  readonly name: string;
  readonly when: string;
  readonly for?: string;
  readonly clear?: string;
  readonly device?: string;
  readonly gateway?: string;
  readonly severity?: Rule["severity"];
  readonly message?: string;
  readonly freshness?: string;
}

/** As it is written, in YAML or in code. */
export interface RawScenario extends Omit<Static<typeof scenarioSchema>, "rules"> {
  readonly rules?: readonly RawRule[] | string;
}
