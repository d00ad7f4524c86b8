/**
 * The publishers themselves: raw sockets and packets made beforehand, so that a message costs the generator little more
 * than its share of two system calls. Argument: LoadOptions as JSON. The parent gets LoadMessages.
 *
 * All packets of a connection have the same length and lie in one ring with rising packet ids. What n acknowledgements
 * let go are the next n packets of the ring: one slice, one write, nothing copied. That leans on acknowledgements in the
 * order of the messages [MQTT-4.6.0-2], which is checked.
 */
import { once } from "node:events";
import { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import mqttPacket from "mqtt-packet";
import type { LoadMessage, LoadOptions } from "./load.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
/** With a rate nothing but this bounds what is unacknowledged. */
const OPEN_WINDOW = 2000;
const window = options.rate === undefined ? options.window : OPEN_WINDOW;
/** One latency of so many is kept: enough for a percentile, and cheap. */
const SAMPLE = 8;

let counting = false;
let acks = 0;
let sent = 0;
let lastAckAt = 0;
const latencies: number[] = [];
const sinceDue: number[] = [];
let wanted = Number.POSITIVE_INFINITY;
let reached: (() => void) | undefined;

/** Of the same length whatever the reading, so that packets can lie in a ring. */
function payload(reading: number): string {
  if (options.payload !== "padding") {
    const digits = (from: number, span: number, places: number) =>
      (from + (((reading * 7919) % 1000) / 1000) * span).toFixed(places);
    const text = `{"temperature":${digits(20, 9, 2)},"humidity":${digits(40, 50, 1)},"pressure":${digits(1000, 40, 2)},"co2":${digits(400, 500, 0)},"battery":${digits(3, 0.9, 3)},"rssi":-${digits(40, 50, 0)},"flow":${digits(10, 80, 2)}}`;
    return text.padEnd(options.payloadBytes);
  }
  const empty = JSON.stringify({ temperature: -12.5, note: "" });
  const note = "x".repeat(Math.max(0, options.payloadBytes - empty.length));
  return JSON.stringify({ temperature: -12.5, note });
}

class Publisher {
  readonly #socket: Socket = new Socket();
  readonly #clientId: string;
  readonly #packetBytes: number;
  readonly #ring: Buffer;
  readonly #slots: number;
  /** When each slot was written, and when it was due. */
  readonly #writtenAt: Float64Array;
  readonly #dueAt: Float64Array;
  #next = 0;
  #expected = 0;
  #pending = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(index: number) {
    this.#clientId = `load-${String(index).padStart(3, "0")}`;
    this.#slots = Math.min(2 * window, OPEN_WINDOW);
    const packets = Array.from({ length: this.#slots }, (_, slot) =>
      mqttPacket.generate({
        cmd: "publish",
        topic: `sensors/${this.#clientId}`,
        payload: payload(index * 31 + slot),
        qos: 1,
        messageId: slot + 1,
        dup: false,
        retain: false,
      }),
    );
    this.#packetBytes = packets[0]?.length ?? 0;
    if (packets.some((packet) => packet.length !== this.#packetBytes)) {
      throw new Error("packets of different lengths");
    }
    this.#ring = Buffer.concat(packets);
    this.#writtenAt = new Float64Array(this.#slots);
    this.#dueAt = new Float64Array(this.#slots);
  }

  async start(): Promise<void> {
    this.#socket.setNoDelay(true);
    this.#socket.connect(options.port, "127.0.0.1");
    await once(this.#socket, "connect");
    this.#socket.write(
      mqttPacket.generate({
        cmd: "connect",
        clientId: this.#clientId,
        clean: true,
        keepalive: 0,
        protocolId: "MQTT",
        protocolVersion: 4,
      }),
    );
    const [first] = (await once(this.#socket, "data")) as [Buffer];
    if (first[0] !== 0x20 || first[3] !== 0) throw new Error("the broker refused the connection");
    this.#socket.on("data", (chunk) => this.#acknowledged(chunk));
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      if (finished) return;
      if (options.untilClosed) process.exit(0);
      console.error("load generator: the broker closed the connection");
      process.exit(1);
    });
  }

  get room(): number {
    return Math.min(window, this.#slots) - this.#pending;
  }

  /** @param due when they should have been written */
  send(count: number, due: number): void {
    const now = performance.now();
    let left = count;
    while (left > 0) {
      const from = this.#next;
      const to = Math.min(this.#slots, from + left);
      this.#writtenAt.fill(now, from, to);
      if (options.rate !== undefined) this.#dueAt.fill(due, from, to);
      this.#socket.write(this.#ring.subarray(from * this.#packetBytes, to * this.#packetBytes));
      left -= to - from;
      this.#next = to === this.#slots ? 0 : to;
    }
    this.#pending += count;
    sent += count;
  }

  stop(): void {
    this.#socket.destroy();
  }

  #acknowledged(chunk: Buffer): void {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const count = data.length >> 2;
    this.#rest = data.subarray(count << 2);
    if (count === 0) return;
    const now = performance.now();
    let slot = this.#expected;
    for (let at = 0; at < count << 2; at += 4) {
      if (data[at] !== 0x40 || data.readUInt16BE(at + 2) !== slot + 1) {
        throw new Error("not the acknowledgement that was next");
      }
      if (counting && (acks & (SAMPLE - 1)) === 0) {
        latencies.push(now - (this.#writtenAt[slot] ?? now));
        sinceDue.push(now - (this.#dueAt[slot] ?? now));
      }
      acks += 1;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
    this.#expected = slot;
    this.#pending -= count;
    lastAckAt = now;
    if (acks >= wanted) reached?.();
    if (options.rate !== undefined) return;
    const more = options.messages === undefined ? count : Math.min(count, options.messages - sent);
    if (more > 0) this.send(more, now);
  }
}

/** Sends what is due, over the connections in turn. */
async function keepRate(rate: number, publishers: readonly Publisher[]): Promise<void> {
  const burst = options.burst ?? 1;
  const begun = performance.now();
  let done = 0;
  let turn = 0;
  while (!finished) {
    const now = performance.now();
    while ((done + burst) * 1000 <= (now - begun) * rate) {
      const publisher = publishers[turn % publishers.length];
      turn += 1;
      // A broker that is so far behind gets no more: the rate that was reached then says so.
      if (publisher && publisher.room >= burst) publisher.send(burst, begun + (done * 1000) / rate);
      done += burst;
    }
    await pause(1);
  }
}

let finished = false;
const tell = (message: LoadMessage): void => {
  process.send?.(message);
};
const publishers = Array.from({ length: options.connections }, (_, index) => new Publisher(index));
for (const publisher of publishers) await publisher.start();

const began = () => {
  acks = 0;
  counting = true;
  tell({ kind: "measuring" });
  return { at: performance.now(), cpu: process.cpuUsage() };
};
let from: ReturnType<typeof began>;
let rate: Promise<void> | undefined;
if (options.messages !== undefined) {
  wanted = options.messages;
  const all = new Promise<void>((resolve) => {
    reached = resolve;
  });
  from = began();
  const each = Math.min(options.window, Math.ceil(options.messages / options.connections));
  for (const publisher of publishers) publisher.send(Math.min(each, wanted - sent), from.at);
  await all;
} else {
  if (options.rate !== undefined) rate = keepRate(options.rate, publishers);
  else for (const publisher of publishers) publisher.send(options.window, performance.now());
  await pause(options.warmUpMs);
  from = began();
  await pause(options.measureMs);
}
const until = options.messages === undefined ? performance.now() : lastAckAt;
const cpu = process.cpuUsage(from.cpu);
const counted = acks;
counting = false;
tell({ kind: "measured" });
finished = true;
await rate;
for (const publisher of publishers) publisher.stop();

const seconds = (until - from.at) / 1000;
const at = (values: number[], share: number) =>
  values.sort((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
tell({
  kind: "result",
  result: {
    acks: counted,
    seconds,
    acksPerSecond: counted / seconds,
    p50Ms: at(latencies, 0.5),
    p99Ms: at(latencies, 0.99),
    dueP99Ms: options.rate === undefined ? Number.NaN : at(sinceDue, 0.99),
    generatorCores: (cpu.user + cpu.system) / 1e6 / seconds,
  },
});
process.disconnect?.();
