/**
 * What a device has around it in virtual time: a radio that takes its time and breaks, and the gateway it belongs to, which
 * may have no power. Within one connection nothing overtakes; when it ends, what was on its way is lost.
 */
import type { Device } from "../device/device.ts";
import type { DeviceWorld, PublishPacket } from "../device/port.ts";
import type { Chance } from "./chance.ts";
import type { GatewayNode } from "./gateway-node.ts";
import type { RunRecord } from "./record.ts";
import type { BrokerConnection } from "./virtual-broker.ts";
import type { Scope, VirtualTime } from "./virtual-time.ts";

export interface DeviceHostOptions {
  readonly name: string;
  readonly gateway: GatewayNode;
  readonly time: VirtualTime;
  /** True time at the beginning of the run, ms since 1970. */
  readonly start: number;
  readonly chance: Chance;
  readonly record: RunRecord;
}

/** One way between a device and its gateway, ms. */
const HOP_MS = { least: 0.5, most: 15 };
/** How long a device may take to notice that nobody is there any more, ms: its keepalive. */
const NOTICES_MS = { least: 50, most: 20_000 };

/** One connection, until it ends. */
interface Wire {
  /** In the order of sending: the last one's moment. */
  up: number;
  down: number;
  broker: BrokerConnection | undefined;
}

export class DeviceHost implements DeviceWorld {
  readonly #options: DeviceHostOptions;
  readonly #timers: Scope;
  /** Set right after it was made, for a device needs its world. */
  device: Device | undefined;
  #wire: Wire | undefined;
  /** How often it was connected. */
  connections = 0;
  #wake: ReturnType<Scope["setTimeout"]> | undefined;

  constructor(options: DeviceHostOptions) {
    this.#options = options;
    this.#timers = options.time.scope();
  }

  now(): number {
    return this.#options.start + this.#options.time.now;
  }

  wakeAt(time: number): void {
    this.#timers.clear(this.#wake);
    this.#wake = this.#timers.setTimeout(() => this.device?.wake(), time - this.now());
  }

  connect({ clientId, clean }: { readonly clientId: string; readonly clean: boolean }): void {
    const wire: Wire = { up: 0, down: 0, broker: undefined };
    this.#wire = wire;
    this.#up(wire, () => {
      const { broker } = this.#options.gateway;
      if (!broker) {
        this.#ends(wire);
        return;
      }
      const [connection, present] = broker.connect(clientId, clean, {
        puback: (id) => this.#down(wire, () => this.device?.puback(id)),
        pubrec: (id) => this.#down(wire, () => this.device?.pubrec(id)),
        pubcomp: (id) => this.#down(wire, () => this.device?.pubcomp(id)),
        closed: () => this.#ends(wire),
      });
      wire.broker = connection;
      this.#down(wire, () => {
        this.connections += 1;
        this.device?.connected(present);
      });
    });
  }

  publish(packet: PublishPacket): void {
    const wire = this.#wire;
    if (wire) this.#up(wire, () => wire.broker?.publish(packet));
  }

  pubrel(messageId: number): void {
    const wire = this.#wire;
    if (wire) this.#up(wire, () => wire.broker?.pubrel(messageId));
  }

  disconnect(clean: boolean): void {
    const wire = this.#wire;
    if (!wire) return;
    this.#wire = undefined;
    if (clean) {
      this.#later(wire, "up", () => wire.broker?.disconnect());
      return;
    }
    this.#options.record.strike("connection broken");
    // What is on its way is lost, or the last of it is not; the gateway notices by and by.
    const arrives = this.#options.chance.between(0, HOP_MS.most);
    this.#timers.setTimeout(() => {
      wire.up = Number.POSITIVE_INFINITY;
    }, arrives);
    const notices = this.#options.chance.between(NOTICES_MS.least, NOTICES_MS.most);
    this.#timers.setTimeout(() => wire.broker?.close(false), notices);
  }

  /** Its gateway has no power any more: it notices by and by. */
  gatewayGone(): void {
    const wire = this.#wire;
    if (!wire) return;
    wire.broker = undefined;
    wire.up = Number.POSITIVE_INFINITY;
    const { chance } = this.#options;
    const notices = chance.between(NOTICES_MS.least, NOTICES_MS.most);
    this.#timers.setTimeout(() => this.#lost(wire), notices);
  }

  /** Its gateway's program has ended on a machine that is up, which closes the connection. */
  gatewayEnded(): void {
    const wire = this.#wire;
    if (!wire) return;
    wire.broker = undefined;
    wire.up = Number.POSITIVE_INFINITY;
    this.#ends(wire);
  }

  #ends(wire: Wire): void {
    this.#down(wire, () => this.#lost(wire));
  }

  #lost(wire: Wire): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    this.device?.disconnected();
  }

  #up(wire: Wire, deliver: () => void): void {
    this.#later(wire, "up", deliver);
  }

  #down(wire: Wire, deliver: () => void): void {
    this.#later(wire, "down", () => {
      if (this.#wire === wire) deliver();
    });
  }

  #later(wire: Wire, way: "up" | "down", deliver: () => void): void {
    const { time, chance } = this.#options;
    const at = Math.max(wire[way], time.now + chance.between(HOP_MS.least, HOP_MS.most));
    if (at === Number.POSITIVE_INFINITY) return;
    wire[way] = at;
    this.#timers.setTimeout(() => {
      // It ended meanwhile.
      if (wire[way] !== Number.POSITIVE_INFINITY) deliver();
    }, at - time.now);
  }
}
