/**
 * The machine's clocks, and the mark by which its time service says that the wall clock is set. Nothing else reads
 * them; what they are worth is judged in clock.core.ts, by clock-watch.ts.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { uptime as systemUptime } from "node:os";
import { dirname } from "node:path";
import type { Mark } from "./clock.core.ts";

export interface Clock {
  /** ms since 1970, as the machine believes it. */
  now(): number;
  /** ms since boot, never backwards. */
  uptime(): number;
  /** Looks whether the machine has slept; to be called now and then. */
  refresh?(): void;
  /** Differs between boots. */
  readonly boot: string;
}

/** Below this the two boot clocks differ by their rounding, ms. */
const SLEEP_FROM_MS = 100;

export function systemClock(): Clock {
  // Linux counts hrtime from boot, so restarts of the process stay on one time line.
  const counted = () => Number(process.hrtime.bigint() / 10_000n) / 100;
  return {
    now: () => Date.now(),
    ...bootClock(counted, () => systemUptime() * 1000),
    boot: bootId(),
  };
}

/**
 * The time since boot, the machine's sleep included.
 * @param counted exact and cheap, stands still while the machine sleeps; ms
 * @param whole counts on through it; takes a system call and has 10 ms; ms
 */
export function bootClock(
  counted: () => number,
  whole: () => number,
): Required<Pick<Clock, "uptime" | "refresh">> {
  let slept = 0;
  const refresh = () => {
    const more = whole() - counted() - slept;
    // Only ever ahead: a container's uptime may be shorter than the machine's.
    if (more > SLEEP_FROM_MS) slept = Math.round(slept + more);
  };
  refresh();
  return { uptime: () => counted() + slept, refresh };
}

/** Linux gives each boot an id; elsewhere the process stands for the boot. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return randomUUID();
  }
}

/** @param file the mark; empty where no time service is waited for */
export function timeServiceMark(file: string): Mark {
  if (file === "") return { kind: "none" };
  try {
    const mark = statSync(file, { throwIfNoEntry: false });
    if (mark) return { kind: "synced", at: mark.mtimeMs };
    const service = statSync(dirname(file), { throwIfNoEntry: false });
    return { kind: service ? "waiting" : "none" };
  } catch {
    // A place that this user may not look into tells nothing.
    return { kind: "none" };
  }
}
