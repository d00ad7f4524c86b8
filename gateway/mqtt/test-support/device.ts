/** A client that speaks packet by packet, and a broker for it with a buffer in the test's hand. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import mqttPacket, { type IConnectPacket, type IPublishPacket, type Packet } from "mqtt-packet";
import pino from "pino";
import { decodeEvent } from "../../../events/codec.ts";
import { Broker } from "../broker.ts";
import { Intake } from "../intake.ts";
import { HeldBuffer, type HeldDisk } from "./held-buffer.ts";

export const STAMP = { received: 5, clock: "synced" as const, boot: "b", uptime: 1 };
const OPTIONS = { host: "127.0.0.1", port: 0, maxClients: 100, connectTimeoutMs: 5000 };

export interface Cleanups {
  add(cleanup: () => Promise<unknown> | unknown): void;
  run(): Promise<void>;
}

export function cleanups(): Cleanups {
  const all: (() => Promise<unknown> | unknown)[] = [];
  return {
    add: (cleanup) => all.push(cleanup),
    run: async () => {
      for (const cleanup of all.splice(0).reverse()) await cleanup();
    },
  };
}

export async function startBroker(disk?: HeldDisk, maxPayloadBytes = 1000) {
  const buffer = new HeldBuffer(disk);
  const intake = new Intake({ buffer, stamp: () => STAMP, maxPayloadBytes });
  const options = { ...OPTIONS, queueLimit: 100 };
  const broker = new Broker(options, intake, pino({ level: "silent" }));
  await broker.start();
  const stop = async () => {
    await broker.stop();
    await buffer.stop();
  };
  /** The readings on the disk: the one metric of each, or what it was rejected for. */
  const readings = (): unknown[] =>
    buffer.disk.events.map(({ type, value }) =>
      type === "tidegate.reading"
        ? Object.values(decodeEvent(type, value).metrics)[0]
        : decodeEvent("tidegate.rejected-payload", value).code,
    );
  return { buffer, intake, broker, stop, readings };
}

export class Device {
  readonly socket: Socket;
  /** What came and nobody has asked for yet. */
  readonly arrived: Packet[] = [];
  closed = false;
  readonly #waiting: ((packet: Packet | undefined) => void)[] = [];

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setNoDelay(true);
    const parser = mqttPacket.parser();
    parser.on("packet", (packet) => {
      const next = this.#waiting.shift();
      if (next) next(packet);
      else this.arrived.push(packet);
    });
    this.socket.on("data", (chunk) => parser.parse(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
      for (const waiting of this.#waiting.splice(0)) waiting(undefined);
    });
  }

  /** The next packet; undefined once the connection is closed. */
  async receive(): Promise<Packet | undefined> {
    const packet = this.arrived.shift();
    if (packet || this.closed) return packet;
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next packets in short: `puback 7`. */
  async told(count: number): Promise<string[]> {
    const told: string[] = [];
    for (let i = 0; i < count; i += 1) told.push(short(await this.receive()));
    return told;
  }

  send(...packets: Packet[]): void {
    this.socket.write(bytesOf(...packets));
  }

  async connectAs(clientId: string, options: Partial<IConnectPacket> = {}): Promise<Packet> {
    this.send(connectPacket(clientId, options));
    const packet = await this.receive();
    if (packet?.cmd !== "connack") throw new Error(`${packet?.cmd ?? "closed"}, not connack`);
    return packet;
  }

  /** A PINGRESP proves that all that was sent before was read, and nothing held was acknowledged meanwhile. */
  async ping(): Promise<string> {
    this.send({ cmd: "pingreq" });
    return short(await this.receive());
  }

  async whenClosed(): Promise<void> {
    if (!this.closed) await once(this.socket, "close");
  }
}

export function short(packet: Packet | undefined): string {
  if (packet === undefined) return "closed";
  if (packet.cmd === "publish") {
    const flags = `${packet.retain ? " retain" : ""}${packet.dup ? " dup" : ""}`;
    return `publish ${packet.topic} ${packet.payload} qos${packet.qos}${flags}`;
  }
  return packet.messageId === undefined ? packet.cmd : `${packet.cmd} ${packet.messageId}`;
}

export const bytesOf = (...packets: Packet[]): Buffer =>
  Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)));

export const connectPacket = (
  clientId: string,
  options: Partial<IConnectPacket> = {},
): IConnectPacket => ({
  cmd: "connect",
  clientId,
  clean: true,
  keepalive: 0,
  protocolId: "MQTT",
  protocolVersion: 4,
  ...options,
});

/** A reading with the number as its value, unless told otherwise; its packet id is the number too. */
export const reading = (value: number, options: Partial<IPublishPacket> = {}): IPublishPacket => ({
  cmd: "publish",
  topic: "sensors/d",
  payload: String(value),
  qos: 1,
  messageId: value,
  dup: false,
  retain: false,
  ...options,
});

export const subscribe = (messageId: number, topic: string, qos: 0 | 1 | 2): Packet => ({
  cmd: "subscribe",
  messageId,
  subscriptions: [{ topic, qos }],
});
