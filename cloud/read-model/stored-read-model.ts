/**
 * The read model over an ordered store, filled from the topics by following the log.
 *
 * Write. Records are taken in slices; each slice is one batch of the store that holds what it changes and the positions
 * it reaches, so that a restart goes on exactly where the data ends. What is held in memory and what watchers are told
 * follow the write, never the other way round. After a write that failed the store is closed and opened again (LevelDB
 * loses what follows on a handle whose write failed), and the log is followed anew from where the store then is.
 *
 * Bounds. Raw readings are filed by the hour of their event time; hours older than the setting are not kept, and the
 * oldest hours go while all together are beyond the byte cap. The history of alerts keeps a number of changes.
 *
 * Rebuild. Nothing here is the truth. A store that is damaged, of another format, or ahead of the log (which was then
 * replaced by another one) is thrown away and filled again.
 */
import { setTimeout as delay } from "node:timers/promises";
import { decodeEvent, encodeCbor } from "../../events/codec.ts";
import { deviceKey } from "../../events/ids.ts";
import type { Alert, Device, LedgerEntry, Rollup } from "../../events/schema.ts";
import { type TopicNames, topicNames } from "../../events/topics.ts";
import { expiryTime } from "../../stream/expiry.core.ts";
import type {
  EventLog,
  EventLogErrorCode,
  StoredRecord,
  Tail,
  TailStatus,
} from "../../stream/port.ts";
import { isWaitedFor, retryPauseMs } from "../../stream/waiting.core.ts";
import type { ReadModelSettings } from "../config.ts";
import { alertPage, devicePage, type RollupQuery, rawPoints, rollupWindows } from "./answers.ts";
import { Draft } from "./draft.ts";
import { ReadModelError } from "./errors.ts";
import { hourOf, timeText } from "./keys.ts";
import type {
  AlertQuery,
  Change,
  DeviceQuery,
  GatewayView,
  Page,
  RawPoint,
  ReadModel,
  SeriesQuery,
} from "./port.ts";
import { type OrderedStore, startingWith } from "./store.ts";
import { View } from "./view.ts";

export interface ReadModelLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface StoredReadModelOptions {
  readonly store: OrderedStore;
  readonly namespace: string;
  readonly settings: ReadModelSettings;
  /** Followed from start() to stop(); without it, apply() is the only way in. */
  readonly log?: EventLog;
  readonly logger?: ReadModelLogger;
  /** ms since 1970; decides which raw readings are too old to keep. */
  readonly now?: () => number;
  /** ms on a clock that nobody sets; bounds what a wall clock that jumps may take away. */
  readonly moment?: () => number;
}

/** Records in one batch of the store: some ms of work, then whoever waits may run. */
export const RECORDS_PER_SLICE = 500;
/** Pause before a failed store or an absent log is tried again. */
const RETRY_DELAY_MS = 1000;
/** History is trimmed by this share at once, so that not every change pays for a search of the oldest. */
const TRIM_SHARE = 0.05;
/** A log that has not answered the first question by then is not only slow, ms. */
const LATE_MS = 3000;
const DAY_MS = 86_400_000;
const FORMAT = "1";

const silent: ReadModelLogger = { info() {}, warn() {}, error() {} };

type Listener = (changes: readonly Change[], sequence: number) => void;

export class StoredReadModel implements ReadModel {
  readonly #options: StoredReadModelOptions;
  readonly #store: OrderedStore;
  readonly #names: TopicNames;
  readonly #logger: ReadModelLogger;
  readonly #now: () => number;
  readonly #moment: () => number;
  #expiry: { readonly time: number | undefined; readonly moment: number } | undefined;
  readonly #listeners = new Set<Listener>();
  #view = new View();
  #sequence = 0;
  #running: AbortController | undefined;
  /** Resolves once the log is followed. */
  #following: Promise<Tail> | undefined;
  #tail: Tail | undefined;
  /** Until there is a tail: since when the log is asked for one. */
  #asked: { readonly time: number; readonly moment: number; lastError?: string } | undefined;
  #applying: Promise<void> = Promise.resolve();

  constructor(options: StoredReadModelOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#names = topicNames(options.namespace);
    this.#logger = options.logger ?? silent;
    this.#now = options.now ?? Date.now;
    this.#moment = options.moment ?? (() => performance.now());
  }

  /** Opens the store; a log that is away, or whose topics are not there yet, is waited for. @throws ReadModelError */
  async start(): Promise<void> {
    if (this.#running) return;
    await this.#openStore();
    this.#running = new AbortController();
    this.#followAnew();
  }

  #followAnew(): void {
    const { log } = this.#options;
    if (!log || !this.#running) return;
    this.#tail = undefined;
    this.#asked = { time: this.#now(), moment: performance.now() };
    this.#following = this.#follow(log, this.#running.signal);
    // Whoever asks for it is told; nobody asking is no error.
    this.#following.catch(() => {});
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.abort(new ReadModelError("closed", "the read model is stopped"));
    const tail = await this.#following?.catch(() => undefined);
    await tail?.stop();
    this.#following = undefined;
    this.#tail = undefined;
    this.#asked = undefined;
    await this.#applying.catch(() => {});
    await this.#store.close();
  }

  /** Resolves once everything that stood in the topics at the time of the call can be read. */
  async caughtUp(signal?: AbortSignal): Promise<void> {
    for (;;) {
      const following = this.#following;
      if (!following) throw new ReadModelError("closed", "the read model follows no log");
      try {
        await (await following).caughtUp(signal);
        return;
      } catch (error) {
        // After a failed store the log is followed anew, from where the store is.
        if (this.#following === following || signal?.aborted) throw error;
      }
    }
  }

  /** Takes records in the order of their partitions; those that were taken before are passed over. */
  async apply(records: readonly StoredRecord[]): Promise<void> {
    // One at a time, whoever calls.
    const before = this.#applying;
    this.#applying = (async () => {
      await before.catch(() => {});
      for (let at = 0; at < records.length; at += RECORDS_PER_SLICE) {
        await this.#applySlice(records.slice(at, at + RECORDS_PER_SLICE));
      }
    })();
    return this.#applying;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  source(): TailStatus {
    if (this.#tail) return this.#tail.status();
    const asked = this.#asked;
    const late = asked && performance.now() - asked.moment > LATE_MS;
    if (!asked || !(late || asked.lastError !== undefined)) return { state: "following" };
    const { time, lastError } = asked;
    return { state: "waiting", since: time, ...(lastError === undefined ? {} : { lastError }) };
  }

  async gateways(): Promise<readonly GatewayView[]> {
    return this.#view.gateways().map((gateway) => this.#view.gateway(gateway));
  }

  devices(query: DeviceQuery): Promise<Page<Device>> {
    return devicePage(this.#store, this.#view, query);
  }

  async device(gateway: string, device: string): Promise<Device | undefined> {
    const [value] = await this.#store.getMany([`d/${deviceKey(gateway, device)}`]);
    return value && decodeEvent("tidegate.device", value);
  }

  raw(query: SeriesQuery): Promise<readonly RawPoint[]> {
    return rawPoints(this.#store, this.#view, query);
  }

  rollups(query: RollupQuery): Promise<readonly Rollup[]> {
    return rollupWindows(this.#store, query);
  }

  async activeAlerts(): Promise<readonly Alert[]> {
    return [...this.#view.active.values()].sort(
      (a, b) => b.changed - a.changed || (a.alert < b.alert ? -1 : 1),
    );
  }

  alertHistory(query: AlertQuery): Promise<Page<Alert>> {
    return alertPage(this.#store, this.#view, query);
  }

  async ledger(): Promise<readonly LedgerEntry[]> {
    return [...this.#view.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  async #openStore(): Promise<void> {
    await this.#store.open();
    const [format] = await this.#store.getMany(["v"]);
    if (format === undefined || Buffer.from(format).toString() !== FORMAT) {
      await this.#empty();
      return;
    }
    try {
      this.#view = await View.load(this.#store);
    } catch (error) {
      this.#logger.warn(
        { reason: (error as Error).message },
        "read model unreadable: filled again",
      );
      await this.#empty();
    }
  }

  async #empty(): Promise<void> {
    await this.#store.reset();
    await this.#store.write(new Map([["v", Buffer.from(FORMAT)]]));
    this.#view = new View();
  }

  async #follow(log: EventLog, signal: AbortSignal): Promise<Tail> {
    const { events, status, rollups, devices, alerts, alertState, ledger } = this.#names;
    const topics = [events, status, rollups, devices, alerts, alertState, ledger];
    for (let attempt = 0; ; attempt++) {
      let code: EventLogErrorCode;
      try {
        if (await this.#aheadOf(log, topics)) {
          this.#logger.warn({}, "the read model is of another log: filled again");
          await this.#empty();
        }
        signal.throwIfAborted();
        const tail = log.tail(topics, {
          positions: this.#view.positions,
          from: "start",
          onRecords: (records) => this.apply(records),
        });
        await tail.start();
        if (!signal.aborted) this.#tail = tail;
        return tail;
      } catch (error) {
        if (!isWaitedFor(error) || signal.aborted) throw error;
        code = error.code;
        if (this.#asked) this.#asked.lastError = error.message;
        if (attempt === 0) {
          this.#logger.info({ reason: error.message }, "the read model waits for the log");
        }
      }
      await delay(retryPauseMs(code, attempt), undefined, { signal });
    }
  }

  /** Positions that the log never reached were reached in another one. */
  async #aheadOf(log: EventLog, topics: readonly string[]): Promise<boolean> {
    for (const topic of topics) {
      for (const { partition, end } of await log.ranges(topic)) {
        if ((this.#view.positions.get(topic)?.get(partition) ?? 0) > end) return true;
      }
    }
    return false;
  }

  async #applySlice(records: readonly StoredRecord[]): Promise<void> {
    const { positions, lastEvents } = this.#view;
    const fresh = records.filter(
      ({ topic, partition, offset }) => offset >= (positions.get(topic)?.get(partition) ?? 0),
    );
    if (fresh.length === 0) return;
    const context = { names: this.#names, rawFrom: this.#rawFrom() };
    const draft = new Draft(context, fresh, lastEvents);
    const reached = this.#complete(draft, fresh);
    try {
      await this.#store.write(draft.puts);
      for (const [topic, partition, next] of reached) this.#view.position(topic, partition, next);
      const gateways = this.#view.take(draft);
      this.#tell(draft.changes, gateways);
      await this.#trim();
    } catch (error) {
      await this.#recover(error);
      // Ends the tail that called: what is in the store now decides where it goes on.
      this.#followAnew();
      throw error;
    }
  }

  /** Adds positions and counters to the batch. */
  #complete(
    draft: Draft,
    records: readonly StoredRecord[],
  ): readonly (readonly [topic: string, partition: number, next: number])[] {
    const reached = new Map<string, readonly [string, number, number]>();
    for (const { topic, partition, offset } of records) {
      reached.set(`p/${topic}/${partition}`, [topic, partition, offset + 1]);
    }
    for (const [key, [, , next]] of reached) draft.puts.set(key, encodeCbor(next));
    for (const [hour, bytes] of draft.rawBytes) {
      const total = (this.#view.hours.get(hour) ?? 0) + bytes;
      draft.puts.set(`b/${timeText(hour)}`, encodeCbor(total));
    }
    if (draft.historyAdded > 0) {
      const total = this.#view.historyCount + draft.historyAdded;
      draft.puts.set("n/history", encodeCbor(total));
    }
    return [...reached.values()];
  }

  #tell(changes: readonly Change[], gateways: ReadonlySet<string>): void {
    const all: readonly Change[] = [
      ...changes,
      ...[...gateways].map(
        (name) => ({ kind: "gateway", gateway: this.#view.gateway(name) }) as const,
      ),
    ];
    if (all.length === 0) return;
    this.#sequence += 1;
    for (const listener of this.#listeners) {
      try {
        listener(all, this.#sequence);
      } catch (error) {
        // A page that cannot be told must not keep the others from the data.
        this.#logger.error({ err: error }, "a watcher of the read model failed");
      }
    }
  }

  /** Readings of hours before this are too old to be kept. A clock that leaps must not empty the model at once. */
  #rawFrom(): number {
    const before = this.#expiry;
    const moment = this.#moment();
    // After a start: as of the newest reading.
    const last = before ? before.time : Math.max(...this.#view.hours.keys());
    const known = last !== undefined && Number.isFinite(last) ? last : undefined;
    const time = expiryTime(known, this.#now(), before ? moment - before.moment : 0);
    this.#expiry = { time, moment };
    if (time === undefined) return Number.NEGATIVE_INFINITY;
    return hourOf(time - this.#options.settings.raw_keep_days * DAY_MS);
  }

  async #trim(): Promise<void> {
    const { raw_max_bytes: maxBytes, alert_history_max: maxHistory } = this.#options.settings;
    const { hours } = this.#view;
    const oldestKept = this.#rawFrom();
    let total = this.#view.rawBytes;
    for (const hour of [...hours.keys()].sort((a, b) => a - b)) {
      if (total <= maxBytes && hour >= oldestKept) break;
      total -= hours.get(hour) ?? 0;
      await this.#store.clear(startingWith(`r/${timeText(hour)}/`));
      await this.#store.write(new Map([[`b/${timeText(hour)}`, undefined]]));
      hours.delete(hour);
    }
    if (this.#view.historyCount > maxHistory) await this.#trimHistory(maxHistory);
  }

  async #trimHistory(max: number): Promise<void> {
    const excess = this.#view.historyCount - max + Math.ceil(max * TRIM_SHARE);
    const changes = new Map<string, Uint8Array | undefined>();
    let removed = 0;
    for await (const entries of this.#store.scan({ ...startingWith("h/"), limit: excess })) {
      for (const [key, value] of entries) {
        const { alert } = decodeEvent("tidegate.alert", value);
        changes.set(key, undefined);
        changes.set(`i/${alert}/${key.slice("h/".length)}`, undefined);
        removed += 1;
      }
    }
    const left = this.#view.historyCount - removed;
    changes.set("n/history", encodeCbor(left));
    await this.#store.write(changes);
    this.#view.historyCount = left;
  }

  /** Reopens the store until it is there again; until then questions fail with `closed`. */
  async #recover(cause: unknown): Promise<void> {
    const signal = this.#running?.signal;
    this.#logger.error({ reason: (cause as Error).message }, "the read model cannot be written");
    for (;;) {
      if (!signal || signal.aborted) throw cause;
      await this.#store.close().catch(() => {});
      await delay(RETRY_DELAY_MS, undefined, { signal });
      try {
        await this.#openStore();
        this.#logger.info({}, "the read model is open again");
        return;
      } catch (error) {
        this.#logger.error({ reason: (error as Error).message }, "the read model cannot be opened");
      }
    }
  }
}
