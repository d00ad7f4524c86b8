/**
 * A fleet as a value: what gateways there are, what devices hang on them, what happens to all of it and when. A YAML file
 * and code make the same value (file.ts, fleet.ts); the virtual world and real MQTT connections run it.
 *
 * Times are ms: `at` from the beginning of the run, `lastsMs`, `everyMs`. Everything random in it is a function of the
 * seed, so that a run is told by its scenario and one number.
 */
import type { Rule } from "../../rules/rule.ts";
import type { Episodes, Signal } from "../signals.ts";

export interface Scenario {
  readonly name: string;
  readonly description?: string;
  /** ms since 1970. */
  readonly start: number;
  readonly durationMs: number;
  readonly seed: number;
  /** Between two heartbeats of a gateway; by the length of the run without it. */
  readonly heartbeatMs?: number;
  readonly rules: readonly Rule[];
  readonly gateways: readonly GatewaySpec[];
  /** What happens to the site that has the log and the processors. */
  readonly site: SiteSpec;
}

/** Stretches of time: told one by one, or by chance, on average one in `everyMs`. */
export interface Outages {
  readonly at: readonly Stretch[];
  readonly random?: { readonly everyMs: number; readonly lastsMs: number };
}

export interface Stretch {
  readonly at: number;
  readonly lastsMs: number;
}

export interface GatewaySpec {
  /** Its id in the journal's key; unique, but for a cloned card. */
  readonly name: string;
  readonly link: LinkSpec;
  readonly clock: ClockSpec;
  readonly power: Outages;
  /** Its program is killed on a machine that is up, and started again after so long. None without it. */
  readonly kills?: Outages;
  /** Its program is stopped in order, and started again after so long. None without it. */
  readonly restarts?: Outages;
  readonly buffer: BufferSpec;
  readonly devices: readonly DeviceSpec[];
}

/** From the gateway to the log. Requests and answers each take their own way. */
export interface LinkSpec {
  readonly latencyMs: number;
  /** Added at random, so that messages overtake each other. */
  readonly jitterMs: number;
  /** Chance that a message is lost, and that it comes twice. */
  readonly loss: number;
  readonly duplicates: number;
  readonly down: Outages;
  /** Requests arrive, answers do not. */
  readonly halfOpen: Outages;
}

export interface ClockSpec {
  /** Until the time service has set it, ms from each boot; 0 knows the time at once, undefined never. */
  readonly syncAfterMs: number | undefined;
  /** What the clock shows at a boot without it: ms that it is off. */
  readonly offAtBootMs: number;
  /** Jumps of the wall clock: by how much, and when. */
  readonly jumps: readonly { readonly at: number; readonly byMs: number }[];
}

export interface BufferSpec {
  readonly capacityBytes: number;
  readonly policy: "drop-oldest" | "refuse";
  readonly commitWindowMs: number;
  /** Writes fail, as with EIO. */
  readonly writeErrors: Outages;
  /** Nothing can be written: the disk is full. */
  readonly diskFull: Outages;
  readonly decay?: DecaySpec;
}

/**
 * What happens to the buffer's files while the machine is off, which it is for so long. None without it. A cloned card, which
 * is one directory on two machines, is not among them.
 */
export interface DecaySpec {
  /** One bit of one record; half of the time while the gateway runs. */
  readonly recordDamaged?: Outages;
  /** The newest writes are gone. */
  readonly tailLost?: Outages;
  readonly storeLost?: Outages;
  /** The high-water mark beside the store. */
  readonly markLost?: Outages;
  /** The whole directory is as it was so long ago: `lastsMs` is its age. */
  readonly oldCopy?: Outages;
  /** The whole directory: the gateway begins anew under its name. */
  readonly diskLost?: Outages;
}

export interface SiteSpec {
  /** The log does not answer. */
  readonly logAway: Outages;
  /** The machine with log and processors loses its power. */
  readonly power: Outages;
  /** The process of log and processors is killed, and started again after so long. */
  readonly processorKills: Outages;
  /** The processors are stopped in order and go on elsewhere, from what was committed. None without it. */
  readonly processorMoves?: Outages;
  readonly writeErrors: Outages;
  /**
   * `once`: the log drops what a restarted gateway sends again, as the embedded one does. `twice`: it may stand there
   * twice, as on Kafka, and the processors drop it.
   */
  readonly duplicates: "once" | "twice";
  /** What its log takes at once, where that is not the product's default. */
  readonly limits?: { readonly commitRecords: number; readonly stateCacheBytes: number };
}

export interface DeviceSpec {
  /** Unique within the scenario; MQTT client id, and the device's name in its topic. */
  readonly name: string;
  readonly everyMs: number;
  /** The first reading, from the beginning of the run. */
  readonly phaseMs: number;
  readonly qos: 0 | 1 | 2;
  /** Whether the broker is to keep its session. */
  readonly persistent: boolean;
  /** Each reading has a metric `n`, its number: two of a sensor that stands still are told apart. */
  readonly numbered: boolean;
  readonly metrics: Readonly<Record<string, MetricSpec>>;
  readonly behaviour: Behaviour;
}

export interface MetricSpec {
  readonly unit: string;
  /** What the sensor says at a moment of true time, ms since 1970; undefined where it says nothing. */
  readonly at: (timeMs: number) => number | boolean | string | undefined;
}

export interface Behaviour {
  /** `none`: payloads have no time. `wrong`: one that is off by `clockOffMs` (years, or in the future). */
  readonly time: "device" | "none" | "wrong";
  readonly clockOffMs: number;
  /** Chance that a reading is sent a second time as a new message. */
  readonly duplicates: number;
  /** Firmware that does not believe acknowledgements: chance that it sends a reading again, with DUP, although it was acknowledged. */
  readonly ignoresAcks: number;
  /** A battery node: it wakes so often, sends what it has gathered, and disconnects. */
  readonly sleep?: { readonly everyMs: number };
  /** Its connection breaks, on average so often; 0 never. */
  readonly reconnectEveryMs: number;
  /** Readings that it keeps while it has no connection; beyond it the oldest are given up. */
  readonly maxQueued: number;
  /** Unacknowledged at once. */
  readonly window: number;
  /** Breaks the connection where no acknowledgement came for so long; 0, or without it, waits as long as the connection lives. */
  readonly ackTimeoutMs?: number;
  /** Its packet ids go from 1 to this and round; 65,535 without it. Small firmware has a small circle, or always the same. */
  readonly packetIds?: number;
  /** Stretches in which it has no network: its connection breaks and none can be made, but it measures on. None without it. */
  readonly offline?: Outages;
  /** Stretches in which it measures nothing and sends nothing. */
  readonly silent: Outages;
}

export type { Episodes, Signal };
