/** Numbers, ages and times as a person reads them. Pure; always the same words, whatever the browser's language. */
import type { MetricValue } from "../../events/schema.ts";
import type { Zone } from "./route.core.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export function formatCount(count: number): string {
  return whole.format(count);
}

const decimals = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits }),
);
const tiny = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "scientific" });

/** About four significant digits: a sensor's noise is no information. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "no number";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e12)) return tiny.format(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return decimals[digits]?.format(value) ?? String(value);
}

export function formatValue(value: MetricValue): string {
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === "" ? "(empty)" : value;
}

/** "12 s", "3 min", "5 h 10 min", "4 d 2 h", "11 years". */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  if (days < 7) return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
  if (days < 730) return `${days} d`;
  return `${Math.floor(days / 365.25)} years`;
}

/** Below this an age would only flicker, ms. */
const JUST_NOW_MS = 2000;

/** A reading may carry a device's clock that runs ahead: then it is no age, and said so. */
export function formatAge(ms: number): string {
  if (ms < -5000) return `${formatDuration(-ms)} ahead`;
  if (ms < JUST_NOW_MS) return "just now";
  return `${formatDuration(ms)} ago`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${formatNumber(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${formatNumber(bytes / 1e6)} MB`;
  return `${formatNumber(bytes / 1e9)} GB`;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function dateFormat(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      ...options,
      hourCycle: "h23",
      ...(zone === "utc" ? { timeZone: "UTC" } : {}),
    });
    formats.set(key, format);
  }
  return format;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
const DAY_MONTH = { day: "numeric", month: "short" } as const;

function within(time: number): boolean {
  return Math.abs(time) <= 8.64e15;
}

export function formatClock(time: number, zone: Zone): string {
  return within(time) ? dateFormat(zone, CLOCK).format(time) : "no time";
}

export function formatDay(time: number, zone: Zone): string {
  return within(time)
    ? dateFormat(zone, { ...DAY_MONTH, year: "numeric" }).format(time)
    : "no time";
}

/** Day and time; the day is left out where it is today's. */
export function formatTime(time: number, zone: Zone, now: number): string {
  if (!within(time)) return "no time";
  const day = formatDay(time, zone);
  const clock = formatClock(time, zone);
  return day === formatDay(now, zone) ? clock : `${day}, ${clock}`;
}

/**
 * Labels of a time axis: as coarse as the ticks are apart, the day where it changes.
 * @param step ms between ticks
 */
export function axisLabels(times: readonly number[], step: number, zone: Zone): string[] {
  let lastDay = "";
  return times.map((time) => {
    if (!within(time)) return "";
    const day = dateFormat(zone, DAY_MONTH).format(time);
    if (step >= 28 * DAY) return dateFormat(zone, { month: "short", year: "numeric" }).format(time);
    if (step >= DAY) {
      const year = dateFormat(zone, { year: "numeric" }).format(time);
      const first = year !== lastDay;
      lastDay = year;
      return first ? `${day}\n${year}` : day;
    }
    const { second: _, ...minutes } = CLOCK;
    const clock = dateFormat(zone, step < MINUTE ? CLOCK : minutes).format(time);
    const first = day !== lastDay;
    lastDay = day;
    return first ? `${clock}\n${day}` : clock;
  });
}
