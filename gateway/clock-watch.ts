/**
 * Watches the clock for the gateway: stamps every event, says when forwarding has to wait for the time, and tells the
 * journal when the time of this boot became known or was set.
 *
 * It compares wall clock and boot clock once a second and at every stamp, which costs two clock reads. What it knows
 * outlives the process in a small file; a change is written there only after it stands in the journal, so that the
 * journal has it at least once.
 */
import { EventEmitter, once } from "node:events";
import type { Logger } from "pino";
import { encodeEvent } from "../events/codec.ts";
import type { GatewayStatus, Stamp } from "../events/schema.ts";
import { systemTimers, type Timer, type Timers } from "../time/timers.ts";
import type { NewEvent } from "./buffer/port.ts";
import {
  beginClock,
  type ClockChange,
  type ClockState,
  holds,
  type Known,
  look,
  type Mark,
  near,
  offsetOf,
  type Shown,
  timeAt,
} from "./clock.core.ts";
import type { Clock } from "./clock.ts";
import type { KnownStore } from "./clock-file.ts";

export interface ClockWatchOptions {
  readonly clock: Clock;
  /** Between two looks at the clock, ms. Default: a second. */
  readonly lookMs?: number;
  readonly mark: () => Mark;
  /** Keeps what is known. */
  readonly known: KnownStore;
  /** How long the time is waited for. */
  readonly waitMs: number;
  /** Default: the machine's. */
  readonly timers?: Timers;
  readonly logger: Logger;
}

/** Between two looks. A step is also seen at the next stamp. */
const LOOK_MS = 1000;

/** The newest time known is written down so often, ms: a card has better things to do. */
const FLOOR_EVERY_MS = 600_000;

export class ClockWatch {
  readonly #options: ClockWatchOptions;
  readonly #looks = new EventEmitter().setMaxListeners(0);
  #state: ClockState | undefined;
  /** Wall minus uptime as last looked at. */
  #shown = Number.NaN;
  #untold: ClockChange | undefined;
  #tell: ((event: NewEvent) => Promise<unknown>) | undefined;
  #telling: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  /** The floor that is on disk. */
  #writtenFloor = 0;
  readonly #timers: Timers;
  #timer: Timer | undefined;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
  }

  /** Reads what is known and looks for the first time. The data directory must be there. */
  async start(): Promise<void> {
    if (this.#state) return;
    const { clock } = this.#options;
    const known = this.#options.known.read();
    this.#state = beginClock(known, clock.boot);
    this.#writtenFloor = this.#state.floor;
    this.look();
    if (known?.boot !== clock.boot) {
      // Nothing of this boot was stamped before: there is nothing that the journal would have to be told.
      this.#untold = undefined;
      // On disk before the first stamp: the next process must know that this boot had events without a time.
      await this.#write();
    }
    this.#timer = this.#timers.setInterval(() => this.look(), this.#options.lookMs ?? LOOK_MS);
    this.#timer.unref?.();
    if (this.#live().offset === undefined) this.#warnUnset();
  }

  /** @param tell appends to the journal; called for each change from now on, and for one that came before */
  follow(tell: (event: NewEvent) => Promise<unknown>): void {
    this.#tell = tell;
    this.#tellChange();
  }

  async stop(): Promise<void> {
    this.#timers.clear(this.#timer);
    this.#timer = undefined;
    if (!this.#state) return;
    await this.#telling;
    this.#tell = undefined;
    if (!this.#untold) await this.#write();
    await this.#writing;
  }

  /** Compares the clocks. Called by itself once a second. */
  look(): void {
    this.#options.clock.refresh?.();
    this.#judge(this.#read());
    this.#tellChange();
    const { floor } = this.#live();
    if (Math.abs(floor - this.#writtenFloor) >= FLOOR_EVERY_MS && !this.#untold) void this.#write();
    this.#looks.emit("look");
  }

  /** The moment, as every journal event keeps it. */
  stamp(): Stamp {
    let shown = this.#read();
    // A step is judged before anything is said under it.
    if (!near(shown.wall - shown.uptime, this.#shown)) {
      this.look();
      shown = this.#read();
    }
    const { offset } = this.#live();
    const synced = offset !== undefined && near(shown.wall - shown.uptime, offset);
    return {
      received: shown.wall,
      clock: synced ? "synced" : "unsynced",
      boot: this.boot,
      uptime: shown.uptime,
    };
  }

  get boot(): string {
    return this.#options.clock.boot;
  }

  /** ms since 1970 as believed, else as the machine shows it. */
  now(): number {
    return timeAt(this.#live(), this.uptime()) ?? this.#options.clock.now();
  }

  uptime(): number {
    return this.#options.clock.uptime();
  }

  /** Right wall time minus uptime of a boot, ms; undefined where it is not known. */
  offsetOf(boot: string): number | undefined {
    return offsetOf(this.#live(), boot);
  }

  /** Whether events of this boot should not be sent yet. */
  holding(): boolean {
    return holds(this.#live(), this.uptime(), this.#options.waitMs);
  }

  /** Resolves when they may be; rejects with the signal's reason. */
  async released(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.holding()) await once(this.#looks, "look", { signal });
  }

  status(): NonNullable<GatewayStatus["clock"]> {
    const { offset, doubt } = this.#live();
    if (offset === undefined) return { synced: false };
    return doubt ? { synced: true, off: Math.round(doubt.offset - offset) } : { synced: true };
  }

  #read(): Shown {
    const { clock } = this.#options;
    return { wall: clock.now(), uptime: clock.uptime() };
  }

  #judge(shown: Shown): void {
    const before = this.#live();
    this.#shown = shown.wall - shown.uptime;
    const { state, change } = look(before, shown, this.#options.mark(), this.#options.waitMs);
    this.#state = state;
    if (state.doubt && state.doubt !== before.doubt) this.#warnDoubt(shown, state);
    if (!change) return;
    // Where the last change is not told yet, the two are one.
    const first = this.#untold;
    this.#untold = first ? merged(first, change) : change;
    const by = change.before === undefined ? undefined : Math.round(change.offset - change.before);
    const level = change.reason === "stepped" ? "warn" : "info";
    this.#options.logger[level](
      { set_to: new Date(shown.wall).toISOString(), ...(by === undefined ? {} : { byMs: by }) },
      change.reason === "stepped" ? "the clock was set to another time" : "the clock is set",
    );
  }

  /** One at a time, again at the next look where the buffer did not take it. */
  #tellChange(): void {
    const tell = this.#tell;
    const change = this.#untold;
    if (!tell || !change) return;
    this.#untold = undefined;
    this.#telling = this.#telling.then(async () => {
      try {
        await tell(clockEvent(this.stamp(), change));
        if (!this.#untold) await this.#write();
      } catch (error) {
        this.#untold = this.#untold ? merged(change, this.#untold) : change;
        this.#options.logger.warn({ reason: (error as Error).message }, "clock event not stored");
      }
    });
  }

  #write(): Promise<void> {
    const known: Known = this.#live();
    this.#writtenFloor = known.floor;
    this.#writing = this.#writing
      .then(() => this.#options.known.write(known))
      .catch((error: Error) => {
        this.#options.logger.warn({ reason: error.message }, "what is known of the time not kept");
      });
    return this.#writing;
  }

  #warnUnset(): void {
    const { floor } = this.#live();
    const { logger, waitMs, known, clock } = this.#options;
    const past =
      floor > clock.now() ? { newestKnown: new Date(floor).toISOString(), file: known.name } : {};
    logger.warn(
      { shows: new Date(clock.now()).toISOString(), ...past },
      `the clock is not set: readings are taken, and wait up to ${Math.round(waitMs / 1000)} s from the boot for their time`,
    );
  }

  #warnDoubt({ wall }: Shown, { doubt, offset = 0 }: ClockState): void {
    const { logger, waitMs } = this.#options;
    const byMs = Math.round((doubt?.offset ?? 0) - offset);
    logger.warn(
      { set_to: new Date(wall).toISOString(), byMs },
      doubt?.pending
        ? `the clock leapt ${byMs < 0 ? "back" : "ahead"} by a day or more: forwarding waits ${Math.round(waitMs / 1000)} s, then that is believed`
        : "the clock leapt back to a time that was long ago: events keep the time that the boot clock counts",
    );
  }

  #live(): ClockState {
    if (!this.#state) throw new Error("the clock watch is not started");
    return this.#state;
  }
}

function merged(first: ClockChange, then: ClockChange): ClockChange {
  return { ...first, offset: then.offset };
}

function clockEvent(stamp: Stamp, change: ClockChange): NewEvent {
  const value = encodeEvent("tidegate.clock", { ...stamp, ...change });
  return { type: "tidegate.clock", time: stamp.received, value };
}
