/**
 * What a gateway believes of its clock. Pure: (what was believed, what the machine shows) → (what is believed now).
 *
 * The machine has a wall clock that may be wrong or set at any moment, and a boot clock that only counts on. Linux slews
 * both alike, so `wall - uptime` is one number for a whole boot and changes only where somebody sets the clock. To know
 * the time is to know that number, the *offset*.
 *
 * What makes an offset believed:
 *  - the time service says so: its mark is there (and, after a step, was renewed since);
 *  - or no time service is there to wait for, and the time is plausible: not before this software, not before the
 *    newest time that this gateway knows from its own past, the *floor*. A clock that is years ahead after the power was off
 *    cannot be told from a power cut that lasted years, so it is believed.
 *
 * What becomes of a step within a boot whose offset was believed:
 *  - up to a day either way is a correction: taken;
 *  - back to an offset that was believed earlier in this boot takes the mistake between back;
 *  - more than a day ahead is doubted for the time of the wait, then taken: nobody can say which of the two was right;
 *  - to before the floor, by more than a day, is never believed: the old offset stays right, and the boot clock counts on.
 */
import type { ClockReason } from "../events/schema.ts";

/** Offsets closer than this are the same: slewing, a leap second, and the rounding of two clocks stay below, ms. */
export const STEP_TOLERANCE_MS = 2000;

/** A clock that shows less was never set: this software did not exist then. 2026-01-01T00:00:00Z. */
export const EARLIEST_MS = 1_767_225_600_000;

/** Local time taken for UTC, a date mistyped by one: people and their clocks are corrected by as much, ms. */
export const CORRECTION_MS = 86_400_000;

/** Over a reboot time does not go back; a battery clock may be behind a little, ms. */
const REBOOT_SLACK_MS = 60_000;

/** An offset that has held so long makes the floor: a mistake that is put right soon leaves no trace in it, ms. */
const SETTLED_MS = 600_000;

/** Offsets and boots remembered; a gateway that has seen more has forgotten the oldest. */
const MOST_REMEMBERED = 8;

/** What the time service says. `at` is when its mark was last renewed, in its own file time. */
export type Mark =
  /** No time service that leaves a mark. */
  | { readonly kind: "none" }
  /** There is one, and it has not reached a time server yet. */
  | { readonly kind: "waiting" }
  | { readonly kind: "synced"; readonly at: number };

/** The machine's clocks at one moment. */
export interface Shown {
  /** ms since 1970. */
  readonly wall: number;
  /** ms since boot. */
  readonly uptime: number;
}

/** What outlives a restart. */
export interface Known {
  readonly boot: string;
  /** `wall - uptime`, believed; undefined while the time is not known. */
  readonly offset: number | undefined;
  /** Uptime at which that came to be believed. */
  readonly since: number;
  /** Offsets believed before in this boot. */
  readonly trail: readonly number[];
  /** The newest time that is known from the past, ms since 1970; 0 where there is none. */
  readonly floor: number;
  /** Earlier boots that ended with a known time. */
  readonly earlier: readonly (readonly [boot: string, offset: number])[];
  /** When the time service's mark had been renewed as the machine last showed what is believed. */
  readonly agreed: number | undefined;
}

export interface ClockState extends Known {
  /** An offset that the machine shows and that is not believed. */
  readonly doubt?: {
    readonly offset: number;
    /** Uptime at which it appeared. */
    readonly since: number;
    /** It will be, if it stays. */
    readonly pending: boolean;
  };
}

export interface ClockChange {
  readonly reason: ClockReason;
  readonly offset: number;
  readonly before?: number;
}

export interface Judgement {
  /** The very same object where nothing changed. */
  readonly state: ClockState;
  readonly change?: ClockChange;
}

export function near(one: number, other: number): boolean {
  return Math.abs(one - other) <= STEP_TOLERANCE_MS;
}

/** @param known what is on disk; undefined at the first start */
export function beginClock(known: Known | undefined, boot: string): ClockState {
  if (known?.boot === boot) return known;
  const ended = known?.offset === undefined ? [] : [[known.boot, known.offset] as const];
  return {
    boot,
    offset: undefined,
    since: 0,
    trail: [],
    floor: known?.floor ?? 0,
    earlier: [...ended, ...(known?.earlier ?? [])].slice(0, MOST_REMEMBERED),
    agreed: undefined,
  };
}

/** @param waitMs how long a leap ahead is doubted */
export function look(state: ClockState, shown: Shown, mark: Mark, waitMs: number): Judgement {
  const offset = shown.wall - shown.uptime;
  const believe = () => believed(state, shown, mark);
  if (state.offset === undefined) {
    return mayBegin(state, shown, mark) ? believe() : { state };
  }
  if (near(offset, state.offset)) return { state: confirmed(state, shown, mark) };
  const { doubt } = state;
  // Where it had never been there before, it is news as well.
  const renewed = mark.kind === "synced" && mark.at !== state.agreed;
  const again = state.trail.some((old) => near(old, offset));
  if (shown.wall >= EARLIEST_MS && (renewed || again)) return believe();
  const pending = shown.wall >= Math.max(EARLIEST_MS, state.floor - CORRECTION_MS);
  if (pending && Math.abs(offset - state.offset) <= CORRECTION_MS) return believe();
  if (!doubt || !near(doubt.offset, offset)) {
    return { state: { ...state, doubt: { offset, since: shown.uptime, pending } } };
  }
  return pending && shown.uptime - doubt.since >= waitMs ? believe() : { state };
}

/** Whether the first time that a boot shows is the right one. */
function mayBegin(state: ClockState, { wall }: Shown, mark: Mark): boolean {
  if (wall < EARLIEST_MS || mark.kind === "waiting") return false;
  return mark.kind === "synced" || wall >= state.floor - REBOOT_SLACK_MS;
}

function believed(state: ClockState, { wall, uptime }: Shown, mark: Mark): Judgement {
  const { offset: before, doubt: _, ...rest } = state;
  const offset = wall - uptime;
  const next: ClockState = {
    ...rest,
    offset,
    since: uptime,
    trail: before === undefined ? [] : [before, ...state.trail].slice(0, MOST_REMEMBERED),
    // What was later than the time that is now believed was a mistake.
    floor: Math.min(state.floor, wall),
    agreed: mark.kind === "synced" ? mark.at : state.agreed,
  };
  const change: ClockChange =
    before === undefined ? { reason: "synced", offset } : { reason: "stepped", offset, before };
  return { state: next, change };
}

/** The machine shows what is believed. */
function confirmed(state: ClockState, { wall, uptime }: Shown, mark: Mark): ClockState {
  const floor = uptime - state.since >= SETTLED_MS ? Math.max(state.floor, wall) : state.floor;
  const agreed = mark.kind === "synced" ? mark.at : state.agreed;
  if (!state.doubt && floor === state.floor && agreed === state.agreed) return state;
  const { doubt: _, ...rest } = state;
  return { ...rest, floor, agreed };
}

/**
 * Whether what came in this boot should not be sent yet, because its time may be known soon.
 * @param waitMs from the boot, or from a step that is doubted
 */
export function holds(state: ClockState, uptime: number, waitMs: number): boolean {
  if (state.offset === undefined) return uptime < waitMs;
  return state.doubt?.pending === true && uptime - state.doubt.since < waitMs;
}

/** The time as believed; undefined where it is not known. */
export function timeAt(state: ClockState, uptime: number): number | undefined {
  return state.offset === undefined ? undefined : Math.round(state.offset + uptime);
}

export function offsetOf(state: ClockState, boot: string): number | undefined {
  if (boot === state.boot) return state.offset;
  return state.earlier.find(([other]) => other === boot)?.[1];
}
