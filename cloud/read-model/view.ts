/**
 * What the read model holds in memory of what it stores: small things that every question needs. Devices are here by
 * name only, so that a fleet of thousands can be searched and paged without reading it.
 */
import { decodeCbor, decodeEvent } from "../../events/codec.ts";
import type { Alert, GatewayStatus, LedgerEntry } from "../../events/schema.ts";
import { sumTotals } from "../audit.core.ts";
import type { Draft } from "./draft.ts";
import { textTime } from "./keys.ts";
import type { GatewayView } from "./port.ts";
import { type Speakers, sharing, speak } from "./speakers.core.ts";
import { type OrderedStore, startingWith } from "./store.ts";

export class View {
  readonly positions = new Map<string, Map<number, number>>();
  readonly statuses = new Map<string, GatewayStatus>();
  /** Who speaks under each id; after a start it takes some statuses until that is known again. */
  readonly speakers = new Map<string, Speakers>();
  readonly lastEvents = new Map<string, number>();
  /** By gateway/epoch. */
  readonly entries = new Map<string, LedgerEntry>();
  readonly active = new Map<string, Alert>();
  /** Bytes of the raw readings of each hour. */
  readonly hours = new Map<number, number>();
  historyCount = 0;
  /** Device key to what a search looks at. */
  readonly #devices = new Map<string, string>();
  #sortedDevices: readonly string[] | undefined;
  readonly #byGateway = new Map<string, Map<string, LedgerEntry>>();

  static async load(store: OrderedStore): Promise<View> {
    const view = new View();
    const each = async (prefix: string, take: (rest: string, value: Uint8Array) => void) => {
      for await (const entries of store.scan(startingWith(prefix))) {
        for (const [key, value] of entries) take(key.slice(prefix.length), value);
      }
    };
    await each("p/", (rest, value) => {
      const slash = rest.lastIndexOf("/");
      view.position(
        rest.slice(0, slash),
        Number(rest.slice(slash + 1)),
        decodeCbor(value) as number,
      );
    });
    await each("g/", (key, value) =>
      view.statuses.set(key, decodeEvent("tidegate.gateway-status", value)),
    );
    await each("e/", (key, value) => view.lastEvents.set(key, decodeCbor(value) as number));
    await each("l/", (key, value) => view.#entry(key, decodeEvent("tidegate.ledger", value)));
    await each("a/", (key, value) => view.active.set(key, decodeEvent("tidegate.alert", value)));
    await each("b/", (key, value) => view.hours.set(textTime(key), decodeCbor(value) as number));
    await each("n/history", (_, value) => {
      view.historyCount = decodeCbor(value) as number;
    });
    await each("d/", (key) => view.#device(key, true));
    return view;
  }

  /** Takes over what was written. @returns the gateways that look different now */
  take(draft: Draft): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const [gateway, status] of draft.statuses) {
      if (status) this.statuses.set(gateway, status);
      else this.statuses.delete(gateway);
      changed.add(gateway);
    }
    for (const [gateway, status] of draft.spoken) {
      if (status) this.speakers.set(gateway, speak(this.speakers.get(gateway) ?? [], status));
      else this.speakers.delete(gateway);
    }
    for (const [gateway, time] of draft.lastEvents) {
      this.lastEvents.set(gateway, time);
      changed.add(gateway);
    }
    for (const [key, entry] of draft.entries) {
      this.#entry(key, entry);
      changed.add(key.slice(0, key.indexOf("/")));
    }
    for (const [key, device] of draft.devices) this.#device(key, device !== undefined);
    for (const [key, alert] of draft.activeAlerts) {
      if (alert) this.active.set(key, alert);
      else this.active.delete(key);
    }
    for (const [hour, bytes] of draft.rawBytes) {
      this.hours.set(hour, (this.hours.get(hour) ?? 0) + bytes);
    }
    this.historyCount += draft.historyAdded;
    return changed;
  }

  position(topic: string, partition: number, next: number): void {
    const partitions = this.positions.get(topic) ?? new Map<number, number>();
    partitions.set(partition, next);
    this.positions.set(topic, partitions);
  }

  get rawBytes(): number {
    let total = 0;
    for (const bytes of this.hours.values()) total += bytes;
    return total;
  }

  /** Of all that anything is known of, by name. */
  gateways(): string[] {
    const names = new Set([
      ...this.statuses.keys(),
      ...this.lastEvents.keys(),
      ...this.#byGateway.keys(),
    ]);
    return [...names].sort();
  }

  gateway(gateway: string): GatewayView {
    const status = this.statuses.get(gateway);
    const lastEvent = this.lastEvents.get(gateway);
    const sharedBy = sharing(this.speakers.get(gateway) ?? []);
    return {
      gateway,
      ...(status ? { status } : {}),
      ...(lastEvent === undefined ? {} : { lastEvent }),
      ...(sharedBy ? { sharedBy } : {}),
      totals: sumTotals([...(this.#byGateway.get(gateway)?.values() ?? [])]),
    };
  }

  /** Keys of the devices that fit, in order. */
  devices(gateway: string | undefined, search: string | undefined): readonly string[] {
    this.#sortedDevices ??= [...this.#devices.keys()].sort();
    if (gateway === undefined && !search) return this.#sortedDevices;
    const prefix = gateway === undefined ? "" : `${gateway}/`;
    const wanted = search?.toLowerCase() ?? "";
    return this.#sortedDevices.filter(
      (key) => key.startsWith(prefix) && (this.#devices.get(key) ?? "").includes(wanted),
    );
  }

  #device(key: string, exists: boolean): void {
    if (this.#devices.has(key) === exists) return;
    this.#sortedDevices = undefined;
    if (!exists) this.#devices.delete(key);
    else {
      const text = key.replaceAll("%2F", "/").replaceAll("%25", "%");
      this.#devices.set(key, text.toLowerCase());
    }
  }

  #entry(key: string, entry: LedgerEntry | undefined): void {
    const gateway = key.slice(0, key.indexOf("/"));
    const own = this.#byGateway.get(gateway) ?? new Map<string, LedgerEntry>();
    this.#byGateway.set(gateway, own);
    if (entry) {
      this.entries.set(key, entry);
      own.set(key, entry);
    } else {
      this.entries.delete(key);
      own.delete(key);
    }
  }
}
