/**
 * The answers of the API as this page reads them. The page knows the server only by its API, so it has its own words for
 * them; api-types.test.ts has the compiler hold them against the server's schemas.
 */
import type { Device, MetricValue } from "../../events/schema.ts";

export interface Info {
  version: string;
  namespace: string;
  /** The server's clock, ms since 1970. */
  time: number;
  /** Whether the event log answers. */
  source: { state: "following" | "waiting"; since?: number; lastError?: string };
  /** Where devices publish, if the server knows. */
  mqtt?: { host: string; port: number };
  /** Whether large payloads can be had from the server. */
  objects: boolean;
}

export interface DeviceDetail {
  device: Device;
  /** Oldest time of which something is kept, ms since 1970. */
  first?: number;
}

/** Columns, one entry a point, oldest first; a null value says that a hole begins. */
export interface Series {
  resolution: "raw" | "1m" | "1h";
  from: number;
  to: number;
  /** Neighbours further apart than this, in ms, have a hole between them. */
  gap: number;
  truncated: boolean;
  times: number[];
  values: (MetricValue | null)[];
  min?: (number | null)[];
  max?: (number | null)[];
  count?: (number | null)[];
}

/** RFC 9457, as much of it as is shown. */
export interface Problem {
  code: string;
  detail: string;
}
