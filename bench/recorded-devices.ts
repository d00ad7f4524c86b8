/**
 * Devices that say what a real office's sensors said: each replays the recording from a place of its own, over its own MQTT
 * connection at QoS 1, so that neighbours in the journal differ as those of different rooms do, and nothing repeats within
 * what a batch can hold.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import mqttPacket from "mqtt-packet";

const RECORDING = join(
  import.meta.dirname,
  ...["..", "test", "fixtures", "recordings", "office-occupancy.csv"],
);
/** Six numbers each, as sensors name them. */
const METRICS = ["temperature", "humidity", "light", "co2", "humidity_ratio", "occupancy"];
/** Rows between the places of two devices: more than one device has in any batch. */
const APART = 157;
const LONGEST_WAIT_MS = 10;

function rowsOf(file: string): string[] {
  const lines = readFileSync(file, "utf8").trim().split("\n").slice(1);
  return lines.map((line) => {
    const values = line.split(",").slice(1).map(Number);
    return JSON.stringify(Object.fromEntries(METRICS.map((name, i) => [name, values[i]])));
  });
}

export interface DeviceReading {
  readonly device: string;
  /** As the device sends it. */
  readonly json: string;
}

export class RecordedDevices {
  readonly #rows = rowsOf(RECORDING);
  readonly #devices: number;
  readonly #sockets: Socket[] = [];
  #made = 0;
  acknowledged = 0;

  constructor(devices: number) {
    this.#devices = devices;
  }

  /** All of them in turn. */
  next(): DeviceReading {
    const index = this.#made % this.#devices;
    const step = Math.floor(this.#made / this.#devices);
    this.#made += 1;
    const json = this.#rows[(index * APART + step) % this.#rows.length] ?? "";
    return { device: `room-${String(index).padStart(3, "0")}`, json };
  }

  async start(port: number): Promise<void> {
    for (let index = 0; index < this.#devices; index += 1) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      this.#sockets.push(socket);
      await once(socket, "connect");
      socket.write(
        mqttPacket.generate({
          ...{ cmd: "connect", clientId: `bench-${index}`, clean: true, keepalive: 0 },
          ...{ protocolId: "MQTT", protocolVersion: 4 },
        }),
      );
      await once(socket, "data");
      let rest = 0;
      socket.on("data", (bytes) => {
        // A PUBACK is four bytes.
        rest += bytes.length;
        this.acknowledged += rest >> 2;
        rest &= 3;
      });
    }
  }

  /** @param perSecond as fast as they are acknowledged where undefined; resolves when all are acknowledged */
  async send(count: number, perSecond?: number): Promise<void> {
    const end = this.acknowledged + count;
    const begun = performance.now();
    let sent = 0;
    while (sent < count) {
      const due =
        perSecond === undefined
          ? Math.min(count, count - end + this.acknowledged + 20 * this.#devices)
          : Math.min(count, Math.floor(((performance.now() - begun) / 1000) * perSecond) + 1);
      for (; sent < due; sent += 1) this.#publish();
      const waitMs = perSecond === undefined ? 1 : 1000 / perSecond;
      await pause(Math.min(LONGEST_WAIT_MS, Math.max(1, waitMs)));
    }
    while (this.acknowledged < end) await pause(LONGEST_WAIT_MS);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #publish(): void {
    const index = this.#made % this.#devices;
    const messageId = 1 + (Math.floor(this.#made / this.#devices) % 0xffff);
    const { device, json } = this.next();
    this.#sockets[index]?.write(
      mqttPacket.generate({
        ...{ cmd: "publish", topic: `sensors/${device}`, payload: json, messageId },
        ...{ qos: 1, dup: false, retain: false },
      }),
    );
  }
}
