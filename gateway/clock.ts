/**
 * The gateway's clocks. A Pi has no battery clock, so each event also keeps the boot it came in and the monotonic time
 * since then; both outlast a wall clock that is wrong or jumps.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Stamp } from "../events/schema.ts";

export interface Clock {
  /** ms since 1970, as the machine believes it. */
  now(): number;
  /** ms since boot, never backwards. */
  uptime(): number;
  /** Differs between boots. */
  readonly boot: string;
}

/** A clock that shows less was never set: this software did not exist then. 2026-01-01T00:00:00Z. */
const EARLIEST_PLAUSIBLE_MS = 1_767_225_600_000;

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    // Linux counts hrtime from boot, so restarts of the process stay on one time line.
    uptime: () => Math.round(Number(process.hrtime.bigint() / 1000n) / 10) / 100,
    boot: bootId(),
  };
}

/** Linux gives each boot an id; elsewhere the process stands for the boot. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return randomUUID();
  }
}

/** What every journal event says of its moment. */
export function stampOf(clock: Clock): Stamp {
  const received = clock.now();
  return {
    received,
    clock: received >= EARLIEST_PLAUSIBLE_MS ? "synced" : "unsynced",
    boot: clock.boot,
    uptime: clock.uptime(),
  };
}
