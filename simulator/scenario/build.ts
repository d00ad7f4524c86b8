/**
 * From a scenario as it is written to the value that runs: defaults filled in, groups counted out, names given, signals made,
 * events applied. What the parts mean together, and cannot, is reported.
 */

import { nameFault } from "../../gateway/mqtt/routes.ts";
import type { Rule } from "../../rules/rule.ts";
import type { Report } from "../../rules/yaml-file.ts";
import { NUMBER_METRIC } from "../device/readings.ts";
import { makeDevice } from "../kinds.ts";
import { childSeed, uniformAt } from "../random.ts";
import { applyEvent, type Changeable, checkEvent } from "./events.ts";
import { defaultOf, type RawOutages } from "./fields.ts";
import { type QuantityName, read } from "./friendly.core.ts";
import { checkMetric, metricOf } from "./metrics.ts";
import { type NamedDevice, type NamedGateway, named } from "./names.ts";
import type {
  Behaviour,
  BufferSpec,
  ClockSpec,
  DeviceSpec,
  GatewaySpec,
  LinkSpec,
  MetricSpec,
  Outages,
  Scenario,
  SiteSpec,
  Stretch,
} from "./scenario.ts";
import {
  deviceSchema,
  gatewaySchema,
  type RawDevice,
  type RawScenario,
  scenarioSchema,
  siteSchema,
} from "./schema.ts";

/** What a run may have other than its scenario says. */
export interface Overrides {
  readonly seed?: number | undefined;
  readonly durationMs?: number | undefined;
  /** Devices in all; the groups keep their shares. */
  readonly devices?: number | undefined;
}

interface Schema {
  readonly properties: object;
}

/** A value of one map of the scenario, or what the schema says where it has none. */
function settings(schema: Schema, raw: object | undefined) {
  const given = (raw ?? {}) as Readonly<Record<string, unknown>>;
  const value = (key: string): unknown => given[key] ?? defaultOf(schema, key);
  return {
    quantity: (name: QuantityName, key: string): number => read(name, value(key)),
    is: <Value>(key: string): Value => value(key) as Value,
    outages: (key: string): Outages => outagesOf(given[key] as RawOutages | undefined),
  };
}

function outagesOf(raw: RawOutages | undefined): Outages {
  const at: Stretch[] = [];
  let random: Outages["random"];
  for (const one of raw === undefined ? [] : Array.isArray(raw) ? raw : [raw]) {
    const lastsMs = read("positive", one.for);
    if (one.at !== undefined) at.push({ at: read("duration", one.at), lastsMs });
    else if (one.every !== undefined) random = { everyMs: read("positive", one.every), lastsMs };
  }
  return random ? { at, random } : { at };
}

/**
 * @param raw keeps to the schema
 * @param rules the scenario's, read by whoever knows where they stand
 * @returns undefined where something was reported
 */
export function build(
  raw: RawScenario,
  rules: readonly Rule[],
  overrides: Overrides,
  report: Report,
): Scenario | undefined {
  let good = true;
  const tell: Report = (path, message, onKey) => {
    good = false;
    report(path, message, onKey);
  };
  const whole = settings(scenarioSchema, raw);
  const start = whole.quantity("time", "start");
  // Faults are about what is written: a shorter run may well leave out its last events.
  const written = whole.quantity("positive", "duration");
  const durationMs = overrides.durationMs ?? written;
  const seed = overrides.seed ?? whole.is<number>("seed");
  checkOutages(raw, written, tell);
  for (const [index, { devices = [] }] of raw.gateways.entries()) {
    for (const [at, device] of devices.entries()) {
      checkDevice(device, whole.is("numbered"), under(tell, ["gateways", index, "devices", at]));
    }
  }
  for (const [index, event] of (raw.events ?? []).entries()) {
    checkEvent(event, written, under(tell, ["events", index]));
  }
  // What is written is judged as it is written; a device that is scaled away takes its events with it.
  const scaled = overrides.devices !== undefined;
  if (scaled && !build(raw, rules, { ...overrides, devices: undefined }, report)) return undefined;
  const gateways = named(raw.gateways, overrides.devices, tell);
  if (!good) return undefined;
  const numbered = whole.is<boolean>("numbered");
  const made = gateways.map((gateway) => gatewayOf(gateway, { seed, start, numbered }));
  const changeable = made.flatMap(({ changeable }) => changeable);
  for (const [index, event] of (raw.events ?? []).entries()) {
    applyEvent(event, changeable, { start, durationMs, scaled }, under(tell, ["events", index]));
  }
  if (!good) return undefined;
  return {
    name: raw.name,
    ...(raw.description === undefined ? {} : { description: raw.description.trim() }),
    start,
    durationMs,
    seed,
    rules,
    gateways: made.map(({ spec }) => spec),
    site: siteOf(raw.site),
  };
}

function under(report: Report, prefix: readonly (string | number)[]): Report {
  return (path, message, onKey) => report([...prefix, ...path], message, onKey);
}

interface Run {
  readonly seed: number;
  readonly start: number;
  readonly numbered: boolean;
}

function gatewayOf(
  gateway: NamedGateway,
  run: Run,
): { readonly spec: GatewaySpec; readonly changeable: readonly Changeable[] } {
  const { raw, name, label } = gateway;
  const devices = gateway.devices.map((device) => deviceOf(device, name, run));
  const { link, clock, buffer } = gatewaySchema.properties;
  return {
    spec: {
      name,
      link: linkOf(settings(link, raw.link)),
      clock: clockOf(settings(clock, raw.clock), raw.clock?.jumps ?? []),
      power: outagesOf(raw.power),
      kills: outagesOf(raw.kills),
      restarts: outagesOf(raw.restarts),
      buffer: bufferOf(settings(buffer, raw.buffer)),
      devices,
    },
    changeable: devices.map(({ name: device, metrics, behaviour }) => ({
      name: device,
      gateways: [name, label],
      metrics: metrics as Record<string, MetricSpec>,
      silent: behaviour.silent.at as Stretch[],
      offline: behaviour.offline?.at as Stretch[],
    })),
  };
}

type Settings = ReturnType<typeof settings>;

function linkOf({ quantity, outages }: Settings): LinkSpec {
  return {
    latencyMs: quantity("duration", "latency"),
    jitterMs: quantity("duration", "jitter"),
    loss: quantity("share", "loss"),
    duplicates: quantity("share", "duplicates"),
    down: outages("down"),
    halfOpen: outages("half_open"),
  };
}

function clockOf(
  { quantity }: Settings,
  jumps: readonly { readonly at: string; readonly by: string }[],
): ClockSpec {
  const syncAfterMs = quantity("sync", "sync_after");
  return {
    syncAfterMs: Number.isFinite(syncAfterMs) ? syncAfterMs : undefined,
    offAtBootMs: quantity("signed", "off_at_boot"),
    jumps: jumps.map(({ at, by }) => ({ at: read("duration", at), byMs: read("signed", by) })),
  };
}

function bufferOf({ quantity, is, outages }: Settings): BufferSpec {
  return {
    capacityBytes: quantity("size", "capacity"),
    policy: is("policy"),
    commitWindowMs: quantity("duration", "commit_window"),
    writeErrors: outages("write_errors"),
    diskFull: outages("disk_full"),
    decay: {
      recordDamaged: outages("record_damaged"),
      tailLost: outages("tail_lost"),
      storeLost: outages("store_lost"),
      markLost: outages("mark_lost"),
      oldCopy: outages("old_copy"),
      diskLost: outages("disk_lost"),
    },
  };
}

function siteOf(raw: RawScenario["site"]): SiteSpec {
  const { is, outages } = settings(siteSchema, raw);
  return {
    logAway: outages("log_away"),
    power: outages("power"),
    processorKills: outages("processor_kills"),
    processorMoves: outages("processor_moves"),
    writeErrors: outages("write_errors"),
    duplicates: is("duplicates"),
  };
}

function deviceOf(
  { raw, name }: NamedDevice,
  gateway: string,
  { seed, start, numbered }: Run,
): DeviceSpec {
  const { quantity, is } = settings(deviceSchema, raw);
  const everyMs = quantity("positive", "every");
  const own = childSeed(seed, name);
  const metrics: Record<string, MetricSpec> = raw.kind
    ? { ...makeDevice(raw.kind, name, seed).metrics }
    : {};
  for (const [metric, said] of Object.entries(raw.metrics ?? {})) {
    metrics[metric] = metricOf(said, childSeed(own, metric), start, { device: name, gateway });
  }
  return {
    name,
    everyMs,
    phaseMs:
      raw.phase === undefined
        ? Math.floor(everyMs * uniformAt(childSeed(own, "phase"), 0))
        : read("duration", raw.phase),
    qos: is("qos"),
    persistent: is("persistent"),
    numbered,
    metrics,
    behaviour: behaviourOf(raw),
  };
}

function behaviourOf(raw: RawDevice): Behaviour {
  const { quantity, is, outages } = settings(deviceSchema, raw);
  return {
    time: is("time"),
    clockOffMs: quantity("signed", "clock_off"),
    duplicates: quantity("share", "duplicates"),
    ignoresAcks: quantity("share", "ignores_acks"),
    ...(raw.sleep === undefined ? {} : { sleep: { everyMs: quantity("positive", "sleep") } }),
    reconnectEveryMs: quantity("duration", "reconnect_every"),
    maxQueued: is("max_queued"),
    window: is("window"),
    packetIds: is("packet_ids"),
    ackTimeoutMs: quantity("duration", "ack_timeout"),
    offline: outages("offline"),
    silent: outages("silent"),
  };
}

function checkDevice(device: RawDevice, numbered: boolean, report: Report): void {
  const { kind, metrics, time, clock_off, every, sleep } = device;
  if (kind === undefined && metrics === undefined) {
    report([], 'a group of devices needs "kind", "metrics", or both: what do they measure?');
  }
  if (time === "wrong" && clock_off === undefined) {
    report(["time"], 'with "time: wrong" say how far it is off: "clock_off: 3d"');
  }
  if (time !== "wrong" && clock_off !== undefined) {
    report(["clock_off"], '"clock_off" needs "time: wrong"', true);
  }
  const usual = defaultOf(deviceSchema, "every");
  if (sleep !== undefined && read("positive", sleep) < read("positive", every ?? usual)) {
    report(
      ["sleep"],
      `sleep is ${sleep}, shorter than every (${every ?? usual}): it would wake with nothing to send`,
    );
  }
  for (const [name, metric] of Object.entries(metrics ?? {})) {
    const wrong = metricNameFault(name, numbered);
    if (wrong !== undefined) report(["metrics", name], wrong, true);
    checkMetric(metric, under(report, ["metrics", name]));
  }
}

/** Names that mean something else in a payload. */
function metricNameFault(name: string, numbered: boolean): string | undefined {
  if (name === "time" || name === "timestamp") {
    return `"${name}" in a payload is the reading's time; call the metric otherwise`;
  }
  if (name === NUMBER_METRIC && numbered) {
    return `"${name}" is the number of the reading; call the metric otherwise, or write "numbered: false"`;
  }
  return nameFault(name);
}

const BUFFER_OUTAGES = [
  ...["write_errors", "disk_full", "record_damaged", "tail_lost"],
  ...["store_lost", "mark_lost", "old_copy", "disk_lost"],
];

/** Wherever there are stretches: one that never comes is a mistake in a digit or a unit. */
function checkOutages(raw: RawScenario, durationMs: number, report: Report): void {
  const check = (
    map: object | undefined,
    keys: readonly string[],
    path: readonly (string | number)[],
  ) => {
    for (const key of keys) {
      const value = (map as Readonly<Record<string, RawOutages>> | undefined)?.[key];
      if (value === undefined) continue;
      const several = Array.isArray(value);
      let random = 0;
      for (const [index, one] of (several ? value : [value]).entries()) {
        const place = [...path, key, ...(several ? [index] : [])];
        if ((one.at === undefined) === (one.every === undefined)) {
          report(
            place,
            'give either "at" (once, at that time) or "every" (by chance, on average so often)',
          );
        }
        if (one.every !== undefined) random += 1;
        if (random > 1) report(place, 'only one of a list can be by chance ("every")');
        if (one.at !== undefined && read("duration", one.at) >= durationMs) {
          report([...place, "at"], `at is ${one.at}, but the run has ended by then`);
        }
      }
    }
  };
  for (const [index, gateway] of raw.gateways.entries()) {
    const path = ["gateways", index];
    check(gateway, ["power", "kills", "restarts"], path);
    check(gateway.link, ["down", "half_open"], [...path, "link"]);
    check(gateway.buffer, BUFFER_OUTAGES, [...path, "buffer"]);
    for (const [at, device] of (gateway.devices ?? []).entries()) {
      check(device, ["silent", "offline"], [...path, "devices", at]);
    }
  }
  const ofSite = ["log_away", "power", "processor_kills", "processor_moves", "write_errors"];
  check(raw.site, ofSite, ["site"]);
}
