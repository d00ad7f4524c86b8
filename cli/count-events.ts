/** Counts what waits in a buffer: by type, by device, and from when to when. */
import { decodeCbor } from "../events/codec.ts";
import type { BufferedEvent } from "../gateway/buffer/port.ts";

export interface Counted {
  readonly events: number;
  readonly bytes: number;
}

export interface BufferCounts extends Counted {
  readonly byType: Readonly<Record<string, Counted>>;
  /** Those with the most events. */
  readonly topDevices: readonly (Counted & { readonly device: string })[];
  readonly devices: number;
  /** Times of the events, ms since 1970; undefined where nothing waits. */
  readonly oldest: number | undefined;
  readonly newest: number | undefined;
  /** Events that losses in the buffer stand for. */
  readonly declaredLost: number;
}

const TOP = 10;

export async function countEvents(events: AsyncIterable<BufferedEvent>): Promise<BufferCounts> {
  const types = new Map<string, { events: number; bytes: number }>();
  const devices = new Map<string, { events: number; bytes: number }>();
  let oldest: number | undefined;
  let newest: number | undefined;
  let declaredLost = 0;
  let all = 0;
  let total = 0;
  for await (const { type, time, value } of events) {
    all += 1;
    total += value.length;
    add(types, type, value.length);
    if (Number.isFinite(time)) {
      oldest = Math.min(oldest ?? time, time);
      newest = Math.max(newest ?? time, time);
    }
    if (type !== "tidegate.reading" && type !== "tidegate.loss") continue;
    const content = decodeCbor(value) as { device?: unknown; from?: unknown; to?: unknown };
    if (type === "tidegate.reading") add(devices, String(content.device), value.length);
    else declaredLost += Number(content.to) - Number(content.from) + 1;
  }
  const topDevices = [...devices]
    .map(([device, counted]) => ({ device, ...counted }))
    .sort((a, b) => b.events - a.events || (a.device < b.device ? -1 : 1))
    .slice(0, TOP);
  return {
    events: all,
    bytes: total,
    byType: Object.fromEntries(types),
    topDevices,
    devices: devices.size,
    oldest,
    newest,
    declaredLost,
  };
}

function add(
  map: Map<string, { events: number; bytes: number }>,
  key: string,
  bytes: number,
): void {
  const counted = map.get(key) ?? { events: 0, bytes: 0 };
  counted.events += 1;
  counted.bytes += bytes;
  map.set(key, counted);
}
