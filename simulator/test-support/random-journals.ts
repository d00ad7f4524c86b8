/**
 * Journals of several gateways in one partition, made of random steps: what real ones could come to, and then some. Readings
 * with and without times, late, ahead; links that are away; reboots with clocks that nobody set; damage, new disks, moved
 * cards; batches that come twice, holes that fill later; records that nobody can read.
 */
import fc from "fast-check";
import { eventHeaders } from "../../events/cloudevents.ts";
import { encodeEvent } from "../../events/codec.ts";
import { type Epoch, eventId, type GatewayId, gatewaySource } from "../../events/ids.ts";
import type { EpochReason, EventOf, EventType, Stamp } from "../../events/schema.ts";
import { topicNames } from "../../events/topics.ts";
import type { StoredRecord } from "../../stream/port.ts";

export const NAMES = topicNames("test");
const NOON = Date.UTC(2026, 2, 1, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export type Step =
  | {
      readonly kind: "reading";
      readonly on: number;
      readonly device: string;
      readonly t?: number;
      readonly u?: number;
      /** Device's time: ms before now; undefined where the payload has none. */
      readonly late?: number;
    }
  | { readonly kind: "heartbeat" | "claim" | "link" | "sync" | "salvage"; readonly on: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "reboot"; readonly on: number; readonly clock: "set" | "unset" | "image" }
  | { readonly kind: "jump"; readonly on: number; readonly ms: number }
  | { readonly kind: "loss" | "hole" | "again"; readonly on: number; readonly count: number }
  | { readonly kind: "late"; readonly on: number }
  | { readonly kind: "begin"; readonly on: number; readonly reason: "first-start" | "moved" }
  | { readonly kind: "bad"; readonly on: number; readonly what: (typeof BAD)[number] };

const BAD = ["bytes", "nothing", "type", "key", "source", "beat", "range", "status"] as const;

const GATEWAYS = 2;
/** Moments are this far apart, so that what is at the edge of a window or a duration comes up. */
const GRID = 10_000;
const grid = (most: number) => fc.nat(most / GRID).map((steps) => steps * GRID);
const on = fc.nat(GATEWAYS - 1);
const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(4, 6, 6.5));
const lateness = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: grid(3 * MINUTE) },
  { weight: 2, arbitrary: grid(5 * HOUR) },
  { weight: 1, arbitrary: grid(60 * HOUR) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(-MINUTE, -20 * HOUR, -2 * DAY, -900 * DAY, 900 * DAY),
  },
);

const reading = fc.record(
  {
    kind: fc.constant("reading" as const),
    on,
    device: fc.constantFrom("a", "b/c"),
    t: value,
    u: value,
    late: lateness,
  },
  { requiredKeys: ["kind", "on", "device"] },
);

const passing = fc.oneof(
  { weight: 4, arbitrary: grid(MINUTE) },
  { weight: 2, arbitrary: grid(20 * MINUTE) },
  { weight: 1, arbitrary: fc.constantFrom(HOUR, 3 * HOUR, 25 * HOUR) },
);

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: reading },
    { weight: 10, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: passing }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("heartbeat" as const), on }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom("claim" as const, "link" as const, "sync" as const, "sync" as const),
        on,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("salvage" as const), on }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("reboot" as const),
        on,
        clock: fc.constantFrom("set" as const, "unset" as const, "image" as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("jump" as const),
        on,
        ms: fc.constantFrom(-5 * HOUR, 5 * HOUR, -400 * DAY, 3650 * DAY),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom("loss" as const, "hole" as const, "again" as const),
        on,
        count: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("late" as const), on }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("begin" as const),
        on,
        reason: fc.constantFrom("first-start" as const, "moved" as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("bad" as const),
        on,
        what: fc.constantFrom(...BAD),
      }),
    },
  ),
  { maxLength: 120, size: "max" },
);

interface Gateway {
  readonly name: GatewayId;
  epoch: Epoch;
  sequence: number;
  boot: string;
  bootedAt: number;
  /** Wall clock minus the true time; the gateway knows the time where `synced`. */
  off: number;
  synced: boolean;
  link: boolean;
  /** Accepted, and not sent yet. */
  readonly waiting: Omit<StoredRecord, "offset" | "timestamp">[];
  /** Lost on the way, may still come. */
  readonly strayed: Omit<StoredRecord, "offset" | "timestamp">[];
}

/** Plays the steps. @returns the records of both topics in the order in which they came */
export function playSteps(played: readonly Step[]): StoredRecord[] {
  const world = new World();
  for (const step of played) world.play(step);
  return world.records;
}

class World {
  readonly records: StoredRecord[] = [];
  readonly #gateways: Gateway[] = [];
  #now = NOON;
  #made = 0;
  readonly #offsets = new Map<string, number>();

  constructor() {
    for (let at = 0; at < GATEWAYS; at += 1) {
      this.#gateways.push({
        name: `gw-${at}` as GatewayId,
        ...this.#disk(),
        ...this.#booted(0, true),
        link: true,
        waiting: [],
        strayed: [],
      });
    }
  }

  #disk() {
    this.#made += 1;
    return { epoch: `${this.#made}`.padStart(10, "0") as Epoch, sequence: 0 };
  }

  #booted(off: number, synced: boolean) {
    this.#made += 1;
    return { boot: `boot-${this.#made}`, bootedAt: this.#now - 20_000, off, synced };
  }

  play(step: Step): void {
    if (step.kind === "pass") {
      this.#now += step.ms;
      return;
    }
    const gateway = this.#gateways[step.on] as Gateway;
    if (gateway.sequence === 0 && step.kind !== "claim") this.#open(gateway, "first-start");
    this.#step(gateway, step);
    if (gateway.link) this.#send(gateway);
  }

  #step(gateway: Gateway, step: Exclude<Step, { kind: "pass" }>): void {
    switch (step.kind) {
      case "reading":
        this.#read(gateway, step);
        return;
      case "heartbeat":
        this.#event(gateway, "tidegate.heartbeat", { ...this.#stamp(gateway), interval: 10_000 });
        return;
      case "claim":
        this.#claim(gateway);
        return;
      case "link":
        gateway.link = !gateway.link;
        return;
      case "sync": {
        const { synced, off } = gateway;
        Object.assign(gateway, { synced: true, off: 0 });
        const stamp = this.#stamp(gateway);
        const offset = stamp.received - stamp.uptime;
        const reason = synced ? "stepped" : "synced";
        if (!synced || off !== 0) {
          this.#event(gateway, "tidegate.clock", { ...stamp, offset, reason });
        }
        return;
      }
      case "jump":
        gateway.off += step.ms;
        return;
      case "reboot": {
        const off = step.clock === "set" ? 0 : step.clock === "image" ? -300 * DAY : -this.#now;
        Object.assign(gateway, this.#booted(off, step.clock === "set"));
        return;
      }
      case "loss": {
        // Of what waits the oldest give way.
        const gone = gateway.waiting.splice(0, step.count);
        const [first, last] = [sequenceOf(gone[0]), sequenceOf(gone.at(-1))];
        if (first === undefined || last === undefined) return;
        const epoch = gone[0]?.headers.ce_id?.slice(0, 10);
        const same = gone.every(({ headers }) => headers.ce_id?.startsWith(epoch ?? ""));
        if (!same) {
          gateway.waiting.unshift(...gone);
          return;
        }
        // What was given up may turn up all the same.
        if (step.count > 2) gateway.strayed.push(...gone);
        const loss = { ...this.#stamp(gateway), from: first, to: last, reason: "full" as const };
        const record = this.#record(gateway, "tidegate.loss", loss, last, epoch as Epoch);
        gateway.waiting.unshift(record);
        return;
      }
      case "hole":
        gateway.strayed.push(...gateway.waiting.splice(0, step.count));
        gateway.sequence += gateway.waiting.length === 0 ? 1 : 0;
        return;
      case "late":
        for (const record of gateway.strayed.splice(0)) this.#append(record);
        return;
      case "again": {
        const own = this.records.filter(
          ({ key, topic }) => key === gateway.name && topic === NAMES.events,
        );
        for (const record of own.slice(-3 * step.count)) this.#append(record);
        return;
      }
      case "salvage": {
        const { epoch, sequence } = gateway;
        Object.assign(gateway, this.#disk());
        this.#open(gateway, "salvage", { epoch, highest: sequence });
        return;
      }
      case "begin":
        gateway.waiting.splice(0);
        Object.assign(gateway, this.#disk());
        if (step.reason === "moved") {
          this.#open(gateway, "moved", { epoch: "zzzzzzzzzz", highest: 7 });
        }
        return;
      case "bad":
        this.#bad(gateway, step.what);
        return;
    }
  }

  #stamp({ boot, bootedAt, off, synced }: Gateway): Stamp {
    const uptime = this.#now - bootedAt;
    return { received: this.#now + off, clock: synced ? "synced" : "unsynced", boot, uptime };
  }

  #open(gateway: Gateway, reason: EpochReason, previous?: { epoch: string; highest: number }) {
    const of = { ...this.#stamp(gateway), reason };
    this.#event(gateway, "tidegate.epoch", previous ? { ...of, previous } : of);
  }

  #read(gateway: Gateway, { device, t, u, late }: Extract<Step, { kind: "reading" }>): void {
    const stamp = this.#stamp(gateway);
    const metrics = {
      ...(t === undefined ? {} : { t }),
      ...(u === undefined ? {} : { u }),
      on: true,
    };
    const timed = late === undefined ? {} : { time: this.#now - late, clock: "device" as const };
    this.#event(gateway, "tidegate.reading", { ...stamp, device, metrics, ...timed });
  }

  #claim(gateway: Gateway): void {
    const { name, epoch, sequence } = gateway;
    const status: EventOf<"tidegate.gateway-status"> = {
      gateway: name,
      time: this.#now,
      epoch,
      accepted: sequence,
      forwarded: 0,
      buffered_bytes: 0,
      capacity_bytes: 1024,
      clients: 0,
      interval: 5000,
      started: NOON,
      version: "0.1.0",
    };
    this.#append({
      topic: NAMES.status,
      partition: 0,
      key: name,
      headers: { ...eventHeaders("tidegate.gateway-status", epoch, name, this.#now) },
      value: encodeEvent("tidegate.gateway-status", status),
    });
  }

  #event<T extends EventType>(gateway: Gateway, type: T, event: EventOf<T>): void {
    gateway.sequence += 1;
    const { sequence, epoch } = gateway;
    gateway.waiting.push(this.#record(gateway, type, event, sequence, epoch));
  }

  #record<T extends EventType>(
    { name }: Gateway,
    type: T,
    event: EventOf<T>,
    sequence: number,
    epoch: Epoch,
  ): Omit<StoredRecord, "offset" | "timestamp"> {
    const id = eventId(epoch, sequence);
    return {
      topic: NAMES.events,
      partition: 0,
      key: name,
      headers: { ...eventHeaders(type, id, gatewaySource(name), this.#now) },
      value: encodeEvent(type, event),
    };
  }

  #bad(gateway: Gateway, what: (typeof BAD)[number]): void {
    const stamp = this.#stamp(gateway);
    const beat = { ...stamp, interval: 10_000 };
    this.#event(gateway, "tidegate.heartbeat", beat);
    const record = gateway.waiting.pop();
    if (!record) return;
    const { headers } = record;
    const typed = (ce_type: string) => ({ ...headers, ce_type });
    switch (what) {
      case "bytes":
        gateway.waiting.push({
          ...record,
          headers: typed("tidegate.reading"),
          value: new Uint8Array([0xff]),
        });
        return;
      case "nothing":
        gateway.waiting.push({ ...record, headers: typed("tidegate.reading"), value: null });
        return;
      case "type":
        gateway.waiting.push({ ...record, headers: typed("tidegate.newer") });
        return;
      case "beat":
        gateway.waiting.push({ ...record, value: null });
        return;
      case "range": {
        const loss = { ...stamp, from: 9, to: 3, reason: "full" as const };
        const value = encodeEvent("tidegate.loss", loss);
        gateway.waiting.push({ ...record, headers: typed("tidegate.loss"), value });
        return;
      }
      case "key":
        gateway.sequence -= 1;
        this.#append({ ...record, key: "another" });
        return;
      case "source":
        gateway.sequence -= 1;
        this.#append({ ...record, headers: { ...headers, ce_source: "/processors/x" } });
        return;
      case "status":
        gateway.sequence -= 1;
        this.#append({ ...record, topic: NAMES.status });
        return;
    }
  }

  #send(gateway: Gateway): void {
    for (const record of gateway.waiting.splice(0)) this.#append(record);
  }

  #append(record: Omit<StoredRecord, "offset" | "timestamp">): void {
    const offset = this.#offsets.get(record.topic) ?? 0;
    this.#offsets.set(record.topic, offset + 1);
    this.records.push({ ...record, offset, timestamp: this.#now });
  }
}

function sequenceOf(record: Omit<StoredRecord, "offset" | "timestamp"> | undefined) {
  const id = record?.headers.ce_id;
  return id === undefined ? undefined : Number(id.slice(11));
}
