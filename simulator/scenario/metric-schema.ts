/** What a scenario may say of a metric: parts that add up to a signal, then the sensor and its faults. */
import Type, { type Static } from "typebox";
import { closed, either, quantity, share } from "./fields.ts";

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
      "x-kind": "text",
      description: "As written beside the number.",
    }),
  ),
  min: Type.Optional(
    Type.Number({
      "x-kind": "number",
      description: "The sensor shows nothing below it.",
    }),
  ),
  max: Type.Optional(
    Type.Number({
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
/** Of which device, and when: what a metric's function is told beside the time. */
export interface MetricMoment {
  /** From the beginning of the run, ms. */
  readonly elapsedMs: number;
  /** Its whole name: `freezer-2`, or `store-1-freezer-2` where there are several gateways. */
  readonly device: string;
  /** The one that it hangs on. */
  readonly gateway: string;
  /**
   * In [0, 1), by the run's seed: each device and metric has its own at each moment, and the same one however often it is asked.
   * @param what a moment has several, each by a name
   */
  chance(what?: string): number;
}

/**
 * Code can give a signal as a function of time, so that what a sensor says does not depend on when anybody asks. What it
 * gives is what the sensor says; undefined where it says nothing.
 * @param timeMs ms since 1970
 */
export type MetricFunction = (
  timeMs: number,
  moment: MetricMoment,
) => number | boolean | string | undefined;

export const metricsSchema = Type.Unsafe<Record<string, RawMetric | MetricFunction>>({
  type: "object",
  additionalProperties: either({ code: true }, Type.Unknown(), metricSchema, {}),
  minProperties: 1,
  maxProperties: 100,
  "x-kind": "map",
  description:
    "Its metrics by name, beside those of its kind, or in place of them where a name is the same.",
});
