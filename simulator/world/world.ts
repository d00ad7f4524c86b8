/**
 * The whole of a site in virtual time: devices, gateways with their disks and links, the log with its processors, and what goes
 * wrong. Everything random in it comes from the scenario's seed: the same scenario makes the same run, to the last byte.
 *
 * What runs is the product: buffer, sessions, intake, clock watch, forwarder, reports, embedded log, processors, rules. What is
 * played is what they stand on: disks, clocks, network, radio, power. LevelDB, aedes and Kafka are not here.
 */

import type { MetricValue } from "../../events/schema.ts";
import { Device } from "../device/device.ts";
import type { DeviceRecorder } from "../device/port.ts";
import type { SentReading, SentWrite } from "../oracle-sent.ts";
import { childSeed } from "../random.ts";
import type { DeviceSpec, GatewaySpec, Scenario } from "../scenario/scenario.ts";
import { Chance } from "./chance.ts";
import { copyOf, type Decay, type DiskCopy, decay, type Harm } from "./decay.ts";
import { DeviceHost } from "./device-host.ts";
import { type Fault, type FaultKind, faultsOf, isDecay } from "./faults.ts";
import { GatewayNode } from "./gateway-node.ts";
import { Link } from "./network.ts";
import { clockText, RunRecord } from "./record.ts";
import { Site } from "./site.ts";
import { type Scope, VirtualTime } from "./virtual-time.ts";

/** A gateway's card is copied into another one's board, which has been off until then. Both by their places in the scenario. */
export interface CardCopy {
  readonly from: number;
  readonly to: number;
  /** ms from the beginning of the run. */
  readonly at: number;
  /** The copy does not see that it is on other hardware: a bug to plant. */
  readonly blind?: boolean;
}

export interface WorldOptions {
  readonly copies?: readonly CardCopy[];
  /** In the place of those that the scenario makes. */
  readonly faults?: readonly Fault[];
  readonly heartbeatMs?: number;
  readonly statusMs?: number;
  /** How much virtual time a world that is whole again may take to bring everything home. Default 6 hours. */
  readonly drainMs?: number;
}

/** One PUBLISH of a reading, with what the world knows of it. */
export interface WorldWrite extends SentWrite {
  /** ms from the beginning of the run. */
  readonly at: number;
  /** The device had its acknowledgement already. */
  readonly late: boolean;
}

/** One reading, as its device knows it. */
export interface SentEntry extends SentReading {
  /** Counts from 1 within the device. */
  readonly n: number;
  readonly writes: WorldWrite[];
  /** Whether the broker keeps the session of its device. */
  readonly persistent: boolean;
  acknowledged: boolean;
  /** ms from the beginning of the run. */
  acknowledgedAt?: number;
}

export const NAMESPACE = "sim";
/** Hours of gateways from which on they tell of themselves once a minute, and not every ten seconds as by default. */
const LONG_MS = 6 * 3_600_000;
const PARTITIONS = 3;
/** Nothing expires in a run. */
const KEEP_DAYS = 3650;
/** Shorter than the product's: a run is short. */
const CLOCK_WAIT_MS = 5 * 60_000;
const DRAIN_MS = 6 * 3_600_000;
const LOOK_MS = 1000;
/** A machine that lost its power is up again after so long. */
const BOOT_MS = 2000;
/** A program that ended is started again after so long. */
const START_MS = 100;
/** One that is stopped in order and has not ended by then never does. */
const STOP_MS = 60_000;
/** Heartbeats after a clock was set late, until nothing that waited for it waits any more. */
const BEATS_AFTER = 8;

interface PlacedDevice {
  readonly device: Device;
  readonly host: DeviceHost;
  readonly gateway: GatewayNode;
}

export class World {
  readonly scenario: Scenario;
  readonly time: VirtualTime = new VirtualTime();
  readonly record: RunRecord;
  readonly site: Site;
  readonly gateways: readonly GatewayNode[];
  readonly devices: readonly PlacedDevice[];
  readonly sent: SentEntry[] = [];
  dropped = 0;
  /** What made a machine fail to start, in words. */
  readonly failures: string[] = [];
  readonly #troubled = new Set<number>();
  /** What somebody has a sensor say, by device and metric, in the place of what it measures. */
  readonly #held = new Map<string, MetricValue>();
  readonly #links: readonly Link[];
  readonly #faults: readonly Fault[];
  readonly #copies: readonly CardCopy[];
  readonly #drainMs: number;
  /** Between two heartbeats of a gateway, ms. */
  readonly beatMs: number;
  /** Of the world itself: what goes wrong. */
  readonly #fate: Scope;
  /** How many of a kind are on at once, by kind and gateway. */
  readonly #on = new Map<string, number>();
  /** What ended each machine's program so far, by count: it comes up again only after the last. */
  readonly #ends = new Map<object, number>();
  /** Machines without power. */
  readonly #off = new Set<object>();
  /** What a disk has lost since it was opened last: until then nothing more is done to it. */
  readonly #decayed = new Map<GatewayNode, number>();
  /** What the disks have lost, by gateway. */
  readonly harms: Map<GatewayNode, Harm[]> = new Map();
  readonly #decayChances = new Map<GatewayNode, Chance>();
  #healed = false;
  /** Since when gateways are known to know the time, at the end. */
  readonly #timed = new Map<GatewayNode, number>();

  constructor(scenario: Scenario, options: WorldOptions = {}) {
    this.scenario = scenario;
    const { time } = this;
    const { start, seed, durationMs, rules } = scenario;
    this.record = new RunRecord(() => time.now);
    const { record } = this;
    this.#fate = time.scope();
    const beat = durationMs * scenario.gateways.length > LONG_MS ? 60_000 : 10_000;
    this.beatMs = options.heartbeatMs ?? scenario.heartbeatMs ?? beat;
    this.#faults = options.faults ?? faultsOf(scenario);
    this.#copies = options.copies ?? [];
    this.#drainMs = options.drainMs ?? DRAIN_MS;
    this.site = new Site({
      ...{ time, record, start, rules, namespace: NAMESPACE },
      chance: new Chance(seed, "site"),
      settings: {
        rollups: { minute_keep_days: 7, hour_keep_days: 400 },
        alert_retention_days: 400,
        rejected_retention_days: 400,
        read_model: { raw_keep_days: 7, raw_max_bytes: 1024 ** 2, alert_history_max: 1000 },
      },
      topics: { partitions: PARTITIONS, events_retention_days: KEEP_DAYS },
      duplicates: scenario.site.duplicates,
      limits: scenario.site.limits,
    });
    const way = time.scope();
    // By name, so that nothing else changes where one of them is left out; a cloned card has another one's name.
    const partOf = ({ name }: GatewaySpec, at: number) => {
      const twins = scenario.gateways.slice(0, at).filter((one) => one.name === name).length;
      return twins > 0 ? `${name} ${twins}` : name;
    };
    this.#links = scenario.gateways.map(
      (spec, at) => new Link(spec.link, new Chance(seed, `link ${partOf(spec, at)}`), record, way),
    );
    this.gateways = scenario.gateways.map(
      (spec, at) =>
        new GatewayNode({
          ...{ spec, time, start, record, door: this.site, namespace: NAMESPACE },
          chance: new Chance(seed, `gateway ${partOf(spec, at)}`),
          link: this.#links[at] as Link,
          heartbeatMs: this.beatMs,
          statusMs: options.statusMs ?? scenario.heartbeatMs ?? beat,
          clockWaitMs: CLOCK_WAIT_MS,
        }),
    );
    this.devices = this.gateways.flatMap((gateway) =>
      gateway.spec.devices.map((plan): PlacedDevice => {
        const spec = this.#holdable(plan);
        const chance = new Chance(seed, `${spec.name} radio`);
        const host = new DeviceHost({ name: spec.name, gateway, time, start, chance, record });
        const recorder = this.#recorder(gateway.name, spec, host);
        const end = start + durationMs;
        const device = new Device({
          spec,
          seed: childSeed(seed, "device"),
          start,
          end,
          world: host,
          recorder,
        });
        host.device = device;
        return { device, host, gateway };
      }),
    );
  }

  /** Everything is switched on. */
  async start(): Promise<void> {
    this.#boot(this.site);
    const isOff = (at: number) => this.#copies.some(({ to }) => to === at);
    for (const [at, gateway] of this.gateways.entries()) if (!isOff(at)) this.#boot(gateway);
    for (const copy of this.#copies) this.#fate.setTimeout(() => this.#copy(copy), copy.at);
    for (const fault of this.#faults) {
      this.#fate.setTimeout(() => this.#begin(fault), fault.at);
    }
    for (const { device } of this.devices) this.#fate.setTimeout(() => device.start(), 0);
    await this.time.runUntil(0);
  }

  /** Whether something was to happen to the machine of the gateway: its power, its disk. */
  troubled(gateway: number): boolean {
    return this.#troubled.has(gateway);
  }

  /** Somebody has done more to it than its scenario says. */
  disturbed = false;

  /** Begins now, besides what the scenario has. */
  inject(fault: Omit<Fault, "at">): void {
    this.disturbed = true;
    this.#begin({ ...fault, at: this.time.now });
  }

  /** The sensor says this from now on; undefined lets it measure again. */
  hold(device: string, metric: string, value: MetricValue | undefined): void {
    const key = `${device} ${metric}`;
    if (value === undefined) this.#held.delete(key);
    else this.#held.set(key, value);
  }

  #holdable(spec: DeviceSpec): DeviceSpec {
    const metrics = Object.entries(spec.metrics).map(([name, { unit, at }]) => {
      const key = `${spec.name} ${name}`;
      return [name, { unit, at: (time: number) => this.#held.get(key) ?? at(time) }] as const;
    });
    return { ...spec, metrics: Object.fromEntries(metrics) };
  }

  /** ms from the beginning of the run. */
  async runUntil(moment: number): Promise<void> {
    await this.time.runUntil(moment);
  }

  /**
   * Nothing goes wrong any more; runs until everything that was sent is in the log and processed.
   * @returns why that does not end, or undefined
   */
  async drain(): Promise<string | undefined> {
    this.#heal();
    const until = this.time.now + this.#drainMs;
    for (;;) {
      await this.time.runUntil(this.time.now + LOOK_MS);
      const open = this.#open();
      if (open === undefined) break;
      if (this.time.now >= until) return `does not come to rest: ${open}`;
    }
    for (const gateway of this.gateways) void gateway.stop();
    await this.time.runUntil(this.time.now + 10_000);
    const caughtUp = this.site.cloud?.caughtUp();
    let done = false;
    let failed: string | undefined;
    caughtUp?.then(
      () => {
        done = true;
      },
      (error: Error) => {
        failed = `the processors failed: ${error.message}`;
      },
    );
    while (!done) {
      if (failed !== undefined) return failed;
      if (this.time.now >= until) return "the processors do not catch up";
      await this.time.runUntil(this.time.now + LOOK_MS);
    }
    return undefined;
  }

  /** What is not home yet. */
  #open(): string | undefined {
    if (!this.site.cloud) return "the site is down";
    const busy = this.devices.find(({ device }) => !device.done);
    if (busy) {
      const { queued, unacknowledged, online } = busy.device;
      const state = `${queued} kept, ${unacknowledged} open, ${online ? "online" : "offline"}`;
      return `a device of ${busy.gateway.name} is not done (${state})`;
    }
    for (const gateway of this.gateways) {
      const late = this.#untimed(gateway);
      if (late !== undefined) return late;
      gateway.quiet();
      if (gateway.isBusy) return `${gateway.name} has events on their way to its disk`;
      const stats = gateway.buffer;
      if (!stats) return `${gateway.name} is down`;
      if (stats.waiting > 0) {
        return `${gateway.name} has ${stats.waiting} events that wait (${stats.state})`;
      }
    }
    return undefined;
  }

  /**
   * Why a gateway whose clock is set late must not fall silent yet: what waits for its time at the processors leaves them a
   * few hundred with each record, as heartbeats come for ever.
   */
  #untimed(gateway: GatewayNode): string | undefined {
    const { syncAfterMs } = gateway.spec.clock;
    if (syncAfterMs === undefined || syncAfterMs === 0 || !gateway.buffer) return undefined;
    if (!gateway.knowsTime) return `${gateway.name} does not know the time yet`;
    const since = this.#timed.get(gateway) ?? this.time.now;
    this.#timed.set(gateway, since);
    const { now } = this.time;
    return now < since + BEATS_AFTER * this.beatMs ? `${gateway.name} tells on` : undefined;
  }

  #heal(): void {
    this.#healed = true;
    for (const link of this.#links) {
      link.isDown = false;
      link.isHalfOpen = false;
    }
    for (const { disk } of this.gateways) {
      disk.failsWrites = false;
      disk.isFull = false;
    }
    this.site.isAway = false;
    this.site.disk.failsWrites = false;
  }

  #recorder(gateway: string, spec: DeviceSpec, host: DeviceHost): DeviceRecorder {
    const entries = new Map<number, SentEntry>();
    const { qos, persistent } = spec;
    let order = 0;
    return {
      written: ({ n, device, time, metrics }, { dup, messageId }, fresh) => {
        let entry = entries.get(n);
        if (!entry) {
          const writes: WorldWrite[] = [];
          entry = { n, device, time, metrics, gateway, persistent, writes, acknowledged: false };
          entries.set(n, entry);
          this.sent.push(entry);
        }
        order += 1;
        const { connections: connection } = host;
        const late = entry.acknowledged;
        entry.writes.push({
          connection,
          order,
          qos,
          messageId,
          dup,
          fresh,
          late,
          at: this.time.now,
        });
      },
      acknowledged: ({ n }) => {
        const entry = entries.get(n);
        if (!entry || entry.acknowledged) return;
        entry.acknowledged = true;
        entry.acknowledgedAt = this.time.now;
      },
      dropped: () => {
        this.dropped += 1;
      },
    };
  }

  #copy({ from, to, blind = false }: CardCopy): void {
    const [original, copy] = [this.gateways[from], this.gateways[to]];
    if (!original || !copy)
      throw new Error("a card is copied from one gateway of the scenario to another");
    this.#troubled.add(to);
    this.record.strike("card copied");
    this.record.note(copy.name, `has a copy of the card of ${original.name}`);
    copy.putIn(original, blind);
    this.#boot(copy);
  }

  #begin(fault: Fault): void {
    if (this.#healed) return;
    const { kind, lastsMs, gateway: at } = fault;
    const who = at === undefined ? "site" : (this.gateways[at]?.name ?? "");
    if (at !== undefined && !/^(link down|half open)$/.test(kind)) this.#troubled.add(at);
    this.record.note(who, `${kind}${lastsMs > 0 ? ` for ${clockText(lastsMs)}` : ""}`);
    const gateway = at === undefined ? undefined : this.gateways[at];
    if (kind === "clock jump") gateway?.clock.jump(fault.byMs ?? 0);
    else if (kind === "processors moved") this.site.moveProcessors();
    else if (kind === "processors killed") this.#killSite(lastsMs);
    else if (kind === "site power cut") {
      this.record.strike(kind);
      this.site.powerCut();
      this.#bootAfter(this.site, lastsMs);
    } else if (kind === "gateway power cut") {
      this.record.strike(kind);
      if (gateway) this.#cutGateway(gateway, lastsMs);
    } else if (kind === "gateway killed") {
      if (gateway) this.#killGateway(gateway, lastsMs);
    } else if (kind === "gateway restarted") {
      if (gateway) this.#restart(gateway, lastsMs);
    } else if (isDecay(kind)) {
      if (gateway) this.#decay(gateway, kind, lastsMs);
    } else {
      this.#switch(kind, at, 1);
      this.#fate.setTimeout(() => {
        if (at !== undefined && !/^(link down|half open)$/.test(kind)) this.#troubled.add(at);
        this.record.note(who, `${kind} is over`);
        this.#switch(kind, at, -1);
      }, lastsMs);
    }
  }

  /** Stretches of one kind may overlap. */
  #switch(kind: FaultKind, at: number | undefined, by: 1 | -1): void {
    if (this.#healed) return;
    const key = `${kind} ${at}`;
    const on = (this.#on.get(key) ?? 0) + by;
    this.#on.set(key, on);
    const isOn = on > 0;
    if (kind === "log away") this.site.isAway = isOn;
    if (kind === "log write errors") this.site.disk.failsWrites = isOn;
    if (at === undefined) return;
    const link = this.#links[at];
    const disk = this.gateways[at]?.disk;
    if (link && kind === "link down") link.isDown = isOn;
    if (link && kind === "half open") link.isHalfOpen = isOn;
    if (disk && kind === "buffer write errors") disk.failsWrites = isOn;
    if (disk && kind === "disk full") disk.isFull = isOn;
  }

  /** @param before what happens to the machine while it is off */
  #cutGateway(gateway: GatewayNode, ms: number, before?: () => void): void {
    gateway.powerCut();
    for (const { host, gateway: own } of this.devices) if (own === gateway) host.gatewayGone();
    this.#bootAfter(gateway, ms, before);
  }

  #killGateway(gateway: GatewayNode, ms: number): void {
    if (this.#off.has(gateway)) return;
    this.record.strike("gateway killed");
    gateway.kill();
    this.#ended(gateway);
    this.#after(gateway, Math.max(START_MS, ms), () => this.#begins(gateway.start()));
  }

  #restart(gateway: GatewayNode, ms: number): void {
    if (this.#off.has(gateway)) return;
    this.record.strike("gateway restarted");
    const again = () => {
      this.#ended(gateway);
      this.#after(gateway, Math.max(START_MS, ms), () => this.#begins(gateway.start()));
    };
    this.#after(gateway, STOP_MS, () => {
      this.failures.push(`${gateway.name} did not stop in order`);
      gateway.kill();
      again();
    });
    const end = this.#ends.get(gateway);
    gateway.stop().then(
      () => {
        if (this.#ends.get(gateway) === end) again();
      },
      (error: Error) => this.failures.push(`${gateway.name} did not stop: ${error.message}`),
    );
  }

  #ended(gateway: GatewayNode): void {
    for (const { host, gateway: own } of this.devices) if (own === gateway) host.gatewayEnded();
  }

  #killSite(ms: number): void {
    if (this.#off.has(this.site)) return;
    this.record.strike("processors killed");
    this.site.kill();
    this.#after(this.site, Math.max(START_MS, ms), () => this.#boot(this.site));
  }

  /** While the machine is off; a record is as often damaged under a gateway that runs. */
  #decay(gateway: GatewayNode, kind: Decay, ms: number): void {
    const chance = this.#decays(gateway);
    const hurt = (off: boolean, copy?: DiskCopy) => {
      const { disk } = gateway;
      // One at a time, so that it can be said what a start must find.
      if (this.#decayed.get(gateway) === gateway.opened) return;
      const harm = decay(kind, disk, { at: this.time.now, off }, chance, copy);
      if (!harm) return;
      this.#decayed.set(gateway, gateway.opened);
      this.record.strike(kind);
      this.record.note(gateway.name, `${kind}: ${JSON.stringify([...harm.lost, ...harm.gone])}`);
      this.harms.set(gateway, [...(this.harms.get(gateway) ?? []), harm]);
    };
    const off = (lastsMs: number, copy?: DiskCopy) => {
      this.#cutGateway(gateway, lastsMs, () => hurt(true, copy));
    };
    if (kind === "old copy put back") {
      const copy = copyOf(gateway.disk);
      this.#fate.setTimeout(() => {
        if (!this.#healed) off(BOOT_MS, copy);
      }, ms);
    } else if (kind === "record damaged" && chance.happens(0.5)) hurt(this.#off.has(gateway));
    else off(ms);
  }

  #decays(gateway: GatewayNode): Chance {
    const known = this.#decayChances.get(gateway);
    if (known) return known;
    const chance = new Chance(this.scenario.seed, `decay ${gateway.name}`);
    this.#decayChances.set(gateway, chance);
    return chance;
  }

  #boot(machine: { boot(): Promise<void> }): void {
    this.#off.delete(machine);
    this.#begins(machine.boot());
  }

  /** What makes it fail is no fault of the world. */
  #begins(begun: Promise<void>): void {
    begun.catch((error: Error) => {
      this.failures.push(error.message);
    });
  }

  #bootAfter(machine: { boot(): Promise<void> }, ms: number, before?: () => void): void {
    this.#off.add(machine);
    this.#after(machine, Math.max(BOOT_MS, ms), () => {
      before?.();
      this.#boot(machine);
    });
  }

  /** Unless something else ends it before. */
  #after(machine: object, ms: number, act: () => void): void {
    const end = (this.#ends.get(machine) ?? 0) + 1;
    this.#ends.set(machine, end);
    this.#fate.setTimeout(() => {
      if (this.#ends.get(machine) === end) act();
    }, ms);
  }
}
