/** The cloud's settings, as fragments of each program's configuration schema. */
import Type, { type Static } from "typebox";

const MiB = 1024 * 1024;

export const rollupSettings = Type.Object(
  {
    minute_keep_days: Type.Integer({
      default: 7,
      minimum: 1,
      maximum: 3660,
      description:
        "How far behind the newest reading of its series a window of a minute is kept and takes late readings. At most 60 KB of state a series and day, on the processors' disks (docs/scale.md).",
    }),
    hour_keep_days: Type.Integer({
      default: 400,
      minimum: 1,
      maximum: 36_600,
      description: "The same for windows of an hour: 1 KB of state a series and day.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const readingsSettings = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Also write each reading exactly once to a topic of its own, keyed by device, for other consumers. Turned on later, it begins with the oldest reading that the events topic still holds.",
    }),
    retention_days: Type.Integer({
      default: 30,
      minimum: 1,
      description: "How long it keeps a reading, from the time of sending.",
    }),
  },
  { additionalProperties: false, default: {} },
);

export const readModelSettings = Type.Object(
  {
    raw_keep_days: Type.Integer({
      default: 7,
      minimum: 1,
      maximum: 3660,
      description: "How long raw readings can be looked at, by event time.",
    }),
    raw_max_bytes: Type.Integer({
      default: 512 * MiB,
      minimum: MiB,
      description:
        "Most bytes of raw readings, before compression; the oldest hours go first. About 80 bytes a reading.",
    }),
    alert_history_max: Type.Integer({
      default: 100_000,
      minimum: 100,
      description: "Changes of alerts that can be looked at; the oldest go first.",
    }),
  },
  { additionalProperties: false, default: {} },
);

/** Settings of whoever runs the processors; the read model's are of use to a dashboard alone too. */
export const cloudSettings = {
  rules: Type.Optional(
    Type.String({ minLength: 1, description: "Alert rules, a YAML file; no alerts without it." }),
  ),
  rollups: rollupSettings,
  readings: readingsSettings,
  alert_retention_days: Type.Integer({
    default: 400,
    minimum: 1,
    description: "How long the history of alerts stays in its topic, from the time of sending.",
  }),
  rejected_retention_days: Type.Integer({
    default: 90,
    minimum: 1,
    description: "How long records that could not be processed are kept.",
  }),
  read_model: readModelSettings,
};

const whole = Type.Object({
  rollups: rollupSettings,
  /** Whoever embeds the cloud may leave it out: then there is no such topic. */
  readings: Type.Optional(readingsSettings),
  alert_retention_days: cloudSettings.alert_retention_days,
  rejected_retention_days: cloudSettings.rejected_retention_days,
  read_model: readModelSettings,
});
/** What the cloud takes of the settings; the rules come read. */
export type CloudSettings = Static<typeof whole>;
export type ReadModelSettings = Static<typeof readModelSettings>;
