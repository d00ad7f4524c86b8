/**
 * A TCP proxy between a Kafka client and a broker that breaks what a network breaks, on demand: it refuses and cuts
 * connections, and swallows answers to Produce requests (the broker has written the batch, the client never hears).
 * It reads Kafka's frames only as far as their length, API key and correlation id.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Kafka's API keys by name, as far as tests need them. */
export const API_KEYS = { produce: 0, fetch: 1, endTxn: 26 } as const;
export type DroppableApi = keyof typeof API_KEYS;

export class KafkaProxy {
  readonly #listenPort: number;
  readonly #targetPort: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | undefined;
  readonly #drops = new Map<number, number>();
  #refusing = false;
  #silent = false;
  /** Answers swallowed so far. */
  dropped = 0;
  /** Produce answers that went through. */
  passed = 0;

  constructor(listenPort: number, targetPort: number) {
    this.#listenPort = listenPort;
    this.#targetPort = targetPort;
  }

  async start(): Promise<void> {
    this.#server = createServer((client) => this.#pipe(client));
    this.#server.listen(this.#listenPort, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    this.cut();
    server.close();
    await once(server, "close");
  }

  /** The next `count` answers of this kind are swallowed, and the connection of each is cut. */
  dropAnswers(api: DroppableApi, count: number): void {
    this.#drops.set(API_KEYS[api], count);
  }

  /** Cuts all connections that stand. */
  cut(): void {
    for (const [client, broker] of this.#pairs) {
      client.destroy();
      broker.destroy();
    }
    this.#pairs.clear();
  }

  /** While true, connections end before a byte goes through, and those that stand are cut. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  /** While true, connections stand and are taken, and nothing is ever answered: a broker that was stopped, not ended. */
  hang(silent: boolean): void {
    this.#silent = silent;
  }

  #pipe(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const broker = connect(this.#targetPort, "127.0.0.1");
    const pair = [client, broker] as const;
    this.#pairs.add(pair);
    const close = () => {
      client.destroy();
      broker.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of pair) {
      socket.on("error", close);
      socket.on("close", close);
    }
    const apiOf = new Map<number, number>();
    frames(client, (frame) => {
      apiOf.set(frame.readInt32BE(8), frame.readInt16BE(4));
      broker.write(frame);
    });
    frames(broker, (frame) => {
      const correlation = frame.readInt32BE(4);
      const api = apiOf.get(correlation) ?? -1;
      apiOf.delete(correlation);
      if (this.#silent) return;
      const left = this.#drops.get(api) ?? 0;
      if (left > 0) {
        this.#drops.set(api, left - 1);
        this.dropped++;
        close();
        return;
      }
      if (api === API_KEYS.produce) this.passed++;
      if (!client.destroyed) client.write(frame);
    });
  }
}

/** Calls back with each whole frame, its four bytes of length included. */
function frames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let held: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = held.length ? Buffer.concat([held, chunk]) : chunk;
    while (held.length >= 4) {
      const end = 4 + held.readInt32BE(0);
      if (held.length < end) return;
      onFrame(held.subarray(0, end));
      held = held.subarray(end);
    }
  });
}
