/**
 * Which topics carry readings, and what their names say. Pure.
 *
 * `sensors/{device}` and `sensors/{device}/{metric}` to begin with, and topics that the configuration names as those of large
 * payloads, e.g. `cameras/+/image`. What no route matches is ordinary MQTT.
 */
import { MAX_NAME_LENGTH } from "../../events/limits.ts";

export interface Route {
  readonly device: string;
  /** Present where the topic names the metric and the payload is its value. */
  readonly metric?: string;
  /** Its payloads are kept as they are, whatever their size. */
  readonly isRaw?: boolean;
}

/** A route matched, but a name in the topic is not one that an event can carry. */
export interface BadRoute {
  readonly code: "bad_name";
  readonly message: string;
}

const PREFIX = "sensors/";

/** A topic filter of raw payloads; its first `+` stands for the device. */
export type RawFilter = readonly string[];

export function rawFilter(filter: string): RawFilter {
  return filter.split("/");
}

/** @returns undefined where no route matches the topic */
export function matchRoute(
  topic: string,
  raw: readonly RawFilter[] = [],
): Route | BadRoute | undefined {
  if (raw.length > 0) {
    const levels = topic.split("/");
    const filter = raw.find((one) => matches(one, levels));
    const device = filter && levels[filter.indexOf("+")];
    if (device !== undefined) {
      const fault = nameFault(device);
      return fault === undefined ? { device, isRaw: true } : badName(topic, fault);
    }
  }
  return sensorRoute(topic);
}

/** [MQTT-4.7.1] `#` stands for the level before it too. */
function matches(filter: RawFilter, levels: readonly string[]): boolean {
  for (const [i, wanted] of filter.entries()) {
    if (wanted === "#") return levels.length >= i;
    const level = levels[i];
    if (level === undefined || (wanted !== "+" && wanted !== level)) return false;
  }
  return levels.length === filter.length;
}

function badName(topic: string, fault: string): BadRoute {
  return { code: "bad_name", message: `${JSON.stringify(topic)}: ${fault}` };
}

function sensorRoute(topic: string): Route | BadRoute | undefined {
  if (!topic.startsWith(PREFIX)) return undefined;
  const names = topic.slice(PREFIX.length).split("/");
  if (names.length > 2) return undefined;
  for (const name of names) {
    const fault = nameFault(name);
    if (fault) return badName(topic, fault);
  }
  const [device = "", metric] = names;
  return metric === undefined ? { device } : { device, metric };
}

/** @returns what is wrong with a device's or metric's name, in words; undefined where nothing is */
export function nameFault(name: string): string | undefined {
  if (name === "") return "a name is empty";
  if (name.length > MAX_NAME_LENGTH) {
    return `a name has ${name.length} characters, ${MAX_NAME_LENGTH} at most are taken`;
  }
  // Names become keys, file columns and page text; a control character in one is never meant.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f\ufffd]/.test(name)) return "a name has a control or broken character";
  // Half of a surrogate pair has no UTF-8, so that different names would become one.
  if (!name.isWellFormed()) return "a name has half of a character";
  // Where CBOR becomes a JavaScript object this name cannot stand; it would come out as another one.
  if (name === "__proto__") return "no metric or device can be called __proto__";
  return undefined;
}
