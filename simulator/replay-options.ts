/** What a replay can be told, what it tells as it goes, and what it says at the end. */
import type { MetricNames } from "./recording.ts";

export interface ReplayOptions {
  readonly file: string;
  readonly host: string;
  readonly port: number;
  /** 1 is the recording's own pace, 60 a minute each second, 0 as fast as acknowledgements allow. Default 0. */
  readonly speed?: number | undefined;
  /** Default: the file's name without its ending. */
  readonly device?: string | undefined;
  /** Header of the column of time. Default: date, time, timestamp or datetime. */
  readonly timeColumn?: string | undefined;
  /** Default `header`: metrics are called as in the file. */
  readonly metricNames?: MetricNames | undefined;
  /** Default `,`. */
  readonly delimiter?: string | undefined;
  /** Counts rows that cannot be read instead of stopping at the first. Default false. */
  readonly skipBad?: boolean | undefined;
  /** Most unacknowledged rows. Default 100. */
  readonly window?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** How long to wait for the first connection, ms; later ones are waited for without end. Default 10 s. */
  readonly connectMs?: number | undefined;
  /** What remains unacknowledged for so long after `signal` is given up, ms. Default 10 s. */
  readonly drainMs?: number | undefined;
  readonly ledger?: string | undefined;
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
  /** Default 1 s. */
  readonly progressEveryMs?: number | undefined;
  /** Stops reading; what was sent is waited for. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReplayProgress {
  readonly elapsedMs: number;
  readonly device: string;
  readonly sent: number;
  readonly acknowledged: number;
  /** Rows that will have been sent at the end. */
  readonly total: number;
  readonly skipped: number;
  readonly resent: number;
  readonly acknowledgedPerSecond: number;
  readonly latencyP50Ms: number | undefined;
  readonly latencyP99Ms: number | undefined;
  /** Recorded time of the last row sent, ms since 1970. */
  readonly recordedTime: number | undefined;
  readonly connected: boolean;
  readonly fault: string | undefined;
}

export interface ReplaySummary {
  readonly elapsedMs: number;
  readonly device: string;
  readonly metrics: readonly string[];
  /** Rows of data in the file, bad ones included. */
  readonly rows: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly skipped: number;
  /** The first of what was passed over, as `file:line: why`. */
  readonly skippedBecause: readonly string[];
  readonly resent: number;
  readonly firstTime: number | undefined;
  readonly lastTime: number | undefined;
  /** The signal ended it before the file did. */
  readonly aborted: boolean;
}
