/**
 * One batch of records as what it changes: in the store, in what is held in memory, and for those who watch. Nothing
 * here is done yet; the model writes the store's part first, and only then takes over the rest, so that a failed write
 * leaves no trace.
 */
import { encodeCbor } from "../../events/codec.ts";
import { deviceKey, keyParts, seriesKey } from "../../events/ids.ts";
import type {
  Alert,
  Device,
  EventType,
  GatewayStatus,
  LedgerEntry,
  Reading,
  Resolution,
  Rollup,
} from "../../events/schema.ts";
import type { TopicNames } from "../../events/topics.ts";
import type { StoredRecord } from "../../stream/port.ts";
import {
  Fault,
  latestPossible,
  MAX_AHEAD_MS,
  readingTime,
  readJournal,
  readValue,
} from "../journal.core.ts";

import { hourOf, numberText, timeText } from "./keys.ts";
import type { Change } from "./port.ts";

export interface DraftContext {
  readonly names: TopicNames;
  /** Raw readings of hours before this are not kept, ms since 1970. */
  readonly rawFrom: number;
}

type LastEvents = { get(gateway: string): number | undefined };

export class Draft {
  readonly puts = new Map<string, Uint8Array | undefined>();
  readonly changes: Change[] = [];
  readonly statuses = new Map<string, GatewayStatus | undefined>();
  /** Each status of each gateway as it was told, for who speaks there; undefined where it was taken out of the topic. */
  readonly spoken: (readonly [gateway: string, status: GatewayStatus | undefined])[] = [];
  readonly lastEvents = new Map<string, number>();
  readonly entries = new Map<string, LedgerEntry | undefined>();
  readonly devices = new Map<string, Device | undefined>();
  readonly activeAlerts = new Map<string, Alert | undefined>();
  /** Bytes added to each hour of raw readings. */
  readonly rawBytes = new Map<number, number>();
  historyAdded = 0;
  readonly #context: DraftContext;

  constructor(context: DraftContext, records: readonly StoredRecord[], lastEvents: LastEvents) {
    this.#context = context;
    const { names } = context;
    const newest = new Map<string, StoredRecord>();
    for (const record of records) {
      if (record.topic === names.events) this.#journal(record, lastEvents);
      else if (record.topic === names.alerts) this.#history(record);
      else if (record.topic === names.status) this.#status(record, newest);
      // Of a topic that holds what is now, only the newest of each key matters.
      else newest.set(`${record.topic} ${record.key}`, record);
    }
    for (const record of newest.values()) this.#state(record);
  }

  #status(record: StoredRecord, newest: Map<string, StoredRecord>): void {
    const told = read("tidegate.gateway-status", record);
    if (record.key !== null && told !== undefined)
      this.spoken.push([record.key, told ?? undefined]);
    newest.set(`${record.topic} ${record.key}`, record);
  }

  #put(key: string, value: unknown): number {
    const bytes = encodeCbor(value);
    this.puts.set(key, bytes);
    return key.length + bytes.length;
  }

  #journal(record: StoredRecord, lastEvents: LastEvents): void {
    const journal = readJournal(record);
    if (journal instanceof Fault) return;
    const { gateway, epoch, sequence, type } = journal;
    let time = record.timestamp;
    let latest = latestPossible({ received: time }, record);
    if (type === "tidegate.reading") {
      const reading = readValue(type, record);
      if (reading instanceof Fault) return;
      latest = latestPossible(reading, record);
      const at = readingTime(reading, record);
      time = Math.min(at, latest);
      if (at <= latest + MAX_AHEAD_MS)
        this.#raw(gateway, reading, at, `${epoch}-${numberText(sequence)}`);
    } else {
      const told = Date.parse(record.headers.ce_time ?? "");
      if (Number.isFinite(told)) time = Math.min(told, record.timestamp);
    }
    const before = this.lastEvents.get(gateway) ?? lastEvents.get(gateway);
    // One that is ahead of what can be was a clock's mistake.
    if (before !== undefined && before >= time && before <= latest + MAX_AHEAD_MS) return;
    this.lastEvents.set(gateway, time);
    this.#put(`e/${gateway}`, time);
  }

  #raw(gateway: string, reading: Reading, time: number, id: string): void {
    const { device, metrics } = reading;
    this.changes.push({ kind: "reading", gateway, device, time, metrics });
    const hour = hourOf(time);
    if (hour < this.#context.rawFrom) return;
    // The same event under the same key: what comes twice is there once.
    const key = `r/${timeText(hour)}/${deviceKey(gateway, device)}/${timeText(time)}/${id}`;
    if (this.puts.has(key)) return;
    const bytes = this.#put(key, metrics);
    this.rawBytes.set(hour, (this.rawBytes.get(hour) ?? 0) + bytes);
  }

  #history(record: StoredRecord): void {
    const alert = read("tidegate.alert", record);
    if (!alert) return;
    const position = `${timeText(alert.changed)}/${record.partition}-${numberText(record.offset)}`;
    this.#put(`h/${position}`, alert);
    this.puts.set(`i/${alert.alert}/${position}`, new Uint8Array());
    this.historyAdded += 1;
    this.changes.push({ kind: "alert", alert });
  }

  #state(record: StoredRecord): void {
    const { names } = this.#context;
    const { topic, key } = record;
    if (key === null) return;
    switch (topic) {
      case names.status: {
        const told = read("tidegate.gateway-status", record);
        if (told === undefined) return;
        const status = told && heard(told, record);
        const value = status === told ? record.value : status && encodeCbor(status);
        this.puts.set(`g/${key}`, value ?? undefined);
        this.statuses.set(key, status ?? undefined);
        return;
      }
      case names.rollups:
        this.#rollup(key, read("tidegate.rollup", record));
        return;
      case names.devices: {
        const device = read("tidegate.device", record);
        if (device === undefined) return;
        this.puts.set(`d/${key}`, record.value ?? undefined);
        this.devices.set(key, device ?? undefined);
        if (device) this.changes.push({ kind: "device", device });
        return;
      }
      case names.alertState: {
        const alert = read("tidegate.alert", record);
        if (alert === undefined) return;
        const active = alert && alert.state !== "resolved" ? alert : undefined;
        this.puts.set(`a/${key}`, active && (record.value ?? undefined));
        this.activeAlerts.set(key, active);
        return;
      }
      case names.ledger: {
        const entry = read("tidegate.ledger", record);
        if (entry === undefined) return;
        this.puts.set(`l/${key}`, record.value ?? undefined);
        this.entries.set(key, entry ?? undefined);
        if (entry) this.changes.push({ kind: "ledger", entry });
        return;
      }
      default:
        return;
    }
  }

  #rollup(key: string, rollup: Rollup | null | undefined): void {
    if (rollup === undefined) return;
    if (rollup === null) {
      const [gateway = "", device = "", metric = "", resolution, window] = keyParts(key);
      const series = seriesKey(gateway, device, metric);
      this.puts.set(rollupKey(series, resolution as Resolution, Number(window)), undefined);
      return;
    }
    const { gateway, device, metric, resolution, window } = rollup;
    const { count, min, max, sum, revision } = rollup;
    const at = rollupKey(seriesKey(gateway, device, metric), resolution, window);
    this.#put(at, [count, min, max, sum, revision]);
    this.changes.push({ kind: "rollup", rollup });
  }
}

export function rollupKey(series: string, resolution: Resolution, window: number): string {
  return `w/${resolution}/${series}/${timeText(window)}`;
}

/** Beyond this a gateway's clock is off, not its link slow, ms. */
const CLOCK_OFF_MS = 60_000;

/**
 * The status with the time at which the log got it, where the gateway's own clock is far off: whether its link is up must
 * not go by a clock that shows 1970, or another year.
 */
function heard(status: GatewayStatus, { timestamp }: StoredRecord): GatewayStatus {
  const off = timestamp - status.time;
  if (timestamp <= 0 || Math.abs(off) <= CLOCK_OFF_MS) return status;
  return { ...status, time: timestamp, started: status.started + off };
}

/** @returns null for a tombstone, undefined for what cannot be read: processors tell of that, a view passes it over */
function read<T extends EventType>(type: T, record: StoredRecord) {
  if (record.value === null) return null;
  const value = readValue(type, record);
  return value instanceof Fault ? undefined : value;
}
