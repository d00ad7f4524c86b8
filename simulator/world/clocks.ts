/**
 * A gateway's clocks: one that counts from its boot and never errs, and a wall clock that knows nothing after a boot, is set
 * by a time service after a while, and jumps when somebody sets it.
 */
import type { Mark } from "../../gateway/clock.core.ts";
import type { Clock } from "../../gateway/clock.ts";
import type { ClockSpec } from "../scenario/scenario.ts";
import type { RunRecord } from "./record.ts";
import type { Scope, VirtualTime } from "./virtual-time.ts";

export interface WallClockOptions {
  readonly spec: { readonly clock: ClockSpec; readonly name: string };
  readonly time: VirtualTime;
  /** True time at the beginning of the run, ms since 1970. */
  readonly start: number;
  readonly record: RunRecord;
}

/** A time service puts a jump right after so long, ms, and then renews its mark. */
const CORRECTED_AFTER_MS = 60_000;
const MARK_EVERY_MS = 64_000;

export class WallClock {
  readonly #options: WallClockOptions;
  #scope: Scope;
  #boot = "";
  #bootedAt = 0;
  /** What it shows beyond true time, ms. */
  #off = 0;
  #markedAt: number | undefined;
  /** True time of each boot, ms since 1970. */
  readonly boots = new Map<string, number>();

  constructor(options: WallClockOptions) {
    this.#options = options;
    this.#scope = options.time.scope();
  }

  boot(number: number): void {
    const { time, spec } = this.#options;
    const { syncAfterMs, offAtBootMs } = spec.clock;
    this.#scope.end();
    this.#scope = time.scope();
    this.#boot = `${spec.name}-boot-${number}`;
    this.#bootedAt = time.now;
    this.boots.set(this.#boot, this.#options.start + time.now);
    this.#markedAt = undefined;
    this.#off = syncAfterMs === 0 ? 0 : offAtBootMs;
    if (syncAfterMs === undefined) return;
    if (syncAfterMs === 0) this.#synced();
    else this.#scope.setTimeout(() => this.#synced(), syncAfterMs);
    this.#scope.setInterval(() => this.#renew(), MARK_EVERY_MS);
  }

  /** Somebody sets it. */
  jump(byMs: number): void {
    this.#options.record.strike("clock jump");
    this.#off += byMs;
    if (this.#options.spec.clock.syncAfterMs === undefined) return;
    this.#scope.setTimeout(() => this.#synced(), CORRECTED_AFTER_MS);
  }

  mark(): Mark {
    if (this.#options.spec.clock.syncAfterMs === undefined) return { kind: "none" };
    return this.#markedAt === undefined
      ? { kind: "waiting" }
      : { kind: "synced", at: this.#markedAt };
  }

  /** As one process reads it. */
  read(): Clock {
    const { time, start } = this.#options;
    const boot = this.#boot;
    const bootedAt = this.#bootedAt;
    return {
      now: () => Math.floor(start + time.now + this.#off),
      // In hundredths, as the machine's.
      uptime: () => Math.floor((time.now - bootedAt) * 100) / 100,
      boot,
    };
  }

  #synced(): void {
    if (this.#off !== 0) this.#options.record.note(this.#options.spec.name, "clock set");
    this.#off = 0;
    this.#markedAt = Math.floor(this.#options.start + this.#options.time.now);
  }

  #renew(): void {
    if (this.#markedAt === undefined || this.#off !== 0) return;
    this.#markedAt = Math.floor(this.#options.start + this.#options.time.now);
  }
}
