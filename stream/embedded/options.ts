/** What an embedded log can be told, with what each limit is for. */
import { systemTimers, type Timers } from "../../time/timers.ts";
import type { Cleanup } from "../port.ts";
import type { Level, LevelOpener } from "./database.ts";

/** What of a logger is used; pino's has it. */
export interface EmbeddedLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface EmbeddedEventLogOptions {
  /** Directory of this log alone; made where it does not exist. */
  readonly directory: string;
  readonly logger?: EmbeddedLogger;
  /** ms since 1970; stamps records and decides retention. Default the system's clock. */
  readonly now?: () => number;
  /** ms on a clock that nobody sets; bounds what a wall clock that jumps may delete. Default the process's. */
  readonly moment?: () => number;
  /** Default: the machine's. */
  readonly timers?: Timers;
  /** In [0, 1); spreads pauses before tries. */
  readonly random?: () => number;
  /** Most bytes that topics with cleanup `delete` keep together, before compression; the oldest go first. */
  readonly maxBytes?: number;
  /** Largest record, key, headers and value together, in bytes. */
  readonly maxRecordBytes?: number;
  /** Most bytes that wait to be written; an append beyond is refused. */
  readonly maxPendingBytes?: number;
  /** How long a compacted topic keeps a tombstone for readers that were away, ms. */
  readonly tombstoneRetentionMs?: number;
  /** Pause between two sweeps of what may go, ms. */
  readonly sweepIntervalMs?: number;
  /** Most records that a processor takes into one commit. */
  readonly commitRecords?: number;
  /** Longest that a processor steps before it commits and lets others run, ms. */
  readonly commitStepMs?: number;
  /** State that a processor keeps decoded in memory for each partition, bytes. */
  readonly stateCacheBytes?: number;
  /** Opens the database; tests plant faults here. */
  readonly openLevel?: LevelOpener;
  /** In the place of the directory's database, one that is somewhere else, as a simulation's is. */
  readonly open?: () => Promise<Level>;
}

export const EMBEDDED_DEFAULTS = {
  /** About 30 million readings as they stand on disk: weeks of a small site, a fraction of a small card. */
  maxBytes: 2 * 1024 ** 3,
  /** Kafka's default for one message, so that what fits here fits there. */
  maxRecordBytes: 1024 ** 2,
  /** Some seconds of the fastest ingest: more waiting means that the disk does not keep up. */
  maxPendingBytes: 64 * 1024 ** 2,
  /** Kafka's delete.retention.ms. */
  tombstoneRetentionMs: 24 * 3_600_000,
  /** Retention is counted in hours; a minute is soon enough and costs nothing. */
  sweepIntervalMs: 60_000,
  /** At about 5 µs a step a few ms of work: one fsync is shared by many inputs, MQTT next door waits little. */
  commitRecords: 500,
  commitStepMs: 10,
  /** The working set of a site with thousands of series. */
  stateCacheBytes: 16 * 1024 ** 2,
} as const;

/** The options with every default filled in. */
export interface EmbeddedSettings {
  readonly now: () => number;
  readonly moment: () => number;
  readonly timers: Timers;
  readonly random: () => number;
  readonly logger: EmbeddedLogger;
  readonly maxBytes: number;
  readonly maxRecordBytes: number;
  readonly maxPendingBytes: number;
  readonly tombstoneRetentionMs: number;
  readonly sweepIntervalMs: number;
  readonly commitRecords: number;
  readonly commitStepMs: number;
  readonly stateCacheBytes: number;
}

const silent: EmbeddedLogger = { info() {}, warn() {}, error() {} };

export function settingsOf(options: EmbeddedEventLogOptions): EmbeddedSettings {
  return {
    ...EMBEDDED_DEFAULTS,
    now: Date.now,
    moment: () => performance.now(),
    timers: systemTimers,
    random: Math.random,
    logger: silent,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
}

export function isCompacted(cleanup: Cleanup): boolean {
  return cleanup !== "delete";
}
