/** What the view of one device knows: last values, charts, alerts; kept current by pushes. */
import { signal } from "@preact/signals";
import type { Change, Page } from "../../cloud/read-model/port.ts";
import { deviceKey } from "../../events/ids.ts";
import type { Alert, Device } from "../../events/schema.ts";
import { ApiError, ask } from "./api.ts";
import type { DeviceDetail, Series } from "./api-types.ts";
import {
  addReading,
  addRollup,
  type ChartData,
  dropBefore,
  fromSeries,
} from "./chart-data.core.ts";
import { LiveStream } from "./live.ts";
import { alertOrder, newerAlert, newerDevice, withChange } from "./merge.core.ts";
import { RANGE_MS, type Range } from "./route.core.ts";
import { serverNow } from "./state.ts";

/** Charts shown before "show all": more at once make a phone slow. */
export const CHARTS_AT_FIRST = 12;
const RETRY_MS = 2000;
const HOUR = 3_600_000;

export class DeviceModel {
  readonly gateway: string;
  readonly name: string;
  readonly device = signal<Device | undefined>(undefined);
  readonly unknown = signal(false);
  readonly error = signal<string | undefined>(undefined);
  readonly first = signal<number | undefined>(undefined);
  readonly charts = signal<ReadonlyMap<string, ChartData>>(new Map());
  readonly chartsLoaded = signal(false);
  readonly active = signal<readonly Alert[]>([]);
  readonly history = signal<readonly Alert[]>([]);
  /** The range in use; chosen by the newest reading where the address names none. */
  readonly range = signal<Range>("1h");
  readonly showAll = signal(false);

  #wanted: Range | undefined;
  #stream: LiveStream | undefined;
  #waiting: Change[] | undefined;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(gateway: string, name: string) {
    this.gateway = gateway;
    this.name = name;
  }

  start(range: Range | undefined): void {
    this.#wanted = range;
    this.#stream = new LiveStream(this.#watch(), {
      onFresh: () => void this.#load(),
      onChanges: (changes) => {
        if (this.#waiting) this.#waiting.push(...changes);
        else this.#apply(changes);
      },
    });
    this.#stream.start();
  }

  stop(): void {
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#stream?.stop();
  }

  setRange(range: Range | undefined): void {
    if (JSON.stringify(range) === JSON.stringify(this.#wanted)) return;
    this.#wanted = range;
    void this.#load();
  }

  showAllCharts(): void {
    this.showAll.value = true;
    void this.#load();
  }

  /** The piece of time that the charts show, ms. */
  bounds(now: number): { readonly from: number; readonly to: number } {
    const range = this.range.value;
    if (typeof range !== "string") return range;
    if (range !== "all") return { from: now - RANGE_MS[range], to: now };
    const to = (this.device.value?.last_seen ?? now) + 1;
    const from = Math.min(this.first.value ?? to - HOUR, to - 1000);
    return { from, to };
  }

  numericMetrics(): readonly string[] {
    const metrics = Object.entries(this.device.value?.metrics ?? {});
    return metrics.filter(([, last]) => typeof last.value === "number").map(([metric]) => metric);
  }

  #watch(): URLSearchParams {
    const query = new URLSearchParams({ device: deviceKey(this.gateway, this.name) });
    const resolutions = new Set([...this.charts.value.values()].map((data) => data.resolution));
    const kinds = ["device", "alert"];
    if (resolutions.size === 0 || resolutions.has("raw")) kinds.push("reading");
    if (resolutions.has("1m") || resolutions.has("1h")) kinds.push("rollup");
    for (const kind of kinds) query.append("kind", kind);
    return query;
  }

  async #load(): Promise<void> {
    this.#attempt += 1;
    const attempt = this.#attempt;
    clearTimeout(this.#timer);
    this.#waiting = [];
    const names = { gateway: this.gateway, device: this.name };
    try {
      const [detail, active, history] = await Promise.all([
        ask<DeviceDetail>("device", names),
        ask<{ items: Alert[] }>("alerts"),
        ask<Page<Alert>>("alerts/history", { ...names, limit: 50 }),
      ]);
      if (attempt !== this.#attempt) return;
      this.unknown.value = false;
      this.device.value = detail.device;
      this.first.value = detail.first;
      this.active.value = active.items.filter((alert) => this.#isOurs(alert)).sort(alertOrder);
      this.history.value = history.items;
      this.range.value = this.#wanted ?? this.#ownRange(detail.device);
      const charts = await this.#loadCharts();
      if (attempt !== this.#attempt) return;
      this.charts.value = charts;
      this.chartsLoaded.value = true;
      this.error.value = undefined;
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      this.#apply(waiting);
      this.#stream?.listenTo(this.#watch());
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.unknown.value = error instanceof ApiError && error.status === 404;
      this.error.value = (error as Error).message;
      // A device that nobody heard yet is waited for: its first reading is pushed.
      if (!this.unknown.value) this.#timer = setTimeout(() => void this.#load(), RETRY_MS);
    }
  }

  /** The last hour if it says anything, else all there is: a recording of years ago is found without searching. */
  #ownRange(device: Device): Range {
    const age = serverNow() - device.last_seen;
    return Math.abs(age) < HOUR ? "1h" : "all";
  }

  async #loadCharts(): Promise<ReadonlyMap<string, ChartData>> {
    const all = this.numericMetrics();
    const metrics = this.showAll.value ? all : all.slice(0, CHARTS_AT_FIRST);
    const { from, to } = this.bounds(serverNow());
    const names = { gateway: this.gateway, device: this.name };
    const loaded = await Promise.all(
      metrics.map(async (metric): Promise<[string, ChartData]> => {
        const range = { from: Math.floor(from), to: Math.ceil(to) };
        const series = await ask<Series>("series", { ...names, metric, ...range });
        return [metric, fromSeries(series)];
      }),
    );
    return new Map(loaded);
  }

  #isOurs(thing: { readonly gateway: string; readonly device: string }): boolean {
    return thing.gateway === this.gateway && thing.device === this.name;
  }

  #apply(changes: readonly Change[]): void {
    const charts = new Map(this.charts.value);
    const { from, to } = this.bounds(serverNow());
    const isFixed = typeof this.range.value !== "string";
    let isNewMetric = false;
    for (const change of changes) {
      if (change.kind === "device" && this.#isOurs(change.device)) {
        const known = this.numericMetrics().length;
        this.device.value = newerDevice(this.device.value, change.device);
        isNewMetric ||= this.numericMetrics().length > known || this.unknown.value;
      } else if (change.kind === "alert" && this.#isOurs(change.alert)) {
        this.#applyAlert(change.alert);
      } else if (change.kind === "reading" && this.#isOurs(change)) {
        if (isFixed && (change.time < from || change.time >= to)) continue;
        for (const [metric, value] of Object.entries(change.metrics)) {
          const data = charts.get(metric);
          if (data?.resolution !== "raw" || typeof value !== "number") continue;
          charts.set(metric, addReading(data, change.time, value));
        }
      } else if (change.kind === "rollup" && this.#isOurs(change.rollup)) {
        const { metric, resolution, window } = change.rollup;
        const data = charts.get(metric);
        if (data?.resolution !== resolution || (isFixed && (window < from || window >= to)))
          continue;
        charts.set(metric, addRollup(data, change.rollup));
      }
    }
    if (!isFixed && this.range.value !== "all") {
      for (const [metric, data] of charts) charts.set(metric, dropBefore(data, from));
    }
    this.charts.value = charts;
    // A metric that never was a number before: its chart has to be fetched.
    if (isNewMetric && (this.showAll.value || charts.size < CHARTS_AT_FIRST)) void this.#load();
  }

  #applyAlert(alert: Alert): void {
    this.history.value = withChange(this.history.value, alert).slice(0, 200);
    const known = this.active.value.find((other) => other.alert === alert.alert);
    const newest = newerAlert(known, alert);
    const others = this.active.value.filter((other) => other.alert !== alert.alert);
    const next = newest.state === "resolved" ? others : [...others, newest];
    this.active.value = next.sort(alertOrder);
  }
}
