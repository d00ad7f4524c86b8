/** Answers of the read model that are read from its store. */
import { decodeCbor, decodeEvent } from "../../events/codec.ts";
import { deviceKey, seriesKey } from "../../events/ids.ts";
import type { Alert, Device, MetricValue, Resolution, Rollup } from "../../events/schema.ts";
import { rollupKey } from "./draft.ts";
import { hourOf, textTime, timeText } from "./keys.ts";
import type { AlertQuery, DeviceQuery, Page, RawPoint, SeriesQuery } from "./port.ts";
import { type OrderedStore, startingWith } from "./store.ts";
import type { View } from "./view.ts";

export type RollupQuery = SeriesQuery & { readonly resolution: Resolution };

export async function devicePage(
  store: OrderedStore,
  view: View,
  { gateway, search, limit, after }: DeviceQuery,
): Promise<Page<Device>> {
  const keys = view.devices(gateway, search);
  const start = after === undefined ? 0 : firstAfter(keys, after);
  const page = keys.slice(start, start + limit);
  const values = await store.getMany(page.map((key) => `d/${key}`));
  const last = page.at(-1);
  return {
    items: values.flatMap((value) => (value ? [decodeEvent("tidegate.device", value)] : [])),
    total: keys.length,
    ...(last !== undefined && start + limit < keys.length ? { next: last } : {}),
  };
}

export async function rawPoints(
  store: OrderedStore,
  view: View,
  { gateway, device, metric, from, to, limit }: SeriesQuery,
): Promise<readonly RawPoint[]> {
  const points: RawPoint[] = [];
  const hours = [...view.hours.keys()].sort((a, b) => a - b);
  for (const hour of hours) {
    if (hour < hourOf(from) || hour >= to) continue;
    const prefix = `r/${timeText(hour)}/${deviceKey(gateway, device)}/`;
    const range = {
      gte: prefix + timeText(Math.ceil(from)),
      lt: prefix + timeText(Math.ceil(to)),
    };
    for await (const entries of store.scan(range)) {
      for (const [key, value] of entries) {
        const metrics = decodeCbor(value) as Readonly<Record<string, MetricValue>>;
        if (!Object.hasOwn(metrics, metric)) continue;
        if (points.length >= limit) return points;
        const time = textTime(key.slice(prefix.length, key.indexOf("/", prefix.length)));
        points.push({ time, value: metrics[metric] as MetricValue });
      }
    }
  }
  return points;
}

export async function rollupWindows(
  store: OrderedStore,
  query: RollupQuery,
): Promise<readonly Rollup[]> {
  const { gateway, device, metric, resolution, from, to, limit } = query;
  const series = seriesKey(gateway, device, metric);
  const range = {
    gte: rollupKey(series, resolution, Math.ceil(from)),
    lt: rollupKey(series, resolution, Math.ceil(to)),
    limit,
  };
  const found: Rollup[] = [];
  for await (const entries of store.scan(range)) {
    for (const [key, value] of entries) {
      const window = textTime(key.slice(key.lastIndexOf("/") + 1));
      const [count, min, max, sum, revision] = decodeCbor(value) as RollupNumbers;
      found.push({ gateway, device, metric, resolution, window, count, min, max, sum, revision });
    }
  }
  return found;
}

export async function alertPage(
  store: OrderedStore,
  view: View,
  { limit, after, alert }: AlertQuery,
): Promise<Page<Alert>> {
  const prefix = alert === undefined ? "h/" : `i/${alert}/`;
  const all = startingWith(prefix);
  const range = after === undefined ? all : { ...all, lt: prefix + after };
  const keys: string[] = [];
  for await (const entries of store.scan({ ...range, reverse: true, limit: limit + 1 })) {
    for (const [key] of entries) keys.push(key.slice(prefix.length));
  }
  const page = keys.slice(0, limit);
  const values = await store.getMany(page.map((position) => `h/${position}`));
  const last = page.at(-1);
  return {
    items: values.flatMap((value) => (value ? [decodeEvent("tidegate.alert", value)] : [])),
    total: alert === undefined ? view.historyCount : await count(store, prefix),
    ...(last !== undefined && keys.length > limit ? { next: last } : {}),
  };
}

async function count(store: OrderedStore, prefix: string): Promise<number> {
  let count = 0;
  for await (const entries of store.scan(startingWith(prefix))) count += entries.length;
  return count;
}

type RollupNumbers = readonly [
  count: number,
  min: number,
  max: number,
  sum: number,
  revision: number,
];

/** Index of the first key after the cursor. */
function firstAfter(keys: readonly string[], cursor: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) <= cursor) low = middle + 1;
    else high = middle;
  }
  return low;
}
