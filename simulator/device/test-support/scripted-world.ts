/** A world for one device whose every move a test decides, and a record of all that the device did in it. */
import { NEVER } from "../../scenario/outages.core.ts";
import type { Behaviour, DeviceSpec } from "../../scenario/scenario.ts";
import { Device } from "../device.ts";
import type { DeviceRecorder, DeviceWorld, PublishPacket, SentReading } from "../port.ts";

export const START = Date.UTC(2026, 10, 18);

export const BEHAVIOUR: Behaviour = {
  time: "device",
  clockOffMs: 0,
  duplicates: 0,
  ignoresAcks: 0,
  reconnectEveryMs: 0,
  maxQueued: 100,
  window: 4,
  silent: NEVER,
};

export function specOf(
  spec: Partial<Omit<DeviceSpec, "behaviour">> & { readonly behaviour?: Partial<Behaviour> } = {},
): DeviceSpec {
  return {
    name: "freezer-1",
    everyMs: 1000,
    phaseMs: 0,
    qos: 1,
    persistent: true,
    numbered: true,
    metrics: { temperature: { unit: "°C", at: () => -18 } },
    ...spec,
    behaviour: { ...BEHAVIOUR, ...spec.behaviour },
  };
}

export interface Written {
  readonly reading: SentReading;
  readonly packet: PublishPacket;
  readonly fresh: boolean;
}

export class ScriptedWorld implements DeviceWorld, DeviceRecorder {
  readonly device: Device;
  time = START;
  wakes: number | undefined;
  /** In words, in order: `connect`, `publish 3`, `publish 3 dup`, `pubrel 3`, `disconnect`, `cut`. */
  readonly told: string[] = [];
  readonly writes: Written[] = [];
  readonly acked: SentReading[] = [];
  readonly given: SentReading[] = [];
  clean: boolean | undefined;
  #seen = 0;

  constructor(spec: DeviceSpec, { lastsMs = 3_600_000, seed = 1 } = {}) {
    const end = START + lastsMs;
    this.device = new Device({ spec, seed, start: START, end, world: this, recorder: this });
  }

  /** What the device did since this was asked for last. */
  news(): string[] {
    const news = this.told.slice(this.#seen);
    this.#seen = this.told.length;
    return news;
  }

  /** Lets time pass, with every wake in it. */
  pass(ms: number): this {
    const until = this.time + ms;
    while (this.wakes !== undefined && this.wakes <= until) {
      this.time = Math.max(this.time, this.wakes);
      this.wakes = undefined;
      this.device.wake();
    }
    this.time = until;
    return this;
  }

  /** Starts it and lets its first connection be made. */
  started({ sessionPresent = false } = {}): this {
    this.device.start();
    this.device.connected(sessionPresent);
    return this;
  }

  now(): number {
    return this.time;
  }
  connect({ clean }: { readonly clean: boolean }): void {
    this.clean = clean;
    this.told.push("connect");
  }
  publish({ messageId, dup }: PublishPacket): void {
    this.told.push(`publish ${messageId}${dup ? " dup" : ""}`);
  }
  pubrel(messageId: number): void {
    this.told.push(`pubrel ${messageId}`);
  }
  disconnect(clean: boolean): void {
    this.told.push(clean ? "disconnect" : "cut");
  }
  wakeAt(time: number): void {
    this.wakes = time;
  }
  written(reading: SentReading, packet: PublishPacket, fresh: boolean): void {
    this.writes.push({ reading, packet, fresh });
  }
  acknowledged(reading: SentReading): void {
    this.acked.push(reading);
  }
  dropped(reading: SentReading): void {
    this.given.push(reading);
  }
}

/** Numbers of readings. */
export function numbers(readings: readonly SentReading[]): number[] {
  return readings.map(({ n }) => n);
}
