/**
 * The read model: what the dashboard and the audit ask. It is a view of the topics, never the truth: it can be
 * thrown away and filled again from them. All times are ms since 1970.
 */
import type {
  Alert,
  Device,
  GatewayStatus,
  LedgerEntry,
  MetricValue,
  Resolution,
  Rollup,
} from "../../events/schema.ts";
import type { TailStatus } from "../../stream/port.ts";
import type { Speaker } from "./speakers.core.ts";

/** A gateway: what it last said of itself, and what of its journal has arrived, all epochs together. */
export interface GatewayView {
  readonly gateway: string;
  /** Undefined until a status arrived (its journal may come first). */
  readonly status?: GatewayStatus;
  /** Event time of the newest journal event, ms. */
  readonly lastEvent?: number;
  /** Two or more gateways that use this id now; absent where it is one, as it should be. */
  readonly sharedBy?: readonly Speaker[];
  readonly totals: LedgerTotals;
}

/** Counts of events of the journal. accepted = arrived + onTheWay + missing + declaredLost. */
export interface LedgerTotals {
  readonly accepted: number;
  readonly arrived: number;
  readonly onTheWay: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly declaredLost: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string;
}

export interface DeviceQuery {
  readonly gateway?: string;
  /** Part of the device or gateway name, case ignored. */
  readonly search?: string;
  readonly limit: number;
  readonly after?: string;
}

export interface RawPoint {
  readonly time: number;
  readonly value: MetricValue;
}

export interface SeriesQuery {
  readonly gateway: string;
  readonly device: string;
  readonly metric: string;
  /** `[from, to)`, ms since 1970. */
  readonly from: number;
  readonly to: number;
  readonly limit: number;
}

export interface AlertQuery {
  readonly limit: number;
  /** Only changes before this cursor. */
  readonly after?: string;
  readonly alert?: string;
}

export const CHANGE_KINDS = ["gateway", "device", "reading", "rollup", "alert", "ledger"] as const;

/** What changed, as pushed to pages. */
export type Change =
  | { readonly kind: "gateway"; readonly gateway: GatewayView }
  | { readonly kind: "device"; readonly device: Device }
  | {
      readonly kind: "reading";
      readonly gateway: string;
      readonly device: string;
      readonly time: number;
      readonly metrics: Readonly<Record<string, MetricValue>>;
    }
  | { readonly kind: "rollup"; readonly rollup: Rollup }
  | { readonly kind: "alert"; readonly alert: Alert }
  | { readonly kind: "ledger"; readonly entry: LedgerEntry };

export interface ReadModel {
  start(): Promise<void>;
  stop(): Promise<void>;
  gateways(): Promise<readonly GatewayView[]>;
  devices(query: DeviceQuery): Promise<Page<Device>>;
  device(gateway: string, device: string): Promise<Device | undefined>;
  /** Raw readings by event time, oldest first; duplicates of one event counted once. */
  raw(query: SeriesQuery): Promise<readonly RawPoint[]>;
  /** Rollups by window, oldest first; windows without readings are absent. */
  rollups(query: SeriesQuery & { readonly resolution: Resolution }): Promise<readonly Rollup[]>;
  /** Alerts that are pending or firing now, the newest change first. */
  activeAlerts(): Promise<readonly Alert[]>;
  /** Changes of alerts, newest first. */
  alertHistory(query: AlertQuery): Promise<Page<Alert>>;
  ledger(): Promise<readonly LedgerEntry[]>;
  /** Whether the log that fills it answers; while it waits, all answers are as of `since`. */
  source(): TailStatus;
  /**
   * Calls back with the changes of each applied batch, after they can be read. `sequence` grows by one a call and
   * starts anew with the process. @returns a function that ends it
   */
  subscribe(listener: (changes: readonly Change[], sequence: number) => void): () => void;
}
