/** What the overview and the alerts view know: gateways, a page of devices, alerts, the ledger; kept current by pushes. */
import { computed, signal } from "@preact/signals";
import type { Change, GatewayView, Page } from "../../cloud/read-model/port.ts";
import { deviceKey } from "../../events/ids.ts";
import type { Alert, Device, LedgerEntry } from "../../events/schema.ts";
import { ask } from "./api.ts";
import { LiveStream } from "./live.ts";
import {
  alertOrder,
  deviceOrder,
  newerAlert,
  newerDevice,
  newerGateway,
  withChange,
} from "./merge.core.ts";

export const DEVICE_PAGE = 50;
export const HISTORY_PAGE = 50;
/** A fleet up to here is pushed whole, so that new devices appear at once; of a larger one only what is shown. */
const WHOLE_FLEET = 100;
/** Addresses beyond some thousand characters are refused on the way. */
const MAX_WATCH_CHARACTERS = 6000;
/** When devices that are not shown change, the page is fetched anew, but no more often than this, ms. */
const REFETCH_MS = 5000;
/** A failed fetch is tried again after this, ms. */
const RETRY_MS = 2000;
/** Changes in the history on the page; beyond them it begins anew with the newest. */
const MAX_HISTORY = 1000;

export class Fleet {
  readonly loaded = signal(false);
  readonly error = signal<string | undefined>(undefined);
  readonly gateways = signal<ReadonlyMap<string, GatewayView>>(new Map());
  readonly devices = signal<readonly Device[]>([]);
  readonly deviceTotal = signal(0);
  readonly moreDevices = signal<string | undefined>(undefined);
  readonly alerts = signal<ReadonlyMap<string, Alert>>(new Map());
  readonly history = signal<readonly Alert[]>([]);
  readonly moreHistory = signal<string | undefined>(undefined);
  readonly ledger = signal<ReadonlyMap<string, LedgerEntry>>(new Map());
  readonly gatewayList = computed(() =>
    [...this.gateways.value.values()].sort((a, b) => (a.gateway < b.gateway ? -1 : 1)),
  );
  readonly active = computed(() =>
    [...this.alerts.value.values()].filter((a) => a.state !== "resolved").sort(alertOrder),
  );

  /** The alert's device, if it is among those that the page knows. */
  deviceOf(alert: Alert): Device | undefined {
    return this.devices.value.find(
      (one) => one.device === alert.device && one.gateway === alert.gateway,
    );
  }

  #search = "";
  #stream: LiveStream | undefined;
  #waiting: Change[] | undefined;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastFetch = 0;

  start(search: string): void {
    this.#search = search;
    this.#stream = new LiveStream(this.#watch(), {
      onFresh: () => void this.#load(),
      onChanges: (changes, others) => this.#onChanges(changes, others),
    });
    this.#stream.start();
  }

  stop(): void {
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#stream?.stop();
  }

  search(text: string): void {
    if (text === this.#search) return;
    this.#search = text;
    void this.#load();
  }

  async showMoreDevices(): Promise<void> {
    const after = this.moreDevices.value;
    if (after === undefined) return;
    const page = await this.#ask(() => this.#devicePage(DEVICE_PAGE, after));
    if (!page) return;
    this.devices.value = [...this.devices.value, ...page.items];
    this.moreDevices.value = page.next;
    this.#stream?.listenTo(this.#watch());
  }

  async showMoreHistory(): Promise<void> {
    const after = this.moreHistory.value;
    if (after === undefined) return;
    const page = await this.#ask(() =>
      ask<Page<Alert>>("alerts/history", { limit: HISTORY_PAGE, after }),
    );
    if (!page) return;
    this.history.value = [...this.history.value, ...page.items];
    this.moreHistory.value = page.next;
  }

  #devicePage(limit: number, after?: string): Promise<Page<Device>> {
    return ask<Page<Device>>("devices", { search: this.#search, limit, after });
  }

  async #ask<T>(question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      this.error.value = (error as Error).message;
      return undefined;
    }
  }

  async #load(): Promise<void> {
    this.#attempt += 1;
    const attempt = this.#attempt;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastFetch = performance.now();
    // What is pushed while the answers are on their way may be newer than they are, or older.
    this.#waiting = [];
    try {
      const shown = Math.min(Math.max(this.devices.value.length, DEVICE_PAGE), 4 * DEVICE_PAGE);
      const [gateways, devices, alerts, history, ledger] = await Promise.all([
        ask<{ items: GatewayView[] }>("gateways"),
        this.#devicePage(shown),
        ask<{ items: Alert[] }>("alerts"),
        ask<Page<Alert>>("alerts/history", { limit: HISTORY_PAGE }),
        ask<{ items: LedgerEntry[] }>("ledger"),
      ]);
      if (attempt !== this.#attempt) return;
      this.gateways.value = new Map(gateways.items.map((view) => [view.gateway, view]));
      this.devices.value = devices.items;
      this.deviceTotal.value = devices.total;
      this.moreDevices.value = devices.next;
      this.alerts.value = new Map(alerts.items.map((alert) => [alert.alert, alert]));
      this.history.value = history.items;
      this.moreHistory.value = history.next;
      this.ledger.value = new Map(ledger.items.map((e) => [`${e.gateway} ${e.epoch}`, e]));
      this.error.value = undefined;
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      this.#apply(waiting);
      this.loaded.value = true;
      this.#stream?.listenTo(this.#watch());
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.error.value = (error as Error).message;
      this.#loadIn(RETRY_MS);
    }
  }

  #loadIn(ms: number): void {
    this.#timer ??= setTimeout(() => void this.#load(), ms);
  }

  get #isWhole(): boolean {
    const few = this.devices.value.length <= WHOLE_FLEET;
    return few && this.moreDevices.value === undefined && this.#search === "";
  }

  /** What to listen to: the whole fleet if it is small, else the devices that are shown. */
  #watch(): URLSearchParams {
    const query = new URLSearchParams();
    if (this.#isWhole) return query;
    query.set("others", "true");
    let size = 0;
    for (const device of this.devices.value) {
      const key = deviceKey(device.gateway, device.device);
      size += encodeURIComponent(key).length + "&device=".length;
      if (size > MAX_WATCH_CHARACTERS) break;
      query.append("device", key);
    }
    // Nothing found: still listen, to nobody, so that `others` is counted and a match appears.
    if (size === 0) query.append("device", "-/-");
    return query;
  }

  #onChanges(changes: readonly Change[], otherDevices: number): void {
    if (this.#waiting) this.#waiting.push(...changes);
    else this.#apply(changes);
    if (otherDevices > 0) {
      this.#loadIn(Math.max(0, this.#lastFetch + REFETCH_MS - performance.now()));
    }
  }

  #apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const gateways = new Map(this.gateways.value);
    const alerts = new Map(this.alerts.value);
    const ledger = new Map(this.ledger.value);
    const devices = new Map(this.devices.value.map((d) => [deviceKey(d.gateway, d.device), d]));
    const deviceCount = devices.size;
    let history = this.history.value;
    for (const change of changes) {
      if (change.kind === "gateway") {
        const { gateway } = change.gateway;
        gateways.set(gateway, newerGateway(gateways.get(gateway), change.gateway));
      } else if (change.kind === "device") {
        const key = deviceKey(change.device.gateway, change.device.device);
        const known = devices.get(key);
        if (known || this.#isWhole) devices.set(key, newerDevice(known, change.device));
      } else if (change.kind === "alert") {
        const { alert } = change.alert;
        alerts.set(alert, newerAlert(alerts.get(alert), change.alert));
        history = withChange(history, change.alert);
      } else if (change.kind === "ledger") {
        ledger.set(`${change.entry.gateway} ${change.entry.epoch}`, change.entry);
      }
    }
    this.gateways.value = gateways;
    this.alerts.value = alerts;
    this.ledger.value = ledger;
    this.history.value = history;
    // Cutting its end off would leave a hole before what "Show older" fetches.
    if (history.length > MAX_HISTORY) this.#loadIn(REFETCH_MS);
    this.devices.value = [...devices.values()].sort(deviceOrder);
    if (devices.size > deviceCount) {
      this.deviceTotal.value += devices.size - deviceCount;
      this.#stream?.listenTo(this.#watch());
    }
  }
}
