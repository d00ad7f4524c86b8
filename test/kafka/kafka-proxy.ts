/**
 * A TCP proxy between a Kafka client and a broker that breaks what a network breaks, on demand: it refuses and cuts
 * connections, swallows answers to Produce requests (the broker has written the batch, the client never hears), loses all that
 * some say, and takes its time. It reads Kafka's frames only as far as their length, API key, correlation id and client id.
 * Whoever wants to know what went over the wire is told of each request with what its answer took (`onExchange`).
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { SlowLine } from "./slow-line.ts";

/** Kafka's API keys by name, as far as tests need them. */
export const API_KEYS = { produce: 0, fetch: 1, listOffsets: 2, endTxn: 26 } as const;
export type DroppableApi = keyof typeof API_KEYS;

interface Pair {
  readonly client: Socket;
  readonly broker: Socket;
  /** What the client calls itself; undefined before its first request. */
  clientId: string | undefined;
  /** Something that it or the broker said went astray. */
  astray: boolean;
}

export class KafkaProxy {
  readonly #listenPort: number;
  readonly #targetPort: number;
  readonly #pairs = new Set<Pair>();
  #server: Server | undefined;
  readonly #drops = new Map<number, number>();
  #refusing = false;
  #silent = false;
  #loses: ((clientId: string) => boolean) | undefined;
  #delayMs = 0;
  readonly #asked = new Map<number, number>();
  /** Answers swallowed so far. */
  dropped = 0;
  /** Produce answers that went through. */
  passed = 0;
  /** Told of each request that was answered: its frame, and the bytes of its answer. All that TCP carries is in one of them. */
  onExchange: ((request: Buffer, answerBytes: number) => void) | undefined;

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
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  /** Requests of this kind that went through so far. */
  asked(api: DroppableApi): number {
    return this.#asked.get(API_KEYS[api]) ?? 0;
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

  /**
   * A network that has come apart: of the clients that this names nothing arrives, and nothing comes back, though their
   * connections stand. When that is over, what was lost stays lost, and the connections that lost something end.
   */
  lose(loses: ((clientId: string) => boolean) | undefined): void {
    this.#loses = loses;
    if (loses) return;
    for (const pair of [...this.#pairs]) if (pair.astray) this.#end(pair);
  }

  /** Each way takes so much longer, ms. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  #end(pair: Pair): void {
    pair.client.destroy();
    pair.broker.destroy();
    this.#pairs.delete(pair);
  }

  #lost(pair: Pair): boolean {
    const lost = pair.clientId !== undefined && this.#loses?.(pair.clientId) === true;
    pair.astray ||= lost;
    return lost;
  }

  #pipe(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const broker = connect({ port: this.#targetPort, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    const pair: Pair = { client, broker, clientId: undefined, astray: false };
    this.#pairs.add(pair);
    const close = () => this.#end(pair);
    for (const socket of [client, broker]) {
      socket.on("error", close);
      socket.on("close", close);
    }
    const apiOf = new Map<number, number>();
    const requests = new Map<number, Buffer>();
    const delayMs = () => this.#delayMs;
    const there = new SlowLine(broker, delayMs);
    const back = new SlowLine(client, delayMs);
    frames(client, (frame) => {
      pair.clientId ??= clientIdIn(frame);
      if (this.#lost(pair)) return;
      const api = frame.readInt16BE(4);
      apiOf.set(frame.readInt32BE(8), api);
      this.#asked.set(api, (this.#asked.get(api) ?? 0) + 1);
      if (this.onExchange) requests.set(frame.readInt32BE(8), frame);
      there.send(frame);
    });
    frames(broker, (frame) => {
      const correlation = frame.readInt32BE(4);
      const api = apiOf.get(correlation) ?? -1;
      apiOf.delete(correlation);
      if (this.#silent || this.#lost(pair)) return;
      const left = this.#drops.get(api) ?? 0;
      if (left > 0) {
        this.#drops.set(api, left - 1);
        this.dropped++;
        close();
        return;
      }
      if (api === API_KEYS.produce) this.passed++;
      const request = requests.get(correlation);
      requests.delete(correlation);
      if (request) this.onExchange?.(request, frame.length);
      back.send(frame);
    });
  }
}

/** Of a request: behind length, API key, version and correlation id. */
function clientIdIn(frame: Buffer): string {
  const length = frame.length >= 14 ? frame.readInt16BE(12) : 0;
  return frame.toString("utf8", 14, 14 + Math.max(0, length));
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
