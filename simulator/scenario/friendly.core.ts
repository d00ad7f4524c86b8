/**
 * Quantities as people write them: durations, shares, sizes, times of the day and of the week. One table of them: how each
 * is read, and what it should look like where it cannot be. Pure.
 */
import { DURATION_HINT, parseDuration } from "../../rules/duration.ts";

export const MAX_DURATION_MS = 10 * 365 * 86_400_000;

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

function durationMs(value: unknown): number | undefined {
  const ms = typeof value === "string" ? parseDuration(value) : undefined;
  return ms !== undefined && ms <= MAX_DURATION_MS ? ms : undefined;
}

function positive(value: unknown): number | undefined {
  const ms = durationMs(value);
  return ms === 0 ? undefined : ms;
}

function signed(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  const ms = durationMs(value.replace(/^[+-]/, ""));
  return ms === undefined ? undefined : value.startsWith("-") ? -ms + 0 : ms;
}

function share(value: unknown): number | undefined {
  const percent = typeof value === "string" ? /^(\d+(?:\.\d+)?)\s?%$/.exec(value) : null;
  const number = percent ? Number(percent[1]) / 100 : value;
  return typeof number === "number" && number >= 0 && number <= 1 ? number : undefined;
}

const SIZES: Readonly<Record<string, number>> = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

function sizeBytes(value: unknown): number | undefined {
  const [, digits, unit = ""] =
    (typeof value === "string" && /^(\d+(?:\.\d+)?)\s?(KB|MB|GB)$/i.exec(value)) || [];
  if (digits === undefined) return undefined;
  const bytes = Math.round(Number(digits) * (SIZES[unit.toUpperCase()] ?? 1));
  return bytes > 0 ? bytes : undefined;
}

/** ms of the day. */
function hourMs(value: unknown): number | undefined {
  const [, hours, minutes] =
    (typeof value === "string" && /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(value)) || [];
  return hours === undefined ? undefined : (Number(hours) * 60 + Number(minutes)) * 60_000;
}

/** ms of the week, from Sunday 00:00. */
function weekMs(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  const [day = "", hour = "0:00", ...rest] = value.split(" ");
  const index = DAYS.indexOf(day);
  const ms = hourMs(hour);
  return index < 0 || ms === undefined || rest.length > 0 ? undefined : index * 86_400_000 + ms;
}

function timeMs(value: unknown): number | undefined {
  const whole = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;
  const ms = typeof value === "string" && whole.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function sync(value: unknown): number | undefined {
  return value === "never" ? Number.POSITIVE_INFINITY : durationMs(value);
}

interface Quantity {
  /** @returns undefined where it cannot be read */
  readonly read: (value: unknown) => number | undefined;
  /** Goes on after "must be". */
  readonly hint: string;
  /** For the tables of the documentation. */
  readonly name: string;
}

export const QUANTITIES = {
  duration: { read: durationMs, hint: DURATION_HINT, name: "duration" },
  positive: { read: positive, hint: `${DURATION_HINT}, above 0`, name: "duration" },
  signed: {
    read: signed,
    hint: "a duration like 30s or 1h30m, with - in front for the past",
    name: "duration, may be negative",
  },
  sync: { read: sync, hint: `"never" or ${DURATION_HINT}`, name: "duration, or `never`" },
  share: { read: share, hint: "a share like 5% or 0.05, at most 100%", name: "share" },
  size: { read: sizeBytes, hint: "a size like 512KB, 64MB or 1GB", name: "size" },
  hour: { read: hourMs, hint: "a time of the day like 15:00 (UTC)", name: "time of the day" },
  week: {
    read: weekMs,
    hint: "a day of the week, with a time where you like: mon, wed 14:30 (UTC)",
    name: "day of the week",
  },
  time: {
    read: timeMs,
    hint: "a time like 2026-11-16 or 2026-11-16T08:00:00Z",
    name: "time",
  },
} as const satisfies Record<string, Quantity>;

export type QuantityName = keyof typeof QUANTITIES;

export function isQuantity(name: string): name is QuantityName {
  return Object.hasOwn(QUANTITIES, name);
}

/** What was checked before can be read. */
export function read(name: QuantityName, value: unknown): number {
  const found = QUANTITIES[name].read(value);
  if (found === undefined) throw new TypeError(`not ${QUANTITIES[name].hint}: ${String(value)}`);
  return found;
}
