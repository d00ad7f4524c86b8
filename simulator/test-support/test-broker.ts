/** A plain aedes on loopback for the simulator's tests: what it took in, and every way to treat a device badly. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes } from "aedes";

export interface Taken {
  readonly client: string;
  readonly topic: string;
  readonly payload: Record<string, unknown>;
  readonly dup: boolean;
  readonly messageId: number | undefined;
}

export class TestBroker {
  readonly taken: Taken[] = [];
  /** Takes the message and then ends the connection instead of acknowledging it. */
  refuse: (taken: Taken) => boolean = () => false;
  /** While set, nothing is acknowledged. */
  silent = false;
  port = 0;
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();

  /** On any free port; after a stop on the same one again. */
  async start(): Promise<this> {
    const aedes = await Aedes.createBroker({
      authorizePublish: (client, packet, done) => {
        const taken: Taken = {
          client: client?.id ?? "",
          topic: packet.topic,
          payload: JSON.parse(packet.payload.toString()),
          dup: packet.dup,
          messageId: (packet as { messageId?: number }).messageId,
        };
        this.taken.push(taken);
        for (const look of this.#waiting) look();
        if (this.silent) return;
        done(this.refuse(taken) ? new Error("refused") : null);
      },
    });
    aedes.on("clientError", () => undefined);
    aedes.on("connectionError", () => undefined);
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
      aedes.handle(socket);
    });
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address && typeof address === "object") this.port = address.port;
    this.#aedes = aedes;
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#server) return;
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
    const aedes = this.#aedes;
    await new Promise<void>((done) => aedes?.close(() => done()));
    this.#server = undefined;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Resolves when the condition holds, looked at whenever a message comes. */
  async until(condition: (taken: readonly Taken[]) => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!condition(this.taken)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}
