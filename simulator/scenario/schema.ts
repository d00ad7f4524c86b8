/**
 * What a scenario may say, as YAML and as code: one schema, from which the checks, the types, the defaults and
 * docs/scenarios.md come. Quantities are written as people write them (friendly.core.ts).
 *
 * Every default is what a quiet, ordinary site has; faults happen only where the scenario says so.
 */
import Type, { type Static, type TSchema } from "typebox";
import { MAX_NAME_LENGTH } from "../../events/limits.ts";
import type { Rule } from "../../rules/rule.ts";
import { DEVICE_KINDS, type DeviceKind } from "../kinds.ts";
import { QUANTITIES, type QuantityName } from "./friendly.core.ts";

/** Ten thousand devices are what one process carries; far beyond it, somebody has a digit too many. */
export const MAX_COUNT = 100_000;

interface Options {
  readonly default?: unknown;
  readonly description: string;
}

const quantity = (name: QuantityName, options: Options) =>
  Type.Unsafe<string>({ quantity: name, "x-kind": QUANTITIES[name].name, ...options });
/** A share may be a number too. */
const share = (options: Options) =>
  Type.Unsafe<string | number>({ quantity: "share", "x-kind": QUANTITIES.share.name, ...options });
const closed = <Properties extends Record<string, TSchema>>(
  properties: Properties,
  description?: string,
) =>
  Type.Object(properties, {
    additionalProperties: false,
    ...(description ? { description } : {}),
  });
const count = (value: number, description: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_COUNT,
      default: value,
      "x-kind": "number",
      description,
    }),
  );
const pattern = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      default: "*",
      "x-kind": "pattern",
      description: `Which ${what}; \`*\` stands for any characters.`,
    }),
  );

/** One or the other, told apart so that a fault is told about the one that was meant. */
function either<One extends TSchema, Other extends TSchema>(
  condition: object,
  one: One,
  other: Other,
  options: object,
) {
  return Type.Unsafe<Static<One> | Static<Other>>({
    if: condition,
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
    then: one,
    else: other,
    ...options,
  });
}

const stretch = closed({
  at: Type.Optional(
    quantity("duration", { description: "From the beginning of the run; or `every`." }),
  ),
  every: Type.Optional(
    quantity("positive", {
      description:
        "By chance: on average one in so long, the pauses spread as chance does; or `at`.",
    }),
  ),
  for: quantity("positive", {
    description: "How long it lasts; by chance between half and one and a half of it.",
  }),
});
export type RawStretch = Static<typeof stretch>;
export const stretchSchema = stretch;

const outages = (description: string) =>
  Type.Optional(
    either({ type: "array" }, Type.Array(stretch, { maxItems: 1000 }), stretch, {
      "x-kind": "stretches",
      default: "never",
      description,
    }),
  );
export type RawOutages = RawStretch | RawStretch[];

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
});

const qos = Type.Unsafe<0 | 1 | 2>(
  Type.Enum([0, 1, 2], {
    default: 1,
    "x-kind": "0, 1 or 2",
    description: "QoS of its messages. At 0 nothing is acknowledged, so nothing is promised.",
  }),
);

const episodes = (what: string, chance: string) =>
  closed({
    every: quantity("positive", {
      description: `Time is cut in slots of this length; each has one ${what} or none.`,
    }),
    for: quantity("positive", { description: "How long it lasts; no longer than `every`." }),
    chance: Type.Optional(share({ default: chance, description: "That a slot has one." })),
  });

const amplitude = Type.Number({ description: "Highest above and below, in the metric's unit." });

/** Parts of a signal, added together. */
export const signalParts = {
  constant: Type.Optional(
    Type.Number({ default: 0, "x-kind": "number", description: "The same always." }),
  ),
  spread: Type.Optional(
    Type.Number({
      minimum: 0,
      default: 0,
      "x-kind": "number",
      description: "Each device has its own offset, up to so much above or below.",
    }),
  ),
  daily: Type.Optional(
    closed(
      { amplitude, peak: quantity("hour", { description: "When it is highest." }) },
      "A sine over the day.",
    ),
  ),
  weekly: Type.Optional(
    closed(
      { amplitude, peak: quantity("week", { description: "When it is highest." }) },
      "A sine over the week.",
    ),
  ),
  working_hours: Type.Optional(
    closed(
      {
        from: quantity("hour", { description: "When people come." }),
        to: quantity("hour", { description: "When they have gone." }),
        height: Type.Number({ description: "How much they add." }),
      },
      "People at work: not at night, not at weekends, an hour of coming and of going.",
    ),
  ),
  drift: Type.Optional(
    closed(
      {
        amplitude,
        every: quantity("positive", { description: "From one random point to the next." }),
      },
      "Slow wandering.",
    ),
  ),
  thermostat: Type.Optional(
    closed(
      {
        amplitude,
        period: quantity("positive", {
          description: "Of one rise and one fall; each device begins at its own point.",
        }),
        rise: Type.Optional(share({ default: "50%", description: "Of the period." })),
      },
      "A saw, as something that heats and cools.",
    ),
  ),
  excursion: Type.Optional(
    closed(
      {
        height: Type.Number({ description: "In the middle of it." }),
        every: quantity("positive", { description: "From one to the next." }),
        for: quantity("positive", { description: "How long it lasts." }),
        at: Type.Optional(
          quantity("duration", {
            default: "0s",
            description: "The first, from the beginning of the run.",
          }),
        ),
      },
      "A hump that comes round.",
    ),
  ),
  steps: Type.Optional(
    closed(
      {
        levels: Type.Array(Type.Number(), {
          minItems: 1,
          maxItems: 100,
          "x-kind": "list of numbers",
          description: "One of them, chosen anew.",
        }),
        hold: quantity("positive", { description: "How long it stays." }),
      },
      "A machine that is switched.",
    ),
  ),
  noise: Type.Optional(
    Type.Number({
      minimum: 0,
      default: 0,
      "x-kind": "number",
      description: "Standard deviation of normal noise, a new value each second.",
    }),
  ),
};

/** Instead of a number: one of these makes a metric of it that is true or false, or a word. */
export const otherMetrics = {
  on: Type.Optional(
    closed(
      episodes("stretch of it", "50%").properties,
      "Makes it true or false: true for a while, now and then (a door that is opened).",
    ),
  ),
  states: Type.Optional(
    closed(
      {
        of: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
          minItems: 1,
          maxItems: 100,
          "x-kind": "list of words",
          description: "One of them, chosen anew.",
        }),
        hold: quantity("positive", { description: "How long it stays." }),
      },
      "Makes it a word: the state of a machine.",
    ),
  ),
};

/** What the sensor makes of the signal, its faults last. */
export const sensorKeys = {
  unit: Type.Optional(
    Type.String({
      maxLength: 20,
      default: "",
      "x-kind": "text",
      description: "As written beside the number.",
    }),
  ),
  min: Type.Optional(
    Type.Number({
      default: -1e9,
      "x-kind": "number",
      description: "The sensor shows nothing below it.",
    }),
  ),
  max: Type.Optional(
    Type.Number({
      default: 1e9,
      "x-kind": "number",
      description: "The sensor shows nothing above it.",
    }),
  ),
  decimals: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 9,
      default: 2,
      "x-kind": "number",
      description: "It rounds to so many.",
    }),
  ),
  stuck: Type.Optional(
    closed(
      episodes("fault", "100%").properties,
      "Fault: the value freezes for a while at what it was.",
    ),
  ),
  dropouts: Type.Optional(
    closed(episodes("fault", "100%").properties, "Fault: the sensor says nothing for a while."),
  ),
  spikes: Type.Optional(
    closed(
      {
        chance: share({ description: "That a second has one." }),
        height: Type.Number({ description: "Up or down." }),
      },
      "Fault: single wild values, of a second.",
    ),
  ),
};

export const metricSchema = closed({ ...signalParts, ...otherMetrics, ...sensorKeys });
export type RawMetric = Static<typeof metricSchema>;
/** Code can give a signal as a function of time, ms since 1970. */
export type MetricFunction = (timeMs: number) => number | boolean | string | undefined;

const metricsSchema = Type.Unsafe<Record<string, RawMetric | MetricFunction>>({
  type: "object",
  propertyNames: { minLength: 1, maxLength: MAX_NAME_LENGTH },
  additionalProperties: either({ code: true }, Type.Unknown(), metricSchema, {}),
  minProperties: 1,
  maxProperties: 100,
  "x-kind": "map",
  description:
    "Its metrics by name, beside those of its kind, or in place of them where a name is the same.",
});

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
  processor_kills: outages("A processor is killed and goes on elsewhere, from what was committed."),
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

/** @returns the default that the schema states for a key; undefined where it has none */
export function defaultOf(schema: { readonly properties: object }, key: string): unknown {
  const properties = schema.properties as Readonly<Record<string, { readonly default?: unknown }>>;
  return properties[key]?.default;
}
