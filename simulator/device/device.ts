/**
 * One device, as real firmware is: it measures whether it is connected or not, keeps what it could not send as far as its
 * memory goes, and holds to MQTT 3.1.1 or breaks it in the ways that firmware in the field does. It decides; the world
 * (port.ts) carries it out, in virtual time or over a real connection.
 *
 * Promises: what it measures is a function of its specification and seed alone (readings.ts). Each reading is, at any
 * moment, in one of these: kept, on its way, acknowledged, dropped (before it was ever sent); at QoS 0 it is over once it was written. Readings
 * are first sent in the order of their numbers. It asks for no time and no chance but the world's and its seed's.
 */
import { childSeed, sfc32 } from "../random.ts";
import { StretchCursor, stretchesOf } from "../scenario/outages.core.ts";
import type { DeviceSpec } from "../scenario/scenario.ts";
import { Fifo } from "./fifo.ts";
import type {
  DeviceEvents,
  DeviceRecorder,
  DeviceWorld,
  PublishPacket,
  SentReading,
} from "./port.ts";
import { payloadOf, Readings } from "./readings.ts";
import { MAX_PACKET_ID, type Message, Session } from "./session.ts";

export interface DeviceOptions {
  readonly spec: DeviceSpec;
  /** Of the run; the device's own comes from it and its name. */
  readonly seed: number;
  /** Beginning of the run, ms since 1970. */
  readonly start: number;
  /** It measures nothing from then on, and sends what it has; ms since 1970. */
  readonly end: number;
  readonly world: DeviceWorld;
  readonly recorder: DeviceRecorder;
  /** The device's name without it. */
  readonly clientId?: string;
}

/** The first pause before it connects again, ms; as long as a router takes to notice. */
const FIRST_PAUSE_MS = 500;
/** The longest pause, ms: how late a gateway that came back may be noticed. */
const LONGEST_PAUSE_MS = 30_000;
/** A battery node gives up being awake after this, ms, and tries again the next time: radio time is what empties it. */
const LONGEST_AWAKE_MS = 30_000;
/** Where a network comes back, devices come back within this, ms: as good as at once. */
const STORM_MS = 2000;
/** Firmware that ignores acknowledgements sends again after 0.2 to 5 s. */
const ECHO_FROM_MS = 200;
const ECHO_TO_MS = 5000;
/** Such sendings that are planned; beyond it the acknowledgement is believed. */
const MAX_ECHOES = 64;

const NEVER = Number.POSITIVE_INFINITY;

/** `waiting` for its next try to connect; `asleep` without a radio. */
type Life = "new" | "waiting" | "connecting" | "online" | "asleep" | "stopped";

export class Device implements DeviceEvents {
  readonly #spec: DeviceSpec;
  readonly #clientId: string;
  readonly #world: DeviceWorld;
  readonly #recorder: DeviceRecorder;
  readonly #random: () => number;
  readonly #readings: Readings;
  readonly #session: Session;
  readonly #start: number;
  readonly #offline: StretchCursor;
  /** Measured and never sent. */
  readonly #kept = new Fifo<SentReading>();
  /** Was sent and has to be sent as a new message, before what was never sent. */
  #again: Message[] = [];
  /** Acknowledged messages that will be sent again all the same, by packet id. */
  readonly #echoes = new Map<number, { readonly message: Message; readonly due: number }>();
  #life: Life = "new";
  #attempt = 0;
  #connectAt = NEVER;
  #cutAt = NEVER;
  /** The last acknowledgement, or when something was sent while nothing was open. */
  #progressAt = 0;
  #wakeUpAt = NEVER;
  #awakeUntil = NEVER;
  #plannedWake = NEVER;

  constructor(options: DeviceOptions) {
    const { spec, seed, start, end, world, recorder } = options;
    this.#spec = spec;
    this.#clientId = options.clientId ?? spec.name;
    this.#world = world;
    this.#recorder = recorder;
    this.#random = sfc32(childSeed(seed, `${spec.name} firmware`));
    this.#readings = new Readings(spec, childSeed(seed, `${spec.name} silent`), start, end);
    this.#start = start;
    const { offline = { at: [] } } = spec.behaviour;
    const apart = stretchesOf(offline, childSeed(seed, `${spec.name} offline`), end - start);
    this.#offline = new StretchCursor(apart);
    const { window, packetIds = MAX_PACKET_ID } = spec.behaviour;
    const topic = `sensors/${spec.name}`;
    this.#session = new Session({ topic, qos: spec.qos, window, packetIds }, world, {
      written: (message, packet, fresh) => this.#onWritten(message, packet, fresh),
      acknowledged: (message) => this.#onAcknowledged(message),
      finished: (message, id) => this.#planEcho(message, id),
    });
  }

  /** Begins to live; a second call does nothing. */
  start(): void {
    if (this.#life !== "new") return;
    const { sleep } = this.#spec.behaviour;
    const now = this.#world.now();
    this.#life = sleep ? "asleep" : "waiting";
    if (sleep) this.#wakeUpAt = now + Math.ceil(sleep.everyMs * this.#random());
    else this.#connectAt = now;
    this.wake();
  }

  /** Ends it; what it holds stays where it is. */
  stop(): void {
    if (this.#life === "online" || this.#life === "connecting") this.#world.disconnect(true);
    this.#life = "stopped";
  }

  get online(): boolean {
    return this.#life === "online";
  }

  /** Without a radio, until it is time to wake up. */
  get asleep(): boolean {
    return this.#life === "asleep";
  }

  /** Readings that were measured and never sent. */
  get queued(): number {
    return this.#kept.length;
  }

  /** Messages that were sent and not acknowledged. */
  get unacknowledged(): number {
    return this.#session.unacknowledged + this.#again.length;
  }

  /** Nothing more will come of it: the last reading was measured, and nothing is kept or open. */
  get done(): boolean {
    return this.#readings.due === NEVER && this.#isIdle;
  }

  get #isIdle(): boolean {
    return this.#session.open === 0 && this.#again.length === 0 && this.#kept.length === 0;
  }

  wake(): void {
    if (this.#life === "new" || this.#life === "stopped") return;
    this.#plannedWake = NEVER;
    const now = this.#world.now();
    this.#measure(now);
    const silent = this.#readings.silentUntil(now);
    if (this.#life === "asleep" && now >= this.#wakeUpAt) this.#wakeUp(now);
    this.#stayApart(now);
    if (this.#life === "waiting" && now >= this.#awakeUntil) this.#fallAsleep(now);
    if (this.#life === "waiting" && now >= this.#connectAt && silent === undefined) {
      this.#life = "connecting";
      const { persistent } = this.#spec;
      this.#world.connect({ clientId: this.#clientId, clean: !persistent });
    } else if (this.#life === "online") this.#live(now, silent);
    this.#giveUpOldest();
    this.#plan(silent);
  }

  connected(sessionPresent: boolean): void {
    if (this.#life !== "connecting") return;
    const now = this.#world.now();
    this.#life = "online";
    this.#attempt = 0;
    this.#progressAt = now;
    const { reconnectEveryMs } = this.#spec.behaviour;
    this.#cutAt = reconnectEveryMs > 0 ? now + reconnectEveryMs * (0.5 + this.#random()) : NEVER;
    if (this.#spec.persistent && sessionPresent) this.#session.resume();
    else {
      this.#again = [...this.#session.restart(), ...this.#again];
      this.#echoes.clear();
    }
    this.wake();
  }

  disconnected(): void {
    if (this.#life !== "connecting" && this.#life !== "online") return;
    this.#lose(this.#world.now());
    this.wake();
  }

  puback(messageId: number): void {
    if (this.#life !== "online") return;
    this.#session.puback(messageId);
    this.#answered();
  }

  pubrec(messageId: number): void {
    if (this.#life !== "online") return;
    this.#session.pubrec(messageId);
    this.#progressAt = this.#world.now();
  }

  pubcomp(messageId: number): void {
    if (this.#life !== "online") return;
    this.#session.pubcomp(messageId);
    this.#answered();
  }

  #answered(): void {
    const now = this.#world.now();
    this.#progressAt = now;
    const silent = this.#readings.silentUntil(now);
    this.#send(now, silent);
    this.#plan(silent);
  }

  #measure(now: number): void {
    if (this.#readings.due > now) return;
    // Only where the world itself was asleep: else it is woken for each.
    this.#readings.skipTo(now, this.#spec.behaviour.maxQueued);
    while (this.#readings.due <= now) {
      const reading = this.#readings.take();
      if (reading) this.#kept.push(reading);
    }
  }

  /** After what can be sent at once was sent: it takes no room. */
  #giveUpOldest(): void {
    while (this.#kept.length > this.#spec.behaviour.maxQueued) {
      const oldest = this.#kept.shift();
      if (oldest) this.#recorder.dropped(oldest);
    }
  }

  /** Without a network there is no connection, and no use in trying. */
  #stayApart(now: number): void {
    const end = this.#offline.endAt(now - this.#start);
    if (end === undefined) return;
    if (this.#life === "online" || this.#life === "connecting") {
      this.#world.disconnect(false);
      this.#lose(now);
    }
    const back = this.#start + end;
    if (this.#life === "waiting" && this.#connectAt < back) {
      this.#connectAt = back + Math.ceil(STORM_MS * this.#random());
    }
  }

  /** What a device does that has a connection. */
  #live(now: number, silent: number | undefined): void {
    const { ackTimeoutMs = 0 } = this.#spec.behaviour;
    const gaveUp = ackTimeoutMs > 0 && this.#session.open > 0;
    if (now >= this.#awakeUntil) {
      this.#world.disconnect(false);
      this.#fallAsleep(now);
    } else if (now >= this.#cutAt || (gaveUp && now >= this.#progressAt + ackTimeoutMs)) {
      this.#world.disconnect(false);
      this.#lose(now);
    } else {
      this.#sendEchoes(now, silent);
      this.#send(now, silent);
    }
  }

  #send(now: number, silent: number | undefined): void {
    if (silent !== undefined || this.#life !== "online") return;
    if (this.#session.open === 0) this.#progressAt = now;
    this.#session.repeat();
    while (this.#session.hasRoom) {
      const message = this.#again.shift() ?? this.#first();
      if (!message) break;
      this.#echoes.delete(this.#session.send(message));
    }
    if (this.#spec.behaviour.sleep && this.#isIdle) {
      this.#world.disconnect(true);
      this.#fallAsleep(now);
    }
  }

  /** The next reading that was never sent; sometimes there will be a second message of it. */
  #first(): Message | undefined {
    const reading = this.#kept.shift();
    if (!reading) return undefined;
    const message = { reading, payload: payloadOf(reading), acknowledged: false };
    if (this.#random() < this.#spec.behaviour.duplicates) this.#again.push(message);
    return message;
  }

  #sendEchoes(now: number, silent: number | undefined): void {
    if (this.#echoes.size === 0 || silent !== undefined) return;
    for (const [id, { message, due }] of this.#echoes) {
      if (due > now) continue;
      this.#echoes.delete(id);
      this.#session.echo(message, id);
    }
  }

  #planEcho(message: Message, id: number): void {
    const { ignoresAcks } = this.#spec.behaviour;
    if (ignoresAcks === 0 || this.#random() >= ignoresAcks) return;
    if (this.#echoes.size >= MAX_ECHOES) return;
    const pause = ECHO_FROM_MS + (ECHO_TO_MS - ECHO_FROM_MS) * this.#random();
    this.#echoes.set(id, { message, due: this.#world.now() + pause });
  }

  #onWritten(message: Message, packet: PublishPacket, fresh: boolean): void {
    this.#recorder.written(message.reading, packet, fresh);
  }

  #onAcknowledged(message: Message): void {
    if (message.acknowledged) return;
    message.acknowledged = true;
    this.#recorder.acknowledged(message.reading);
  }

  /** The connection is gone: the next try comes after a pause that grows, half of it spread, so that a thousand do not come at once. */
  #lose(now: number): void {
    const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#attempt, 10));
    this.#attempt += 1;
    this.#life = "waiting";
    this.#cutAt = NEVER;
    this.#connectAt = now + Math.ceil(full / 2 + (full / 2) * this.#random());
  }

  #wakeUp(now: number): void {
    this.#nextWakeUp(now);
    if (this.#isIdle) return;
    this.#life = "waiting";
    this.#attempt = 0;
    this.#connectAt = now;
    this.#awakeUntil = now + LONGEST_AWAKE_MS;
  }

  #fallAsleep(now: number): void {
    this.#life = "asleep";
    this.#awakeUntil = NEVER;
    this.#connectAt = NEVER;
    this.#cutAt = NEVER;
    this.#nextWakeUp(now);
  }

  #nextWakeUp(now: number): void {
    const everyMs = this.#spec.behaviour.sleep?.everyMs ?? NEVER;
    if (this.#wakeUpAt > now) return;
    this.#wakeUpAt += Math.ceil((now - this.#wakeUpAt + 1) / everyMs) * everyMs;
  }

  /** The next moment at which there is something to do. */
  #plan(silent: number | undefined): void {
    let next = this.#readings.due;
    switch (this.#life) {
      case "asleep":
        next = Math.min(next, this.#wakeUpAt);
        break;
      case "waiting":
        next = Math.min(next, this.#awakeUntil, Math.max(this.#connectAt, silent ?? 0));
        break;
      case "online":
        next = Math.min(next, this.#onlineWake(silent));
        break;
      default:
    }
    if (this.#life === "online" || this.#life === "connecting") {
      next = Math.min(next, this.#start + this.#offline.nextAt);
    }
    // Each call has its price in the world, and most often nothing has changed.
    if (next === this.#plannedWake || next === NEVER) return;
    this.#plannedWake = next;
    this.#world.wakeAt(next);
  }

  #onlineWake(silent: number | undefined): number {
    const { ackTimeoutMs = 0 } = this.#spec.behaviour;
    let next = Math.min(this.#cutAt, this.#awakeUntil, silent ?? NEVER);
    if (ackTimeoutMs > 0 && this.#session.open > 0) {
      next = Math.min(next, this.#progressAt + ackTimeoutMs);
    }
    if (silent === undefined) {
      for (const { due } of this.#echoes.values()) next = Math.min(next, due);
    }
    return next;
  }
}
