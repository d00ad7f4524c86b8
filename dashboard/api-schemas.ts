/** The shapes of the API under /api/v1, for the server, for the page (as types) and for whoever else reads it. */
import Type, { type Static, type TSchema } from "typebox";
import {
  alertSchema,
  deviceSchema,
  gatewayStatusSchema,
  ledgerSchema,
  type MetricValue,
} from "../events/schema.ts";
import { MAX_POINTS, SERIES_RESOLUTIONS, type SeriesResolution } from "./series.core.ts";

/** Devices or alert changes on one page of results. */
export const MAX_PAGE = 500;
export const DEFAULT_PAGE = 100;

const count = Type.Integer({ minimum: 0 });
const time = Type.Number({ description: "ms since 1970" });
const cursor = Type.String({ minLength: 1, maxLength: 1024 });
const nameParam = Type.String({ minLength: 1, maxLength: 256 });
const limit = Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE });

export const infoSchema = Type.Object({
  version: Type.String(),
  namespace: Type.String(),
  time: Type.Number({ description: "the server's clock, ms since 1970: ages are told by it" }),
  /** Whether the event log answers; while it does not, every answer is as of `since`. */
  source: Type.Object({
    state: Type.Unsafe<"following" | "waiting">({ type: "string", enum: ["following", "waiting"] }),
    since: Type.Optional(time),
    lastError: Type.Optional(Type.String()),
  }),
  mqtt: Type.Optional(Type.Object({ host: Type.String(), port: Type.Integer() })),
  objects: Type.Boolean({ description: "whether large payloads can be had at /api/v1/objects" }),
});
export type Info = Static<typeof infoSchema>;

export const objectParamsSchema = Type.Object({
  "*": Type.String({ minLength: 1, maxLength: 512 }),
});

export const totalsSchema = Type.Object({
  accepted: count,
  arrived: count,
  onTheWay: count,
  missing: count,
  duplicates: count,
  declaredLost: count,
});
export const gatewaySchema = Type.Object({
  gateway: Type.String(),
  status: Type.Optional(gatewayStatusSchema),
  lastEvent: Type.Optional(time),
  sharedBy: Type.Optional(
    Type.Array(
      Type.Object({
        epoch: Type.String(),
        hardware: Type.Optional(Type.String()),
        started: time,
        accepted: count,
        version: Type.String(),
      }),
      { description: "two or more gateways that use this id now; absent where it is one" },
    ),
  ),
  totals: totalsSchema,
});
export const gatewaysSchema = Type.Object({ items: Type.Array(gatewaySchema) });
export const ledgerListSchema = Type.Object({ items: Type.Array(ledgerSchema) });
export const alertListSchema = Type.Object({ items: Type.Array(alertSchema) });

/** The contract's files: CDDL and JSON Schemas of the events. */
export const contractIndexSchema = Type.Object({
  items: Type.Array(Type.Object({ name: Type.String(), mediaType: Type.String() })),
});
export const contractQuerySchema = Type.Object({ name: nameParam });

export const devicesQuerySchema = Type.Object({
  gateway: Type.Optional(nameParam),
  search: Type.Optional(Type.String({ maxLength: 256 })),
  limit: Type.Optional(limit),
  after: Type.Optional(cursor),
});

export const deviceQuerySchema = Type.Object({ gateway: nameParam, device: nameParam });
export const deviceDetailSchema = Type.Object({
  device: deviceSchema,
  /** Oldest time of which something is kept; absent where nothing is. */
  first: Type.Optional(time),
});
export type DeviceDetail = Static<typeof deviceDetailSchema>;

export const seriesQuerySchema = Type.Object({
  gateway: nameParam,
  device: nameParam,
  metric: nameParam,
  from: Type.Number({ description: "ms since 1970, included" }),
  to: Type.Number({ description: "ms since 1970, excluded" }),
  resolution: Type.Optional(
    Type.Unsafe<SeriesResolution>({
      ...Type.Enum([...SERIES_RESOLUTIONS]),
      type: "string",
      default: "auto",
    }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_POINTS, default: MAX_POINTS })),
});

const numberOrNull = Type.Unsafe<number | null>({ type: ["number", "null"] });
const valueOrNull = Type.Unsafe<MetricValue | null>({
  type: ["number", "boolean", "string", "null"],
});
/** Columns, one entry a point, oldest first. Null in a value column says: here a hole begins. */
export const seriesSchema = Type.Object({
  resolution: Type.Unsafe<"raw" | "1m" | "1h">({ type: "string", enum: ["raw", "1m", "1h"] }),
  from: time,
  to: time,
  /** Neighbours further apart than this, in ms, have a hole between them. */
  gap: Type.Number(),
  /** More points exist in the range than `limit`; these are the oldest. */
  truncated: Type.Boolean(),
  times: Type.Array(Type.Number()),
  /** Raw values, or the mean of each window. */
  values: Type.Array(valueOrNull),
  min: Type.Optional(Type.Array(numberOrNull)),
  max: Type.Optional(Type.Array(numberOrNull)),
  count: Type.Optional(Type.Array(numberOrNull)),
});
export type Series = Static<typeof seriesSchema>;

export const alertHistoryQuerySchema = Type.Object({
  limit: Type.Optional(limit),
  after: Type.Optional(cursor),
  alert: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
  gateway: Type.Optional(nameParam),
  device: Type.Optional(nameParam),
});

export function pageOf<T extends TSchema>(item: T) {
  return Type.Object({
    items: Type.Array(item),
    total: count,
    next: Type.Optional(Type.String()),
  });
}
