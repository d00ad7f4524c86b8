/**
 * What a fleet as code may say. Written by definition-text.ts from the schema;
 * `npx vitest run simulator/scenario/definition.test.ts -u` writes it anew.
 */
import type { MetricFunction } from "./metric-schema.ts";

/** A fleet and its days: a scenario's words as code. */
export interface FleetDefinition {
  /** What it is called. */
  readonly name?: string;
  /** What it is about. */
  readonly description?: string;
  /** What time it is at the beginning, in virtual time. A Monday, so that a week begins with working days. (A time, default `2026-11-16`.) */
  readonly start?: string;
  /** How long devices measure; what they have is sent to the end. (A duration, default `1h`.) */
  readonly duration?: string;
  /** All chance comes from it: the same seed is the same run. (Default `1`.) */
  readonly seed?: number;
  /** Each reading has a metric `n`, its number, so that two of a sensor that stands still are told apart. (Default `true`.) */
  readonly numbered?: boolean;
  /** Alert rules, or the path of a rules file, from the working directory. */
  readonly rules?: readonly RuleDefinition[] | string;
  /** Gateways with their devices. */
  readonly gateways: readonly GatewayDefinition[];
  /** What has the log and the processors. */
  readonly site?: SiteDefinition;
  /** What happens to devices at a time. */
  readonly events?: readonly EventDefinition[];
}

/** An alert rule, as a rules file has it. */
export interface RuleDefinition {
  /** Unique; letters, digits, _ . -, at most 64. */
  readonly name: string;
  /** Metric above|below number, optionally for duration. */
  readonly when: string;
  /** How long it must hold before it fires (default 0s); a duration like 30s, 5m or 1h30m. */
  readonly for?: string;
  /** Above|below number: where a firing alert ends. */
  readonly clear?: string;
  /** Devices it applies to, * stands for any characters; all without it. */
  readonly device?: string;
  /** Gateways it applies to, * stands for any characters; all without it. */
  readonly gateway?: string;
  /** `info`, `warning` or `critical`; `warning` without it. */
  readonly severity?: "info" | "warning" | "critical";
  /** For people, with {device}, {gateway}, {metric}, {rule}, {value} and {threshold} in it. */
  readonly message?: string;
  /** Older readings are historical and page nobody (default 1h); a duration like 30s, 5m or 1h30m. */
  readonly freshness?: string;
}

/** A gateway, or several that are alike. */
export interface GatewayDefinition {
  /** Its id. Where there are several, `-1`, `-2` and so on is added. */
  readonly name: string;
  /** How many like this one. (Default `1`.) */
  readonly count?: number;
  /** All of them were made from one card and have one id. Their devices are still called after `name-1`, `name-2`. (Default `false`.) */
  readonly cloned?: boolean;
  /** From the gateway to the log. Requests and answers each take their own way. */
  readonly link?: LinkDefinition;
  /** The gateway's wall clock. */
  readonly clock?: ClockDefinition;
  /** It has no power. (Default never.) */
  readonly power?: Stretches;
  /** Its program is killed, and started again after so long; the machine stays up. (Default never.) */
  readonly kills?: Stretches;
  /** Its program is stopped in order, and started again after so long. (Default never.) */
  readonly restarts?: Stretches;
  /** Where readings wait until the log has them, and what happens to its disk. */
  readonly buffer?: BufferDefinition;
  /** Its devices, in groups that are alike. */
  readonly devices?: readonly DeviceDefinition[];
}

/** The way between a gateway and the log. */
export interface LinkDefinition {
  /** One way. 20 ms is a wired line to a data centre in the country; a mobile one has 50 to 100. (A duration, default `20ms`.) */
  readonly latency?: string;
  /** Added at random, up to so much; more than the time between two requests lets them overtake each other. (A duration, default `5ms`.) */
  readonly jitter?: string;
  /** Chance that a request or an answer is lost. (A share, default `0%`.) */
  readonly loss?: string | number;
  /** Chance that it comes twice. (A share, default `0%`.) */
  readonly duplicates?: string | number;
  /** Nothing gets through, either way. (Default never.) */
  readonly down?: Stretches;
  /** Requests arrive, answers do not. (Default never.) */
  readonly half_open?: Stretches;
}

/** The wall clock of a gateway. */
export interface ClockDefinition {
  /** From each boot to the moment at which the time service has set the clock. (A duration, or `never`, default `0s`.) */
  readonly sync_after?: string;
  /** How far off the clock is at a boot, until it is set. A board without a battery clock shows the past. (A duration, may be negative, default `0s`.) */
  readonly off_at_boot?: string;
  /** Jumps of the wall clock. */
  readonly jumps?: readonly ClockJump[];
}

/** Somebody sets a gateway's clock. */
export interface ClockJump {
  /** From the beginning of the run. (A duration.) */
  readonly at: string;
  /** How far the wall clock jumps. (A duration, may be negative.) */
  readonly by: string;
}

/** A gateway's buffer and its disk. */
export interface BufferDefinition {
  /** What may wait for the log. The product's own default. (A size.) */
  readonly capacity?: string;
  /** At the cap: the oldest give way and are declared lost, or nothing more is acknowledged. (Default `drop-oldest`.) */
  readonly policy?: "drop-oldest" | "refuse";
  /** How long readings gather before they are written together. The product's own default. (A duration.) */
  readonly commit_window?: string;
  /** Writes fail, as with a dying card (EIO). (Default never.) */
  readonly write_errors?: Stretches;
  /** Nothing can be written. (Default never.) */
  readonly disk_full?: Stretches;
  /** One bit of a record is another. As all below: while the machine is off, for so long; this one half of the time while it runs. (Default never.) */
  readonly record_damaged?: Stretches;
  /** The newest writes are gone: the store is as it was some moments ago. (Default never.) */
  readonly tail_lost?: Stretches;
  /** The store is gone, the high-water mark beside it is not. (Default never.) */
  readonly store_lost?: Stretches;
  /** The high-water mark is gone, the store is not. (Default never.) */
  readonly mark_lost?: Stretches;
  /** The whole data directory is put back as it was so long ago. (Default never.) */
  readonly old_copy?: Stretches;
  /** The whole data directory is gone: the gateway begins anew under its name. (Default never.) */
  readonly disk_lost?: Stretches;
}

/** A device, or several that are alike. */
export interface DeviceDefinition {
  /** A kind that the simulator knows, with its metrics and their faults. This, `metrics`, or both. */
  readonly kind?: "freezer" | "room" | "power-meter" | "greenhouse" | "door" | "pump";
  /** Its metrics by name, beside those of its kind, or in place of them where a name is the same. */
  readonly metrics?: Readonly<Record<string, MetricDefinition | MetricFunction>>;
  /** Without it the kind. A number is added where there are several (or no name was given), and the gateway's name in front where there are several gateways: `truck-1-freezer-3`. With `{n}` and `{gateway}` in it, it is as you write it. */
  readonly name?: string;
  /** How many of them hang on each gateway of the group. (Default `1`.) */
  readonly count?: number;
  /** From one reading to the next. (A duration, default `10s`.) */
  readonly every?: string;
  /** The first reading, from the beginning of the run. Without it each device has its own, within `every`. (A duration.) */
  readonly phase?: string;
  /** QoS of its messages. At 0 nothing is acknowledged, so nothing is promised. (Default `1`.) */
  readonly qos?: 0 | 1 | 2;
  /** Whether the gateway keeps its session, and so can tell what is sent again from what is new. (Default `true`.) */
  readonly persistent?: boolean;
  /** Time in its payloads: its own, none, or one that is off by `clock_off`. (Default `device`.) */
  readonly time?: "device" | "none" | "wrong";
  /** How far its clock is off; needs `time: wrong`. (A duration, may be negative, default `0s`.) */
  readonly clock_off?: string;
  /** Chance that it sends a reading a second time, as a new message. (A share, default `0%`.) */
  readonly duplicates?: string | number;
  /** Chance that it does not believe an acknowledgement and sends again, with DUP and the same id. (A share, default `0%`.) */
  readonly ignores_acks?: string | number;
  /** A battery node: it connects only so often, sends what it has gathered, and disconnects. (A duration.) */
  readonly sleep?: string;
  /** Its connection breaks so often, on average; `0s` never. (A duration, default `0s`.) */
  readonly reconnect_every?: string;
  /** Readings that it keeps while it cannot send; beyond it the oldest are given up. 1000 take some 100 KB of flash. (Default `1000`.) */
  readonly max_queued?: number;
  /** Messages unacknowledged at once. Small firmware has 1, libraries 10 to 20. (Default `10`.) */
  readonly window?: number;
  /** It breaks its connection where no acknowledgement came for so long; `0s` never. (A duration, default `0s`.) */
  readonly ack_timeout?: string;
  /** Its packet ids go from 1 to this and round. Small firmware has few, or always the same. (Default `65535`.) */
  readonly packet_ids?: number;
  /** It has no network: its connection breaks and none can be made, but it measures on. (Default never.) */
  readonly offline?: Stretches;
  /** It measures nothing and sends nothing. (Default never.) */
  readonly silent?: Stretches;
}

/** What a sensor says: parts added up, then the sensor and its faults. */
export interface MetricDefinition {
  /** The same always. (Default `0`.) */
  readonly constant?: number;
  /** Each device has its own offset, up to so much above or below. (Default `0`.) */
  readonly spread?: number;
  /** A sine over the day. */
  readonly daily?: {
    /** Highest above and below, in the metric's unit. */
    readonly amplitude: number;
    /** When it is highest. (A time of the day.) */
    readonly peak: string;
  };
  /** A sine over the week. */
  readonly weekly?: {
    /** Highest above and below, in the metric's unit. */
    readonly amplitude: number;
    /** When it is highest. (A day of the week.) */
    readonly peak: string;
  };
  /** People at work: not at night, not at weekends, an hour of coming and of going. */
  readonly working_hours?: {
    /** When people come. (A time of the day.) */
    readonly from: string;
    /** When they have gone. (A time of the day.) */
    readonly to: string;
    /** How much they add. */
    readonly height: number;
  };
  /** Slow wandering. */
  readonly drift?: {
    /** Highest above and below, in the metric's unit. */
    readonly amplitude: number;
    /** From one random point to the next. (A duration.) */
    readonly every: string;
  };
  /** A saw, as something that heats and cools. */
  readonly thermostat?: {
    /** Highest above and below, in the metric's unit. */
    readonly amplitude: number;
    /** Of one rise and one fall; each device begins at its own point. (A duration.) */
    readonly period: string;
    /** Of the period. (A share, default `50%`.) */
    readonly rise?: string | number;
  };
  /** A hump that comes round. */
  readonly excursion?: {
    /** In the middle of it. */
    readonly height: number;
    /** From one to the next. (A duration.) */
    readonly every: string;
    /** How long it lasts. (A duration.) */
    readonly for: string;
    /** The first, from the beginning of the run. (A duration, default `0s`.) */
    readonly at?: string;
  };
  /** A machine that is switched. */
  readonly steps?: {
    /** One of them, chosen anew. */
    readonly levels: readonly number[];
    /** How long it stays. (A duration.) */
    readonly hold: string;
  };
  /** Standard deviation of normal noise, a new value each second. (Default `0`.) */
  readonly noise?: number;
  /** Makes it true or false: true for a while, now and then (a door that is opened). */
  readonly on?: {
    /** Time is cut in slots of this length; each has one stretch of it or none. (A duration.) */
    readonly every: string;
    /** How long it lasts; no longer than `every`. (A duration.) */
    readonly for: string;
    /** That a slot has one. (A share, default `50%`.) */
    readonly chance?: string | number;
  };
  /** Makes it a word: the state of a machine. */
  readonly states?: {
    /** One of them, chosen anew. */
    readonly of: readonly string[];
    /** How long it stays. (A duration.) */
    readonly hold: string;
  };
  /** As written beside the number. */
  readonly unit?: string;
  /** The sensor shows nothing below it. */
  readonly min?: number;
  /** The sensor shows nothing above it. */
  readonly max?: number;
  /** It rounds to so many. (Default `2`.) */
  readonly decimals?: number;
  /** Fault: the value freezes for a while at what it was. */
  readonly stuck?: {
    /** Time is cut in slots of this length; each has one fault or none. (A duration.) */
    readonly every: string;
    /** How long it lasts; no longer than `every`. (A duration.) */
    readonly for: string;
    /** That a slot has one. (A share, default `100%`.) */
    readonly chance?: string | number;
  };
  /** Fault: the sensor says nothing for a while. */
  readonly dropouts?: {
    /** Time is cut in slots of this length; each has one fault or none. (A duration.) */
    readonly every: string;
    /** How long it lasts; no longer than `every`. (A duration.) */
    readonly for: string;
    /** That a slot has one. (A share, default `100%`.) */
    readonly chance?: string | number;
  };
  /** Fault: single wild values, of a second. */
  readonly spikes?: {
    /** That a second has one. (A share.) */
    readonly chance: string | number;
    /** Up or down. */
    readonly height: number;
  };
}

/** What has the log and the processors. */
export interface SiteDefinition {
  /** The log does not answer. (Default never.) */
  readonly log_away?: Stretches;
  /** The machine with the log and the processors has no power. (Default never.) */
  readonly power?: Stretches;
  /** The program of log and processors is killed, and started again after so long. (Default never.) */
  readonly processor_kills?: Stretches;
  /** The processors are stopped in order and go on elsewhere, from what was committed. (Default never.) */
  readonly processor_moves?: Stretches;
  /** Writes of the log fail. (Default never.) */
  readonly write_errors?: Stretches;
  /** What a restarted gateway sends again: the log drops it, as the embedded one does, or it stands there twice, as it may on Kafka. (Default `once`.) */
  readonly duplicates?: "once" | "twice";
}

/** What becomes of devices at a time. */
export interface EventDefinition {
  /** From the beginning of the run. (A duration.) */
  readonly at: string;
  /** How long; without it to the end. (A duration.) */
  readonly for?: string;
  /** Which devices; `*` stands for any characters. (Default `*`.) */
  readonly device?: string;
  /** Which gateways; `*` stands for any characters. (Default `*`.) */
  readonly gateway?: string;
  /** Which metric. */
  readonly metric?: string;
  /** Added to what the metric would be. */
  readonly add?: number;
  /** With `add`: so long it takes to get there, and to go back. (A duration, default `0s`.) */
  readonly over?: string;
  /** What the metric is instead. */
  readonly set?: number | boolean | string;
  /** The metric says nothing; without `metric` the whole device. */
  readonly silent?: true;
  /** These devices have no network, and come back all at once when it is over: an access point that restarts. */
  readonly offline?: true;
}

/** When something is down, away or silent. */
export interface Stretch {
  /** From the beginning of the run; or `every`. (A duration.) */
  readonly at?: string;
  /** By chance: on average one in so long, the pauses spread as chance does; or `at`. (A duration.) */
  readonly every?: string;
  /** How long it lasts; by chance between half and one and a half of it. (A duration.) */
  readonly for: string;
}

/** One of them, or a list: any number with `at`, and at most one with `every`. */
export type Stretches = Stretch | readonly Stretch[];
