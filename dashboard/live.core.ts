/**
 * What waits for one open page until its next push. Pure: changes go in, frames come out.
 *
 * Changes that replace each other are coalesced to the newest, so that a fleet of any size costs a page at most one
 * state a thing and push; readings and alert changes, which do not replace each other, are kept up to a limit, and
 * `overflow` says when it was passed.
 */

import type { CHANGE_KINDS, Change } from "../cloud/read-model/port.ts";
import { deviceKey } from "../events/ids.ts";
import type { Resolution } from "../events/schema.ts";

export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Devices named in one filter: a page of results, with room. */
export const MAX_WATCHED_DEVICES = 200;
/** Devices in one push: about 100 kB. The rest follow in the next, the longest waiting first. */
export const MAX_DEVICES_PER_FRAME = 400;
/** Readings and alert changes that may wait: 2,000 readings are 8,000/s of one device at 4 pushes/s. */
export const MAX_WAITING_CHANGES = 2000;

export interface LiveFilter {
  readonly kinds: ReadonlySet<ChangeKind>;
  /** `gateway/device` keys; devices, readings and rollups of others are left out. Undefined lets all through. */
  readonly devices?: ReadonlySet<string>;
  /** Rollups of other resolutions are left out. */
  readonly resolution?: Resolution;
  /** Count the devices outside the filter that change. */
  readonly countOthers?: boolean;
}

export interface LiveFrame {
  readonly changes: readonly Change[];
  /** How many devices outside the filter changed as well. */
  readonly otherDevices: number;
  /** Everything up to this batch is now told; undefined while something of it still waits. */
  readonly sequence?: number;
}

export class LiveQueue {
  readonly #filter: LiveFilter;
  readonly #states = new Map<string, Change>();
  readonly #devices = new Map<string, Change>();
  readonly #others = new Set<string>();
  #events: Change[] = [];
  #overflow = false;
  #sequence: number | undefined;

  constructor(filter: LiveFilter) {
    this.#filter = filter;
  }

  /** True once more than may wait came in: the page has to start anew. */
  get overflow(): boolean {
    return this.#overflow;
  }

  get empty(): boolean {
    return this.#states.size + this.#devices.size + this.#others.size + this.#events.length === 0;
  }

  add(changes: readonly Change[], sequence: number): void {
    this.#sequence = sequence;
    for (const change of changes) this.#addOne(change);
  }

  #addOne(change: Change): void {
    if (!this.#filter.kinds.has(change.kind)) return;
    switch (change.kind) {
      case "gateway":
        this.#states.set(`gateway ${change.gateway.gateway}`, change);
        return;
      case "ledger":
        this.#states.set(`ledger ${change.entry.gateway} ${change.entry.epoch}`, change);
        return;
      case "device": {
        const key = deviceKey(change.device.gateway, change.device.device);
        if (this.#watches(key)) this.#devices.set(key, change);
        else if (this.#filter.countOthers && this.#others.size < MAX_WAITING_CHANGES)
          this.#others.add(key);
        return;
      }
      case "rollup": {
        const { gateway, device, metric, resolution, window } = change.rollup;
        if (!this.#watches(deviceKey(gateway, device))) return;
        if (this.#filter.resolution && this.#filter.resolution !== resolution) return;
        const key = JSON.stringify([gateway, device, metric, resolution, window]);
        if (this.#states.size >= MAX_WAITING_CHANGES && !this.#states.has(key)) {
          this.#overflow = true;
          return;
        }
        this.#states.set(key, change);
        return;
      }
      case "reading":
        if (this.#watches(deviceKey(change.gateway, change.device))) this.#addEvent(change);
        return;
      case "alert":
        this.#addEvent(change);
        return;
    }
  }

  #addEvent(change: Change): void {
    if (this.#events.length >= MAX_WAITING_CHANGES) this.#overflow = true;
    else this.#events.push(change);
  }

  #watches(key: string): boolean {
    return this.#filter.devices?.has(key) ?? true;
  }

  /** What is to be pushed now; undefined where there is nothing. */
  take(): LiveFrame | undefined {
    if (this.empty) return undefined;
    const changes = [...this.#states.values(), ...this.#events];
    this.#states.clear();
    this.#events = [];
    let room = MAX_DEVICES_PER_FRAME;
    for (const [key, change] of this.#devices) {
      if (room-- === 0) break;
      changes.push(change);
      this.#devices.delete(key);
    }
    const otherDevices = this.#others.size;
    this.#others.clear();
    const told = this.#devices.size === 0 && this.#sequence !== undefined;
    return { changes, otherDevices, ...(told ? { sequence: this.#sequence as number } : {}) };
  }
}

/** The batches of the last moments, so that a page that was away briefly gets what it missed and no more. */
export class RecentChanges {
  readonly #limit: number;
  #batches: { readonly sequence: number; readonly changes: readonly Change[] }[] = [];
  #size = 0;
  #last = 0;

  /** @param limit changes to keep, all batches together */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get last(): number {
    return this.#last;
  }

  /** @returns the batch's number, from 1 */
  push(changes: readonly Change[]): number {
    this.#last += 1;
    this.#batches.push({ sequence: this.#last, changes });
    this.#size += changes.length;
    let drop = 0;
    while (this.#size > this.#limit && drop < this.#batches.length) {
      this.#size -= this.#batches[drop]?.changes.length ?? 0;
      drop += 1;
    }
    if (drop > 0) this.#batches = this.#batches.slice(drop);
    return this.#last;
  }

  /** The batches after that number; undefined where some of them are no longer kept or it was never given. */
  since(sequence: number): readonly { sequence: number; changes: readonly Change[] }[] | undefined {
    if (sequence > this.#last) return undefined;
    const first = this.#batches[0]?.sequence ?? this.#last + 1;
    if (sequence < first - 1) return undefined;
    return this.#batches.filter((batch) => batch.sequence > sequence);
  }
}
