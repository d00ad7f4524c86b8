/**
 * From the rows of a recording to readings. Pure.
 *
 * The header names the metrics, as written there or in snake case. The column of time is the one that was named, else the
 * first called date, time, timestamp or datetime (in any case). A time without a zone is UTC. Each other column has
 * one kind (number, truth, text), settled by its first value; an empty cell is no value and is left out. What does not
 * fit is a fault with its reason; nothing is guessed.
 */
import { MAX_METRICS, MAX_TEXT_VALUE_LENGTH } from "../events/limits.ts";
import type { MetricValue } from "../events/schema.ts";
import { nameFault } from "../gateway/mqtt/routes.ts";

export const TIME_COLUMNS = ["date", "time", "timestamp", "datetime"] as const;

export const METRIC_NAMES = ["header", "snake"] as const;
/** `header`: as in the file. `snake`: `HumidityRatio` becomes `humidity_ratio`. */
export type MetricNames = (typeof METRIC_NAMES)[number];

type Kind = "number" | "truth" | "text";

interface Column {
  readonly index: number;
  readonly metric: string;
  kind: Kind | undefined;
}

export interface RecordedReading {
  /** ms since 1970. */
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

export interface RecordingOptions {
  readonly timeColumn?: string | undefined;
  readonly metricNames?: MetricNames | undefined;
}

/** What is wrong with a header or a row, in words, with what to do where that is not plain. */
export class RecordingFault extends Error {}

export class Recording {
  readonly #timeIndex: number;
  readonly #columns: readonly Column[];
  readonly #width: number;

  /** @throws RecordingFault */
  constructor(header: readonly string[], options: RecordingOptions = {}) {
    this.#width = header.length;
    this.#timeIndex = timeIndex(header, options.timeColumn);
    this.#columns = header.flatMap((name, index) =>
      index === this.#timeIndex
        ? []
        : [{ index, metric: metricName(name, index, options.metricNames), kind: undefined }],
    );
    if (this.#columns.length === 0) throw new RecordingFault("there is no column beside the time");
    if (this.#columns.length > MAX_METRICS) {
      throw new RecordingFault(`${this.#columns.length} columns; ${MAX_METRICS} at most are taken`);
    }
    const names = this.#columns.map(({ metric }) => metric);
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) throw new RecordingFault(`two columns are called ${quoted(twice)}`);
  }

  get metrics(): readonly string[] {
    return this.#columns.map(({ metric }) => metric);
  }

  /** @throws RecordingFault */
  reading(cells: readonly string[]): RecordedReading {
    if (cells.length !== this.#width) {
      throw new RecordingFault(`${cells.length} cells where the header has ${this.#width}`);
    }
    const time = parseTime(cells[this.#timeIndex] ?? "");
    // Kinds are settled only by a row that is good as a whole.
    const settled: [Column, Kind][] = [];
    const metrics: [string, MetricValue][] = [];
    for (const column of this.#columns) {
      const text = (cells[column.index] ?? "").trim();
      if (text === "") continue;
      const kind = column.kind ?? kindOf(text);
      metrics.push([column.metric, parseValue(text, kind, column.metric)]);
      settled.push([column, kind]);
    }
    if (metrics.length === 0) throw new RecordingFault("no column has a value");
    for (const [column, kind] of settled) column.kind = kind;
    return { time, metrics: Object.fromEntries(metrics) };
  }
}

function timeIndex(header: readonly string[], wanted: string | undefined): number {
  const list = header.map(quoted).join(", ");
  if (wanted !== undefined) {
    const index = header.indexOf(wanted);
    if (index >= 0) return index;
    throw new RecordingFault(`there is no column ${quoted(wanted)}; the header has ${list}`);
  }
  const names: readonly string[] = TIME_COLUMNS;
  const index = header.findIndex((name) => names.includes(name.trim().toLowerCase()));
  if (index >= 0) return index;
  throw new RecordingFault(
    `no column is called ${TIME_COLUMNS.join(", ")}; name the column of time (--time-column); the header has ${list}`,
  );
}

function metricName(header: string, index: number, names: MetricNames = "header"): string {
  const name = names === "snake" ? snake(header.trim()) : header.trim();
  const fault = nameFault(name);
  if (fault) throw new RecordingFault(`column ${index + 1} (${quoted(header)}): ${fault}`);
  // The gateway would take it for the device's own time.
  if (name === "time" || name === "timestamp") {
    throw new RecordingFault(
      `column ${index + 1} is called ${quoted(name)} and is not the column of time; rename it, or name it as the column of time`,
    );
  }
  return name;
}

/** `CO2` → `co2`, `HumidityRatio` → `humidity_ratio`, `Light (lux)` → `light_lux`. */
function snake(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "_")
    .replaceAll(/^_+|_+$/g, "");
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function kindOf(text: string): Kind {
  if (NUMBER.test(text)) return "number";
  return /^(true|false)$/i.test(text) ? "truth" : "text";
}

function parseValue(text: string, kind: Kind, metric: string): MetricValue {
  switch (kind) {
    case "number": {
      const value = NUMBER.test(text) ? Number(text) : Number.NaN;
      if (Number.isFinite(value)) return value + 0;
      throw new RecordingFault(`${metric} is ${quoted(text)}, not a number as in the rows before`);
    }
    case "truth":
      if (kindOf(text) === "truth") return text.toLowerCase() === "true";
      throw new RecordingFault(
        `${metric} is ${quoted(text)}, not true or false as in the rows before`,
      );
    case "text":
      if (text.length <= MAX_TEXT_VALUE_LENGTH) return text;
      throw new RecordingFault(`${metric} has a text of ${text.length} characters`);
  }
}

const CALENDAR =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/** Outside of these the gateway takes a number for an ordinary value: 2000-01-01 and 2100-01-01. */
const EARLIEST_MS = 946_684_800_000;
const LATEST_MS = 4_102_444_800_000;

/**
 * `2015-02-04 17:51:00`, ISO 8601 with or without zone, a date alone, seconds or milliseconds since 1970.
 * @returns ms since 1970. @throws RecordingFault
 */
export function parseTime(cell: string): number {
  const text = cell.trim();
  const ms = NUMBER.test(text) ? epochTime(Number(text)) : calendarTime(text);
  if (ms === undefined) {
    throw new RecordingFault(
      `${quoted(cell)} is not a time; write it like 2015-02-04 17:51:00 (UTC), or as seconds or milliseconds since 1970`,
    );
  }
  if (ms < EARLIEST_MS || ms >= LATEST_MS) {
    throw new RecordingFault(`${quoted(cell)} is outside of the years 2000 to 2099`);
  }
  return ms;
}

function epochTime(value: number): number {
  return value >= LATEST_MS / 1000 ? Math.round(value) : Math.round(value * 1000);
}

function calendarTime(text: string): number | undefined {
  const [, year, month, day, hour, minute, second, fraction, zone] = CALENDAR.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = [Number(year), Number(month) - 1, Number(day)] as const;
  const ms = Date.UTC(...date, Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0));
  // Date carries 30 February over into March; a recording that has one is broken.
  const back = new Date(ms);
  const kept = back.getUTCMonth() === date[1] && back.getUTCDate() === date[2];
  const clock = Number(hour ?? 0) < 24 && Number(minute ?? 0) < 60 && Number(second ?? 0) < 60;
  if (!kept || !clock) return undefined;
  return ms + Math.round(Number(`0.${fraction ?? 0}`) * 1000) - zoneMs(zone);
}

function zoneMs(zone: string | undefined): number {
  if (zone === undefined || zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
