/**
 * Devices that believe nobody: MQTT 3.1.1, QoS 1, written by hand on plain sockets, so that nothing between the fault and
 * the record of it is the product's or a library's.
 *
 * Promises: every reading has a number of its own and a content that follows from it; a device writes them in their order;
 * what is unacknowledged when a connection ends is written again, in its order, before anything new; a reading counts as
 * acknowledged when its PUBACK was read, and what a kill cut off does not. It tries for ever: how long a fault
 * lasts is not its business. Every other device keeps its session over connections [MQTT-3.1.2-4].
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";

export interface SentReading {
  /** Its number, unique in a run; its content follows from it. */
  readonly n: number;
  readonly device: string;
  /** How often it was written to a socket. */
  readonly writes: number;
  readonly acknowledged: boolean;
}

export type Content = Readonly<Record<string, number | string>>;

/** What reading `n` says. A value that changed cannot be that of another reading. */
export function contentOf(n: number): Content {
  return { n, v: (Math.imul(n, 0x9e3779b1) >>> 0) / 256, s: `reading ${n.toString(36)}` };
}

export interface PublisherOptions {
  readonly devices: number;
  /** Most readings of a device written and not acknowledged. */
  readonly window: number;
  /** Readings a second, all devices together. */
  readonly rate: number;
  /** Begins the devices' names. */
  readonly name?: string;
}

interface Pending {
  readonly n: number;
  readonly device: string;
  writes: number;
  acknowledged: boolean;
}

/** How often the rate is looked after, ms. */
const TICK_MS = 5;
/** From a lost connection to the next try, ms: faults are short, and so must be what they cost. */
const RECONNECT_MS = 40;

const CONNACK = 2;
const PUBACK = 4;

class Device {
  readonly name: string;
  readonly #keepsSession: boolean;
  readonly #window: number;
  readonly #acknowledged: () => void;
  #port = 0;
  #socket: Socket | undefined;
  #online = false;
  #stopped = true;
  #nextId = 1;
  #received: Buffer = Buffer.alloc(0);
  /** By packet id, in the order of writing. */
  #inFlight = new Map<number, Pending>();

  constructor(name: string, keepsSession: boolean, window: number, acknowledged: () => void) {
    this.name = name;
    this.#keepsSession = keepsSession;
    this.#window = window;
    this.#acknowledged = acknowledged;
  }

  get room(): number {
    return this.#online ? this.#window - this.#inFlight.size : 0;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get online(): boolean {
    return this.#online;
  }

  aim(port: number): void {
    this.#port = port;
    this.#stopped = false;
    this.#socket?.destroy();
    if (!this.#socket) this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.destroy();
  }

  /** Cuts the connection as a lost link does. */
  cut(): void {
    this.#socket?.destroy();
  }

  write(reading: Pending): void {
    const id = this.#takeId();
    this.#inFlight.set(id, reading);
    this.#writePublish(id, reading, false);
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId % 65_535) + 1;
    while (this.#inFlight.has(this.#nextId));
    return this.#nextId;
  }

  #writePublish(id: number, reading: Pending, dup: boolean): void {
    reading.writes += 1;
    this.#socket?.write(publishPacket(this.name, id, JSON.stringify(contentOf(reading.n)), dup));
  }

  #connect(): void {
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    socket.on("connect", () => socket.write(connectPacket(this.name, !this.#keepsSession)));
    socket.on("data", (data) => this.#onData(data));
    // Refused while the program is down; "close" follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#online = false;
      this.#socket = undefined;
      if (this.#stopped) return;
      setTimeout(() => {
        if (!this.#stopped && !this.#socket) this.#connect();
      }, RECONNECT_MS);
    });
  }

  #onData(data: Buffer): void {
    let bytes = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
    // All that comes to a device that has subscribed to nothing is CONNACK and PUBACK: 4 bytes each.
    for (; bytes.length >= 4; bytes = bytes.subarray(4)) {
      const type = (bytes[0] ?? 0) >> 4;
      assert(bytes[1] === 2 && (type === CONNACK || type === PUBACK), "CONNACK or PUBACK");
      if (type === CONNACK) this.#onConnack(bytes[2] === 1, bytes[3] ?? 255);
      else this.#onPuback(bytes.readUInt16BE(2));
    }
    this.#received = bytes;
  }

  #onConnack(sessionPresent: boolean, code: number): void {
    if (code !== 0) {
      this.#socket?.destroy();
      return;
    }
    this.#online = true;
    const again = [...this.#inFlight];
    // A session that goes on keeps the packet ids and says DUP; for a new one they are new messages.
    if (!sessionPresent) this.#inFlight = new Map();
    for (const [id, reading] of again) {
      if (sessionPresent) this.#writePublish(id, reading, true);
      else this.write(reading);
    }
  }

  #onPuback(id: number): void {
    const reading = this.#inFlight.get(id);
    assert(reading, `a PUBACK for packet id ${id}, which is not open`);
    this.#inFlight.delete(id);
    reading.acknowledged = true;
    this.#acknowledged();
  }
}

export class Publisher {
  readonly #devices: readonly Device[];
  readonly #rate: number;
  readonly #sent: Pending[] = [];
  #acknowledged = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  #waiting: { readonly goal: number; readonly reached: () => void }[] = [];

  constructor({ devices, window, rate, name = "device" }: PublisherOptions) {
    this.#rate = rate;
    const acknowledged = () => {
      this.#acknowledged += 1;
      if (this.#waiting.length > 0) this.#tell();
    };
    this.#devices = Array.from(
      { length: devices },
      (_, i) => new Device(`${name}-${i}`, i % 2 === 1, window, acknowledged),
    );
  }

  /** Where the gateway is now; connections to where it was are dropped. */
  aim(port: number): void {
    for (const device of this.#devices) device.aim(port);
  }

  /** Begins to make readings, at the rate as far as the windows allow. */
  resume(): void {
    if (this.#timer) return;
    let last = performance.now();
    let due = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      // What a pause kept back is not made up for: the fault is under a load, not under a flood.
      due = Math.min(due + ((now - last) * this.#rate) / 1000, this.#rate / 10);
      last = now;
      while (due >= 1 && this.#sendOne()) due -= 1;
    }, TICK_MS);
  }

  /** Makes no new readings; what is unacknowledged goes on. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sendOne(): boolean {
    for (let tried = 0; tried < this.#devices.length; tried += 1) {
      const device = this.#devices[this.#turn++ % this.#devices.length];
      if (!device || device.room <= 0) continue;
      const n = this.#sent.length + 1;
      const reading = { n, device: device.name, writes: 0, acknowledged: false };
      this.#sent.push(reading);
      device.write(reading);
      return true;
    }
    return false;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get inFlight(): number {
    return this.#devices.reduce((sum, device) => sum + device.inFlight, 0);
  }

  get online(): number {
    return this.#devices.filter((device) => device.online).length;
  }

  cutAll(): void {
    for (const device of this.#devices) device.cut();
  }

  /** Resolves when so many more were acknowledged. @throws Error where that takes too long, with what is known */
  async more(count: number, withinMs = 30_000): Promise<void> {
    await this.#reaches(this.#acknowledged + count, withinMs);
  }

  /** No new readings; resolves when nothing is unacknowledged. @throws Error as `more` */
  async settle(withinMs = 30_000): Promise<void> {
    this.pause();
    await this.#reaches(this.#sent.length, withinMs);
  }

  /** What was sent so far and how it stands. */
  snapshot(): readonly SentReading[] {
    return this.#sent.map((reading) => ({ ...reading }));
  }

  /** Ends all connections without a word. */
  stop(): void {
    this.pause();
    for (const device of this.#devices) device.stop();
  }

  async #reaches(goal: number, withinMs: number): Promise<void> {
    if (this.#acknowledged >= goal) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { goal, reached: resolve };
    this.#waiting.push(entry);
    const deadline = setTimeout(() => {
      const { acknowledged, inFlight, online } = this;
      const state = `${acknowledged} acknowledged, ${inFlight} in flight, ${online} connected`;
      reject(new Error(`no ${goal} acknowledgements within ${withinMs} ms: ${state}`));
    }, withinMs);
    try {
      await promise;
    } finally {
      clearTimeout(deadline);
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    }
  }

  #tell(): void {
    for (const { goal, reached } of this.#waiting) if (this.#acknowledged >= goal) reached();
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

function packet(first: number, body: Buffer): Buffer {
  // Remaining Length, 7 bits a byte [MQTT-2.2.3].
  const length: number[] = [];
  for (let rest = body.length; ; ) {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    length.push(rest > 0 ? digit | 128 : digit);
    if (rest === 0) break;
  }
  return Buffer.concat([Buffer.of(first, ...length), body]);
}

function connectPacket(clientId: string, clean: boolean): Buffer {
  // Protocol level 4, no keep-alive: an acknowledgement may be held for as long as the disk is full.
  const head = Buffer.of(4, clean ? 2 : 0, 0, 0);
  return packet(0x10, Buffer.concat([text("MQTT"), head, text(clientId)]));
}

function publishPacket(device: string, id: number, payload: string, dup: boolean): Buffer {
  const ids = Buffer.of(id >> 8, id & 255);
  const body = Buffer.concat([text(`sensors/${device}`), ids, Buffer.from(payload)]);
  return packet(dup ? 0x3a : 0x32, body);
}
