/**
 * From a payload to metrics. Pure: bytes in, metrics or the reason why not out; it never throws.
 *
 * A payload is JSON. On `sensors/{device}` an object's members are metrics, members of nested objects get dotted
 * names, null means "no value" and is left out; a bare number, boolean or string becomes the metric `value`. On
 * `sensors/{device}/{metric}` the payload is the value itself. A member `time` or `timestamp` is the device's own
 * time if it can be one (see `deviceTime`), else a metric like the others: nothing that was sent is thrown away.
 */
import { MAX_METRICS, MAX_NAME_LENGTH, MAX_TEXT_VALUE_LENGTH } from "../../events/limits.ts";
import type { MetricValue } from "../../events/schema.ts";
import { nameFault, type Route } from "./routes.ts";

export interface Decoded {
  readonly metrics: Record<string, MetricValue>;
  /** The device's own time, ms since 1970. */
  readonly time?: number;
}

export const DECODE_FAULTS = [
  "empty",
  "not_json",
  "not_a_value",
  "not_finite",
  "array",
  "too_deep",
  "too_many_metrics",
  "too_long",
  "bad_text",
  "bad_name",
  "no_metrics",
] as const;
export type DecodeFaultCode = (typeof DECODE_FAULTS)[number];

export interface DecodeFault {
  readonly code: DecodeFaultCode;
  readonly message: string;
}

/** Levels of nested objects that are turned into dotted names. */
const MAX_DEPTH = 8;

// Fatal: a payload that is not UTF-8 must not pass with its broken bytes replaced.
const utf8 = new TextDecoder("utf-8", { fatal: true });

const REPLACEMENT = "\ufffd";
const BYTE_ORDER_MARK = 0xef;

class Fault extends Error {
  readonly code: DecodeFaultCode;
  constructor(code: DecodeFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function decodePayload(route: Route, payload: Buffer): Decoded | DecodeFault {
  try {
    return route.metric === undefined
      ? decodeObject(parse(payload))
      : { metrics: { [route.metric]: value(parse(payload), route.metric) } };
  } catch (error) {
    if (error instanceof Fault) return { code: error.code, message: error.message };
    throw error;
  }
}

export function isFault(result: Decoded | DecodeFault): result is DecodeFault {
  return "code" in result;
}

function parse(payload: Buffer): unknown {
  if (payload.length === 0) throw new Fault("empty", "the payload is empty");
  try {
    return JSON.parse(text(payload));
  } catch (error) {
    throw new Fault("not_json", `the payload is not JSON: ${(error as Error).message}`);
  }
}

/**
 * The checking decoder costs five times as much as a conversion that puts U+FFFD for what is broken, so it is only asked
 * where one of these is in the result, or a byte order mark, which it takes away.
 */
function text(payload: Buffer): string {
  const quick = payload[0] === BYTE_ORDER_MARK ? REPLACEMENT : payload.toString();
  return quick.includes(REPLACEMENT) ? utf8.decode(payload) : quick;
}

function decodeObject(parsed: unknown): Decoded {
  if (typeof parsed !== "object" || parsed === null) {
    return { metrics: { value: value(parsed, "the payload") } };
  }
  if (Array.isArray(parsed)) throw new Fault("array", "the payload is an array, not an object");
  return isPlain(parsed) ? { metrics: parsed } : collectMetrics(parsed);
}

/**
 * Most payloads are one flat object of good names and values, which are its metrics as they stand: no copy is made.
 * @returns false for all others, also for those that collectMetrics() then refuses
 */
function isPlain(parsed: object): parsed is Record<string, MetricValue> {
  const members = parsed as Record<string, unknown>;
  let count = 0;
  for (const name in members) {
    const content = members[name];
    if (typeof content === "number" ? !Number.isFinite(content) : !isPlainText(content))
      return false;
    if (!isPlainName(name)) return false;
    count += 1;
  }
  return count > 0 && count <= MAX_METRICS;
}

function isPlainText(content: unknown): boolean {
  if (typeof content === "boolean") return true;
  return (
    typeof content === "string" && content.length <= MAX_TEXT_VALUE_LENGTH && content.isWellFormed()
  );
}

/** ASCII without control characters, and none of the names that mean something: surely a good one. */
function isPlainName(name: string): boolean {
  const { length } = name;
  if (length === 0 || length > MAX_NAME_LENGTH) return false;
  for (let i = 0; i < length; i += 1) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return name !== "time" && name !== "timestamp" && name !== "__proto__";
}

function collectMetrics(parsed: object): Decoded {
  const metrics: Record<string, MetricValue> = {};
  let time: number | undefined;
  let count = 0;
  const collect = (members: object, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new Fault("too_deep", `objects nest deeper than ${MAX_DEPTH}`);
    for (const [member, content] of Object.entries(members)) {
      const name = prefix + member;
      if (content === null) continue;
      if (depth === 1 && time === undefined && (member === "time" || member === "timestamp")) {
        time = deviceTime(content);
        if (time !== undefined) continue;
      }
      if (typeof content === "object" && !Array.isArray(content)) {
        collect(content, `${name}.`, depth + 1);
        continue;
      }
      const fault = nameFault(name);
      if (fault) throw new Fault("bad_name", `member ${JSON.stringify(name)}: ${fault}`);
      count += 1;
      if (count > MAX_METRICS) {
        throw new Fault("too_many_metrics", `more than ${MAX_METRICS} metrics in one payload`);
      }
      // "a.b" and a `b` inside of `a` come to one name; keeping the last would lose the other.
      if (Object.hasOwn(metrics, name)) {
        throw new Fault("bad_name", `two values are called ${JSON.stringify(name)}`);
      }
      metrics[name] = value(content, name);
    }
  };
  collect(parsed, "", 1);
  if (count === 0) throw new Fault("no_metrics", "the payload has no values");
  return time === undefined ? { metrics } : { metrics, time };
}

function value(content: unknown, name: string): MetricValue {
  switch (typeof content) {
    case "number":
      // JSON.parse makes Infinity of 1e999.
      if (!Number.isFinite(content))
        throw new Fault("not_finite", `${name} is not a finite number`);
      return content;
    case "boolean":
      return content;
    case "string":
      if (content.length > MAX_TEXT_VALUE_LENGTH) {
        throw new Fault("too_long", `${name} is a text of ${content.length} characters`);
      }
      // Half of a surrogate pair cannot be written as UTF-8: readers would get another text, or none.
      if (!content.isWellFormed()) throw new Fault("bad_text", `${name} is a text that is cut`);
      return content;
    default:
      if (Array.isArray(content)) throw new Fault("array", `${name} is an array`);
      throw new Fault("not_a_value", `${name} is ${content === null ? "null" : "an object"}`);
  }
}

/** 2000-01-01 and 2100-01-01: a number outside of them is no time but a metric that happens to be called so. */
const EARLIEST_MS = 946_684_800_000;
const LATEST_MS = 4_102_444_800_000;

const ISO_8601 =
  /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(Z|[+-]\d{2}(?::?\d{2})?)?$/;

/**
 * A device's time: ISO 8601 (without a zone taken as UTC), or a number of seconds, milliseconds, microseconds or
 * nanoseconds since 1970, told apart by size.
 * @returns ms since 1970, or undefined where it cannot be a time
 */
export function deviceTime(content: unknown): number | undefined {
  if (typeof content === "string") {
    const zone = ISO_8601.exec(content);
    if (!zone) return undefined;
    const text = content.replace(" ", "T").replace(",", ".");
    return within(Date.parse(zone[1] === undefined ? `${text}Z` : text));
  }
  if (typeof content !== "number") return undefined;
  for (const perMs of [0.001, 1, 1e3, 1e6]) {
    const ms = within(content / perMs);
    if (ms !== undefined) return ms;
  }
  return undefined;
}

function within(ms: number): number | undefined {
  return ms >= EARLIEST_MS && ms < LATEST_MS ? ms : undefined;
}
