/**
 * The MQTT broker: aedes, with the durable append before the acknowledgement.
 *
 * aedes writes the PUBACK (QoS 1) and PUBREC (QoS 2) after `authorizePublish` and before anything else that can be
 * hooked, so the append is awaited there and nowhere later. An error there closes the connection without an
 * acknowledgement, which makes the device send again: all that MQTT 3.1.1 has for "no".
 */
import { createServer, type Server, type Socket } from "node:net";
import { Aedes, type AedesOptions, type Client, type PublishPacket } from "aedes";
import type { Logger } from "pino";
import type { Intake } from "./intake.ts";

export interface BrokerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Connections beyond it are closed at once. */
  readonly maxClients: number;
  /** From the connection to its CONNECT packet. */
  readonly connectTimeoutMs: number;
  /** QoS 1 and 2 messages on their way to one subscriber; beyond it aedes drops the subscriber. */
  readonly queueLimit: number;
}

export interface BrokerStats {
  readonly clients: number;
  readonly connections: number;
  /** Connections that a protocol error or a refused message ended. */
  readonly clientErrors: number;
}

/** A listener that cannot be had; the message says what to do. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ListenError";
    this.code = code;
  }
}

/** The ids are the client's to choose; 23 characters is only what every server must take [MQTT-3.1.3-5]. */
const MAX_CLIENT_ID_LENGTH = 256;

/**
 * QoS 2 messages of one client between PUBREC and PUBREL. As many as there are packet ids, so that aedes' own limit of
 * 1000 never closes a connection: a device that sends its backlog at once would send what was stored once more, and in
 * a clean session nobody could tell that it is the same.
 */
const MAX_OPEN_QOS2 = 65_535;

export class Broker {
  readonly #options: BrokerOptions;
  readonly #intake: Intake;
  readonly #logger: Logger;
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #clientErrors = 0;
  /** Packet ids of QoS 2 messages whose event is on disk or on its way there, until their PUBREL. */
  readonly #openQos2 = new Map<string, Map<number, Promise<void>>>();

  constructor(options: BrokerOptions, intake: Intake, logger: Logger) {
    this.#options = options;
    this.#intake = intake;
    this.#logger = logger;
  }

  /** @throws ListenError where the port is taken or may not be used */
  async start(): Promise<void> {
    if (this.#aedes) return;
    const aedes = await Aedes.createBroker({
      connectTimeout: this.#options.connectTimeoutMs,
      queueLimit: this.#options.queueLimit,
      maxClientsIdLength: MAX_CLIENT_ID_LENGTH,
      maxInflightInbound: MAX_OPEN_QOS2,
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (_client, subscription, done) =>
        // $SYS names other devices' ids; nobody on the network needs them. Refused by 0x80 in the SUBACK.
        done(null, subscription.topic.startsWith("$SYS") ? null : subscription),
      preConnect: (_client, packet, done) => {
        // [MQTT-3.1.3-8] An empty id with a session to keep cannot be served; the library would invent an id.
        if (!packet.clientId && !packet.clean) {
          done(Object.assign(new Error("empty client id with clean=0"), { returnCode: 2 }), false);
        } else done(null, true);
      },
    } satisfies AedesOptions);
    this.#aedes = aedes;
    this.#forgetQos2AtPubrel(aedes);
    aedes.on("clientError", (client, error) => {
      this.#clientErrors += 1;
      this.#logger.debug({ client: client?.id, reason: error.message }, "client error");
    });
    aedes.on("connectionError", (_client, error) => {
      this.#clientErrors += 1;
      this.#logger.debug({ reason: error.message }, "connection error");
    });
    aedes.on("clientReady", (client) => {
      // A new clean session has no open handshakes; a kept one goes on with those it had.
      if ((client as Client & { clean: boolean }).clean) this.#openQos2.delete(client.id);
    });
    aedes.on("clientDisconnect", (client) => {
      if ((client as Client & { clean: boolean }).clean) this.#openQos2.delete(client.id);
    });
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      // aedes handles the socket's errors once it has read CONNECT; before that nobody would.
      socket.on("error", (error) => this.#logger.debug({ reason: error.message }, "socket error"));
      aedes.handle(socket);
    });
    server.maxConnections = this.#options.maxClients;
    try {
      await listen(server, this.#options.host, this.#options.port);
    } catch (error) {
      await this.#close(aedes);
      this.#aedes = undefined;
      throw listenError(error as NodeJS.ErrnoException, "MQTT", "--mqtt-port", this.#options);
    }
    this.#server = server;
  }

  /** Closes the listener and all connections; what was not acknowledged by then will be sent again. */
  async stop(): Promise<void> {
    const aedes = this.#aedes;
    const server = this.#server;
    this.#aedes = undefined;
    this.#server = undefined;
    if (!aedes || !server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await this.#close(aedes);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The port that it listens on. */
  get port(): number {
    const address = this.#server?.address();
    return address && typeof address === "object" ? address.port : this.#options.port;
  }

  stats(): BrokerStats {
    return {
      clients: this.#aedes?.connectedClients ?? 0,
      connections: this.#sockets.size,
      clientErrors: this.#clientErrors,
    };
  }

  async #close(aedes: Aedes): Promise<void> {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
  }

  #authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    if (packet.topic.startsWith("$SYS/")) {
      done(new Error("$SYS/ is the broker's own"));
      return;
    }
    // [MQTT-3.3.1-10] A retained message without payload removes the retained one; it is no reading.
    if (packet.retain && packet.payload.length === 0) {
      done(null);
      return;
    }
    const stored = this.#store(client, packet);
    if (stored === undefined) {
      done(null);
      return;
    }
    stored.then(
      () => done(null),
      (error: Error) => {
        this.#logger.warn({ client: client?.id, reason: error.message }, "message not taken");
        // A QoS 0 message waits for no acknowledgement: it is counted as refused and its connection may live.
        done(packet.qos === 0 ? null : error);
      },
    );
  }

  /**
   * Once for each message: a QoS 2 packet sent again before its PUBREL is the same message [MQTT-4.3.3-2]. A device that
   * lost its memory begins with packet ids that are still open here; what it sends under one is new and says so: only
   * what is sent again has DUP [MQTT-3.3.1-1].
   */
  #store(client: Client | null, packet: PublishPacket): Promise<void> | undefined {
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
    const accept = () =>
      this.#intake.accept({
        topic: packet.topic,
        payload,
        ...(client ? { client: client.id } : {}),
      });
    if (packet.qos !== 2 || !client || packet.messageId === undefined) return accept();
    const id = packet.messageId;
    let open = this.#openQos2.get(client.id);
    const known = open?.get(id);
    if (known && packet.dup) return known;
    const stored = accept();
    if (stored === undefined) return undefined;
    if (!open) {
      open = new Map();
      this.#openQos2.set(client.id, open);
    }
    const ids = open;
    ids.set(id, stored);
    stored.catch(() => {
      if (ids.get(id) === stored) ids.delete(id);
    });
    return stored;
  }

  /** aedes tells nobody of a PUBREL, but deletes the packet from its persistence then. */
  #forgetQos2AtPubrel(aedes: Aedes): void {
    const persistence = (aedes as Aedes & { persistence: IncomingPersistence }).persistence;
    const remove = persistence.incomingDelPacket.bind(persistence);
    persistence.incomingDelPacket = async (client, packet) => {
      await remove(client, packet);
      const open = this.#openQos2.get(client.id);
      open?.delete(packet.messageId);
      if (open?.size === 0) this.#openQos2.delete(client.id);
    };
  }
}

interface IncomingPersistence {
  incomingDelPacket(client: { id: string }, packet: { messageId: number }): Promise<void>;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** One line on why the port cannot be had and what to do. */
export function listenError(
  error: NodeJS.ErrnoException,
  what: string,
  flag: string,
  at: { readonly host: string; readonly port: number },
): Error {
  const where = `${at.host}:${at.port}`;
  const told: Record<string, string> = {
    EADDRINUSE: `${what} cannot listen on ${where}: another program has the port. Stop it, or choose another with ${flag} (0 takes any free one)`,
    EACCES: `${what} may not listen on ${where}: ports below 1024 need a right. Choose another with ${flag}`,
    EADDRNOTAVAIL: `${what} cannot listen on ${where}: this machine has no such address. Mend the host in the configuration`,
  };
  const code = error.code ?? "unknown";
  const message = told[code] ?? `${what} cannot listen on ${where}: ${error.message}`;
  return new ListenError(code, message, { cause: error });
}
