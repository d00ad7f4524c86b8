/**
 * A read model in memory for the dashboard's own tests and for looking at the page while it is built. It keeps what it
 * is given and computes nothing from it but rollups, so that a test states exactly what the page is to show.
 */

import type {
  AlertQuery,
  Change,
  DeviceQuery,
  GatewayView,
  Page,
  RawPoint,
  ReadModel,
  SeriesQuery,
} from "../../cloud/read-model/port.ts";
import { deviceKey, seriesKey } from "../../events/ids.ts";
import {
  type Alert,
  type Device,
  type LedgerEntry,
  type MetricValue,
  RESOLUTION_MS,
  RESOLUTIONS,
  type Resolution,
  type Rollup,
} from "../../events/schema.ts";
import type { TailStatus } from "../../stream/port.ts";

type Listener = (changes: readonly Change[], sequence: number) => void;

export class FakeReadModel implements ReadModel {
  readonly gatewayViews = new Map<string, GatewayView>();
  readonly deviceViews = new Map<string, Device>();
  readonly points = new Map<string, RawPoint[]>();
  readonly windows = new Map<string, Map<number, Rollup>>();
  readonly history: Alert[] = [];
  readonly entries = new Map<string, LedgerEntry>();
  readonly listeners = new Set<Listener>();
  /** Set to make every question fail, as a store does whose disk is gone. */
  fault: Error | undefined;
  /** Whether its log answers. */
  log: TailStatus = { state: "following" };
  #sequence = 0;

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  #check(): void {
    if (this.fault) throw this.fault;
  }

  async gateways(): Promise<readonly GatewayView[]> {
    this.#check();
    return [...this.gatewayViews.values()];
  }

  async devices(query: DeviceQuery): Promise<Page<Device>> {
    this.#check();
    const search = query.search?.toLowerCase() ?? "";
    const all = [...this.deviceViews.entries()]
      .filter(([key]) => key.toLowerCase().includes(search))
      .filter(([, device]) => !query.gateway || device.gateway === query.gateway)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const rest = all.filter(([key]) => query.after === undefined || key > query.after);
    const items = rest.slice(0, query.limit);
    const next = rest.length > items.length ? items.at(-1)?.[0] : undefined;
    return {
      items: items.map(([, device]) => device),
      total: all.length,
      ...(next === undefined ? {} : { next }),
    };
  }

  async device(gateway: string, device: string): Promise<Device | undefined> {
    this.#check();
    return this.deviceViews.get(deviceKey(gateway, device));
  }

  async raw(query: SeriesQuery): Promise<readonly RawPoint[]> {
    this.#check();
    const points = this.points.get(seriesKey(query.gateway, query.device, query.metric)) ?? [];
    return points
      .filter((point) => point.time >= query.from && point.time < query.to)
      .slice(0, query.limit);
  }

  async rollups(
    query: SeriesQuery & { readonly resolution: Resolution },
  ): Promise<readonly Rollup[]> {
    this.#check();
    const key = `${seriesKey(query.gateway, query.device, query.metric)} ${query.resolution}`;
    return [...(this.windows.get(key)?.values() ?? [])]
      .filter((rollup) => rollup.window >= query.from && rollup.window < query.to)
      .sort((a, b) => a.window - b.window)
      .slice(0, query.limit);
  }

  async activeAlerts(): Promise<readonly Alert[]> {
    this.#check();
    const latest = new Map(this.history.map((alert) => [alert.alert, alert]));
    return [...latest.values()]
      .filter((alert) => alert.state !== "resolved")
      .sort((a, b) => b.changed - a.changed);
  }

  async alertHistory(query: AlertQuery): Promise<Page<Alert>> {
    this.#check();
    const all = this.history.filter((alert) => !query.alert || alert.alert === query.alert);
    const newestFirst = [...all].reverse();
    const start = Number(query.after ?? 0);
    const items = newestFirst.slice(start, start + query.limit);
    const end = start + items.length;
    return { items, total: all.length, ...(end < all.length ? { next: String(end) } : {}) };
  }

  async ledger(): Promise<readonly LedgerEntry[]> {
    this.#check();
    return [...this.entries.values()];
  }

  source(): TailStatus {
    return this.log;
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Keeps nothing, only tells: what was kept before is what can be read. */
  emit(changes: readonly Change[]): void {
    this.#sequence += 1;
    for (const listener of this.listeners) listener(changes, this.#sequence);
  }

  /** A reading as the whole pipeline would show it: point, rollups, last values. */
  addReading(
    gateway: string,
    name: string,
    time: number,
    metrics: Readonly<Record<string, MetricValue>>,
    { silent = false }: { readonly silent?: boolean } = {},
  ): void {
    const changes: Change[] = [{ kind: "reading", gateway, device: name, time, metrics }];
    const key = deviceKey(gateway, name);
    const before = this.deviceViews.get(key);
    const last: Device["metrics"] = { ...before?.metrics };
    for (const [metric, value] of Object.entries(metrics)) {
      if ((last[metric]?.time ?? Number.NEGATIVE_INFINITY) <= time) last[metric] = { value, time };
      const series = seriesKey(gateway, name, metric);
      const points = this.points.get(series) ?? [];
      points.push({ time, value });
      this.points.set(series, points);
      if (typeof value !== "number") continue;
      for (const resolution of RESOLUTIONS) {
        const rollup = this.#roll(
          series,
          { gateway, device: name, metric, resolution },
          time,
          value,
        );
        changes.push({ kind: "rollup", rollup });
      }
    }
    const device: Device = {
      gateway,
      device: name,
      last_seen: Math.max(before?.last_seen ?? time, time),
      readings: (before?.readings ?? 0) + 1,
      metrics: last,
    };
    this.deviceViews.set(key, device);
    changes.push({ kind: "device", device });
    if (!silent) this.emit(changes);
  }

  #roll(
    series: string,
    names: Pick<Rollup, "gateway" | "device" | "metric" | "resolution">,
    time: number,
    value: number,
  ): Rollup {
    const size = RESOLUTION_MS[names.resolution];
    const window = Math.floor(time / size) * size;
    const key = `${series} ${names.resolution}`;
    const windows = this.windows.get(key) ?? new Map<number, Rollup>();
    this.windows.set(key, windows);
    const before = windows.get(window);
    const rollup: Rollup = {
      ...names,
      window,
      count: (before?.count ?? 0) + 1,
      min: Math.min(before?.min ?? value, value),
      max: Math.max(before?.max ?? value, value),
      sum: (before?.sum ?? 0) + value,
      revision: (before?.revision ?? 0) + 1,
    };
    windows.set(window, rollup);
    return rollup;
  }

  addAlert(alert: Alert, { silent = false }: { readonly silent?: boolean } = {}): void {
    this.history.push(alert);
    if (!silent) this.emit([{ kind: "alert", alert }]);
  }

  setGateway(gateway: GatewayView, { silent = false }: { readonly silent?: boolean } = {}): void {
    this.gatewayViews.set(gateway.gateway, gateway);
    if (!silent) this.emit([{ kind: "gateway", gateway }]);
  }

  setLedger(entry: LedgerEntry, { silent = false }: { readonly silent?: boolean } = {}): void {
    this.entries.set(`${entry.gateway} ${entry.epoch}`, entry);
    if (!silent) this.emit([{ kind: "ledger", entry }]);
  }
}
