/**
 * A publisher that costs little: raw sockets, prepared packets, a window of unacknowledged messages on each connection.
 * It counts PUBACKs and their latency; the broker under test is another process.
 */
import { connect, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Unacknowledged messages on one connection. */
  readonly window: number;
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  readonly acksPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** JSON of about the wanted length with a number and padding, as a sensor would send it. */
function payload(bytes: number): string {
  const text = JSON.stringify({ temperature: -12.5, note: "" });
  const pad = "x".repeat(Math.max(0, bytes - text.length));
  return JSON.stringify({ temperature: -12.5, note: pad });
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  let counting = false;
  let acks = 0;
  const latencies: number[] = [];
  const sockets: Socket[] = [];
  const onAck = (sentAt: number) => {
    if (!counting) return;
    acks += 1;
    // Every sixteenth is enough for a percentile and costs the generator little.
    if ((acks & 15) === 0) latencies.push(performance.now() - sentAt);
  };
  const text = payload(options.payloadBytes);
  for (let i = 0; i < options.connections; i += 1) {
    sockets.push(await openConnection(options, `load-${i}`, text, onAck));
  }
  await new Promise((resolve) => setTimeout(resolve, options.warmUpMs));
  counting = true;
  const begun = performance.now();
  await new Promise((resolve) => setTimeout(resolve, options.measureMs));
  counting = false;
  const seconds = (performance.now() - begun) / 1000;
  for (const socket of sockets) socket.destroy();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { acksPerSecond: acks / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function openConnection(
  options: LoadOptions,
  clientId: string,
  text: string,
  onAck: (sentAt: number) => void,
): Promise<Socket> {
  const socket = connect(options.port, "127.0.0.1");
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  const packets = Array.from({ length: options.window }, (_, i) =>
    mqttPacket.generate({
      cmd: "publish",
      topic: `sensors/${clientId}`,
      payload: text,
      qos: 1,
      messageId: i + 1,
      dup: false,
      retain: false,
    }),
  );
  const sentAt = new Float64Array(options.window);
  socket.write(
    mqttPacket.generate({
      cmd: "connect",
      clientId,
      clean: true,
      keepalive: 0,
      protocolId: "MQTT",
      protocolVersion: 4,
    }),
  );
  let ready: (() => void) | undefined;
  const connected = new Promise<void>((resolve) => {
    ready = resolve;
  });
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    const again: Buffer[] = [];
    const now = performance.now();
    // CONNACK and PUBACK are four bytes each.
    while (at + 4 <= data.length) {
      if (data[at] === 0x20) ready?.();
      else if (data[at] === 0x40) {
        const slot = data.readUInt16BE(at + 2) - 1;
        onAck(sentAt[slot] ?? now);
        sentAt[slot] = now;
        const packet = packets[slot];
        if (packet) again.push(packet);
      }
      at += 4;
    }
    rest = data.subarray(at);
    if (again.length > 0) socket.write(Buffer.concat(again));
  });
  await connected;
  sentAt.fill(performance.now());
  socket.write(Buffer.concat(packets));
  return socket;
}
