/** What happens to devices at a time: a metric that is off, that is something else, or that says nothing. */
import { globPattern } from "../../rules/rule.ts";
import type { Report } from "../../rules/yaml-file.ts";
import { defaultOf } from "./fields.ts";
import { read } from "./friendly.core.ts";
import type { MetricSpec, Stretch } from "./scenario.ts";
import { eventSchema, type RawEvent } from "./schema.ts";

interface Metrics {
  [name: string]: MetricSpec;
}

/** A device as far as events can change it. */
export interface Changeable {
  readonly name: string;
  /** Id and unique name of its gateway. */
  readonly gateways: readonly string[];
  readonly metrics: Metrics;
  readonly silent: Stretch[];
  readonly offline: Stretch[];
}

export function checkEvent(event: RawEvent, durationMs: number, report: Report): void {
  const keys = ["add", "set", "silent", "offline"] as const;
  const [kind, ...more] = keys.filter((key) => event[key] !== undefined);
  if (kind === undefined || more.length > 0) {
    report([], "an event has one of add, set, silent and offline: what is it that happens?");
  } else if (event.metric === undefined && (kind === "add" || kind === "set")) {
    report([], `"metric" is missing here: which metric is it that "${kind}" changes?`);
  } else if (event.metric !== undefined && kind === "offline") {
    report(["metric"], '"offline" is of whole devices, not of a metric', true);
  }
  const atMs = read("duration", event.at);
  if (atMs >= durationMs) report(["at"], `at is ${event.at}, but the run has ended by then`);
  const overMs = read("duration", event.over ?? "0s");
  if (overMs === 0) return;
  if (event.add === undefined) report(["over"], 'over is for "add"');
  const lastsMs = event.for === undefined ? Number.POSITIVE_INFINITY : read("positive", event.for);
  if (2 * overMs > lastsMs) {
    report(
      ["over"],
      `over is ${event.over}; to get there and back takes longer than for (${event.for})`,
    );
  }
}

/** Changes the devices that the event is about. */
export function applyEvent(
  event: RawEvent,
  devices: readonly Changeable[],
  run: { readonly start: number; readonly durationMs: number; readonly scaled: boolean },
  report: Report,
): void {
  const usual = defaultOf(eventSchema, "device") as string;
  const device = globPattern(event.device ?? usual);
  const gateway = globPattern(event.gateway ?? usual);
  const near = devices.filter(({ gateways }) => gateways.some((name) => gateway.test(name)));
  if (near.length === 0) {
    report(
      ["gateway"],
      `no gateway is called "${event.gateway}"; ${namesOf(devices.flatMap(({ gateways }) => gateways))}`,
    );
    return;
  }
  const met = near.filter(({ name }) => device.test(name));
  if (met.length === 0 && run.scaled) return;
  if (met.length === 0) {
    report(
      ["device"],
      `no device is called "${event.device}"; ${namesOf(near.map(({ name }) => name))}`,
    );
    return;
  }
  const at = read("duration", event.at);
  const toEnd = run.durationMs - at;
  if (toEnd <= 0) return;
  const lastsMs = event.for === undefined ? toEnd : read("positive", event.for);
  if (event.metric === undefined) {
    for (const device of met) device[event.offline ? "offline" : "silent"].push({ at, lastsMs });
    return;
  }
  let changed = 0;
  for (const { metrics } of met) {
    const before = metrics[event.metric];
    if (!before) continue;
    changed += 1;
    metrics[event.metric] = { ...before, at: during(event, before.at, run.start + at, lastsMs) };
  }
  if (changed === 0) {
    const known = met.flatMap(({ metrics }) => Object.keys(metrics));
    report(["metric"], `none of these devices has a metric "${event.metric}"; ${namesOf(known)}`);
  }
}

function during(
  event: RawEvent,
  before: MetricSpec["at"],
  from: number,
  lastsMs: number,
): MetricSpec["at"] {
  const overMs = read("duration", event.over ?? "0s");
  const { add, set } = event;
  return (time) => {
    const since = time - from;
    if (since < 0 || since >= lastsMs) return before(time);
    if (event.silent) return undefined;
    if (set !== undefined) return set;
    const value = before(time);
    if (typeof value !== "number" || add === undefined) return value;
    const share = overMs === 0 ? 1 : Math.min(1, since / overMs, (lastsMs - since) / overMs);
    // Two decimals more than the sensor has are enough, and no trace of binary fractions is left.
    return Math.round((value + add * share) * 1e4) / 1e4;
  };
}

function namesOf(names: readonly string[]): string {
  const different = [...new Set(names)];
  const rest = different.length - 8;
  return `there are ${different.slice(0, 8).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
