/**
 * The real world of one device: its connection to a broker and the machine's clock. Carries out what the device decides
 * (simulator/device/port.ts), with all that thousands of them share (switchboard.ts).
 */
import type { DeviceEvents, DeviceWorld, PublishPacket } from "../device/port.ts";
import { Alarm } from "./alarms.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import type { Switchboard } from "./switchboard.ts";

export interface WorldWatcher {
  online(): void;
  /** A connection that was made is gone. @param asPlanned the device said goodbye: it sleeps, or the run is over */
  offline(asPlanned: boolean): void;
  /** Why a connection could not be made, or ended against the device's will. */
  fault(reason: string): void;
}

export class MqttWorld implements DeviceWorld {
  readonly #switchboard: Switchboard;
  readonly #watcher: WorldWatcher;
  readonly #wake = new Alarm(() => this.#device?.wake());
  #device: DeviceEvents | undefined;
  #connection: Connection | undefined;
  /** Goodbyes that are being said. */
  #leaving: Promise<void> = Promise.resolve();

  constructor(switchboard: Switchboard, watcher: WorldWatcher) {
    this.#switchboard = switchboard;
    this.#watcher = watcher;
  }

  /** Must come before the device is started. */
  serve(device: DeviceEvents): void {
    this.#device = device;
  }

  now(): number {
    return this.#switchboard.now();
  }

  connect(options: { readonly clientId: string; readonly clean: boolean }): void {
    this.disconnect(false);
    const connection = new Connection(this.#switchboard, options, this.#eventsOf());
    this.#connection = connection;
  }

  publish(packet: PublishPacket): void {
    this.#connection?.publish(packet);
  }

  pubrel(messageId: number): void {
    this.#connection?.pubrel(messageId);
  }

  disconnect(clean: boolean): void {
    const connection = this.#connection;
    if (!connection) return;
    this.#connection = undefined;
    if (connection.isOpen) this.#watcher.offline(clean);
    if (clean) this.#leaving = connection.end();
    else connection.cut();
  }

  wakeAt(time: number): void {
    this.#switchboard.alarms.set(this.#wake, time);
  }

  /** The device is never woken again, and its connection ends. @returns when it has ended */
  async stop(): Promise<void> {
    this.#switchboard.alarms.clear(this.#wake);
    this.#device = undefined;
    this.disconnect(true);
    await this.#leaving;
  }

  /** Ends the connection as a lost radio link does; unlike disconnect() the device is told. */
  cut(): void {
    if (!this.#connection?.isOpen) return;
    const device = this.#device;
    this.disconnect(false);
    device?.disconnected();
  }

  #eventsOf(): ConnectionEvents {
    // A closed connection says nothing any more, so that there is no need to ask whose event it is.
    const told = () => this.#device;
    return {
      connected: (sessionPresent) => {
        this.#watcher.online();
        told()?.connected(sessionPresent);
      },
      closed: (reason, wasOpen) => {
        this.#connection = undefined;
        if (wasOpen) this.#watcher.offline(false);
        this.#watcher.fault(reason);
        told()?.disconnected();
      },
      puback: (id) => told()?.puback(id),
      pubrec: (id) => told()?.pubrec(id),
      pubcomp: (id) => told()?.pubcomp(id),
    };
  }
}
