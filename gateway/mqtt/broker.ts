/**
 * The MQTT broker: aedes, with the durable append before the acknowledgement.
 *
 * Readings, and all that is QoS 2, do not pass through aedes: connection.ts takes them out before it. aedes has the
 * rest: sessions, subscriptions, deliveries, retained messages, wills, and what is published at QoS 0 and 1 on other
 * topics. It asks about those in `authorizePublish`, the only hook that runs before its acknowledgement, so their turn is
 * waited for there; an error there closes the connection, which is all that MQTT 3.1.1 has for "no".
 */
import type { Socket } from "node:net";
import {
  Aedes,
  type AedesOptions,
  type Client,
  type ConnectPacket,
  type PublishPacket,
} from "aedes";
import type { Logger } from "pino";
import type { BufferError } from "../buffer/port.ts";
import { Budget } from "./budget.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost, Publisher } from "./connection-host.ts";
import { DurableNotes } from "./durable-notes.ts";
import { Handshakes } from "./handshakes.ts";
import { Ingest } from "./ingest.ts";
import type { Intake } from "./intake.ts";
import { LargePackets } from "./large-packets.ts";
import { Listeners } from "./listeners.ts";
import { type AedesPersistence, keepSessions } from "./persistence.ts";
import { Publish } from "./publish.ts";
import { PublishRights } from "./publish-rights.ts";
import { Sessions } from "./sessions.ts";
import { type Emitter, SubscriberCheck } from "./subscriber-check.ts";
import { Unfinished } from "./unfinished.ts";

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
  /** Filters of topics whose payloads are kept as they are; default none. */
  readonly rawTopics?: readonly string[];
}

export interface BrokerStats {
  readonly clients: number;
  readonly connections: number;
  /** Connections that a protocol error or a refused message ended. */
  readonly clientErrors: number;
  /** Of these, the ones that a packet over the limit ended. */
  readonly packetsTooLarge: number;
  /** Of the client errors, the connections that were closed because unfinished packets took too much memory. */
  readonly packetsUnfinished: number;
  /** Messages that were recognised as sent again, and stored once. */
  readonly repeats: number;
  /** Persistent sessions that are held, connected or not. */
  readonly sessions: number;
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
 * Room for a topic and for payloads that are too large: they become rejected events, and their device goes on to its next
 * reading. What is larger still closes the connection.
 */
const maxPacketBytes = (maxPayloadBytes: number): number =>
  maxPayloadBytes + Math.min(maxPayloadBytes, 512 * 1024) + 64 * 1024;

/** A will of 64 KiB, which is the most that MQTT allows, with its topic, the client id, a name and a password. */
const MAX_CONNECT_BYTES = 128 * 1024;

export class Broker implements ConnectionHost {
  readonly #options: BrokerOptions;
  readonly #logger: Logger;
  readonly #notes: DurableNotes;
  readonly #sessions: Sessions;
  readonly #handshakes: Handshakes;
  readonly #subscribers = new SubscriberCheck();
  readonly ingest: Ingest;
  readonly rights: PublishRights;
  readonly budget = new Budget();
  readonly unfinished = new Unfinished();
  readonly large: LargePackets;
  readonly ordinaryPacketBytes: number;
  readonly maxPacketBytes: number;
  readonly maxConnectBytes = MAX_CONNECT_BYTES;
  #aedes: Aedes | undefined;
  #listeners: Listeners | undefined;
  readonly #sockets = new Set<Socket>();
  #clientErrors = 0;
  #packetsTooLarge = 0;
  #packetsUnfinished = 0;

  constructor(options: BrokerOptions, intake: Intake, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#notes = new DurableNotes(intake.buffer);
    this.#sessions = new Sessions(intake.buffer, this.#notes, (session) => {
      for (const filter of session.subscriptions.keys()) this.#subscribers.remove(filter);
      this.#handshakes.clear(session.client);
      void this.#persistence()?.cleanSubscriptions({ id: session.client });
    });
    this.#handshakes = new Handshakes(this.#notes);
    this.ingest = new Ingest(intake, this.#sessions, this.#handshakes, this.#notes);
    this.rights = new PublishRights(options.rawTopics);
    this.ordinaryPacketBytes = maxPacketBytes(intake.decodedBytes);
    this.maxPacketBytes = maxPacketBytes(intake.maxPayloadBytes);
    this.large = new LargePackets(this.maxPacketBytes);
  }

  /**
   * The buffer must have been started: sessions are in its notes.
   * @throws ListenError where the port is taken or may not be used
   */
  async start(): Promise<void> {
    if (this.#aedes) return;
    await this.#sessions.load();
    await this.#handshakes.load(this.ingest.intake.buffer, this.#sessions.byNumber());
    const aedes = await Aedes.createBroker(this.#aedesOptions());
    this.#aedes = aedes;
    this.#subscribers.watch((aedes as Aedes & { mq: Emitter }).mq);
    const persistence = (aedes as Aedes & { persistence: AedesPersistence }).persistence;
    await keepSessions(persistence, this.#sessions, this.#subscribers);
    aedes.on("clientError", (client, error) => {
      this.#clientErrors += 1;
      this.#logger.debug({ client: client?.id, reason: error.message }, "client error");
    });
    aedes.on("connectionError", (_client, error) => {
      this.#clientErrors += 1;
      this.#logger.debug({ reason: error.message }, "connection error");
    });
    aedes.on("clientReady", (client) => connectionOf(client)?.open());
    aedes.on("clientDisconnect", (client) => {
      const connection = connectionOf(client);
      // What has its client id now has seen to the session.
      if (connection?.superseded) return;
      if (connection?.session) connection.session.connected = false;
      // A clean session ends with its connection, and what was open in it.
      else this.#handshakes.clear(client.id);
    });
    const listeners = new Listeners((socket) => {
      if (this.#sockets.size >= this.#options.maxClients) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      const connection = new Connection(socket, this);
      // aedes handles errors once it has read CONNECT; before that nobody would.
      connection.on("error", (error) =>
        this.#logger.debug({ reason: error.message }, "socket error"),
      );
      aedes.handle(connection);
    });
    try {
      await listeners.listen(this.#options.host, this.#options.port);
    } catch (error) {
      await this.#close(aedes);
      this.#aedes = undefined;
      throw listenError(error as NodeJS.ErrnoException, "MQTT", "--mqtt-port", this.#options);
    }
    this.#listeners = listeners;
  }

  /** Closes the listener and all connections; what was not acknowledged by then will be sent again. */
  async stop(): Promise<void> {
    const aedes = this.#aedes;
    const listeners = this.#listeners;
    this.#aedes = undefined;
    this.#listeners = undefined;
    this.#notes.stop();
    if (!aedes || !listeners) return;
    const closed = listeners.close();
    await this.#close(aedes);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Whether devices can connect. */
  get listening(): boolean {
    return this.#listeners !== undefined;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#listeners?.port ?? this.#options.port;
  }

  stats(): BrokerStats {
    return {
      clients: this.#aedes?.connectedClients ?? 0,
      connections: this.#sockets.size,
      clientErrors: this.#clientErrors,
      packetsTooLarge: this.#packetsTooLarge,
      packetsUnfinished: this.#packetsUnfinished,
      repeats: this.ingest.repeats,
      sessions: this.#sessions.size,
    };
  }

  onPacketTooLarge(): void {
    this.#packetsTooLarge += 1;
  }

  onUnfinishedTooMuch(): void {
    this.#packetsUnfinished += 1;
  }

  wanted({ right, retain, isLarge }: Publish): boolean {
    return right.kind !== "denied" && ((retain && !isLarge) || this.#subscribers.wanted(right));
  }

  deliver({ client }: Publisher, publish: Publish, done: () => void): void {
    const aedes = this.#aedes as (Aedes & AedesPublish) | undefined;
    if (!aedes || publish.right.kind === "denied") {
      done();
      return;
    }
    const { qos, isLarge } = publish;
    // Retained messages are in memory for good: a picture of each device is more than there is.
    const retain = publish.retain && !isLarge;
    const packet = {
      cmd: "publish",
      topic: publish.right.topic,
      payload: publish.payload(),
      qos,
      retain,
      dup: false,
    };
    // Each in a turn of its own: aedes sends QoS 0 at once and QoS 1 some promises later, and its subscribers drop for a
    // repetition whatever was overtaken.
    setImmediate(() => aedes.publish(packet, client, done));
  }

  #aedesOptions(): AedesOptions {
    return {
      connectTimeout: this.#options.connectTimeoutMs,
      queueLimit: this.#options.queueLimit,
      maxClientsIdLength: MAX_CLIENT_ID_LENGTH,
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (_client, subscription, done) =>
        // $SYS names other devices' ids; nobody on the network needs them. Refused by 0x80 in the SUBACK.
        done(null, subscription.topic.startsWith("$SYS") ? null : subscription),
      preConnect: (client, packet, done) => {
        const error = this.#preConnect(client, packet);
        done(error ?? null, error === undefined);
      },
      authenticate: (client, _username, _password, done) => {
        this.#beginSession(client);
        done(null, true);
      },
    };
  }

  #preConnect(client: Client, packet: ConnectPacket): Error | undefined {
    // [MQTT-3.1.3-8] An empty id with a session to keep cannot be served; the library would invent an id.
    if (!packet.clientId && !packet.clean) {
      return Object.assign(new Error("empty client id with clean=0"), { returnCode: 2 });
    }
    connectionOf(client)?.keepAlive(packet.keepalive ?? 0);
    packet.keepalive = 0;
    return undefined;
  }

  /** aedes has taken up the client's id and is about to answer its CONNECT. */
  #beginSession(client: Client): void {
    const connection = connectionOf(client);
    if (!connection) return;
    const before = (this.#aedes as (Aedes & AedesClients) | undefined)?.clients[client.id];
    // [MQTT-3.1.4-2] aedes closes it too, but later: until then it must not go on in the session.
    if (before) connectionOf(before)?.supersede();
    if (client.clean) {
      this.#sessions.end(client.id);
      this.#handshakes.clear(client.id);
      connection.introduce(client.id, undefined, false);
    } else {
      const { session, present } = this.#sessions.open(client.id);
      if (!present) this.#handshakes.clear(client.id);
      connection.introduce(client.id, session, present);
    }
  }

  #authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const connection = client && !client.closed ? connectionOf(client) : undefined;
    if (connection) connection.arrived(packet, done);
    else this.#takeWill(client?.id, packet, done);
  }

  /** A will on an ingest route is a reading like any other. aedes sends it when its connection is closed. */
  #takeWill(
    client: string | undefined,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const right = this.rights.right(client, packet.topic);
    const { intake } = this.ingest;
    if (right.kind === "denied") {
      done(new Error(right.reason));
      return;
    }
    const payload = payloadOf(packet);
    if (right.kind === "ordinary") intake.stats.unmatched += 1;
    if (right.kind === "ordinary" || (packet.retain && payload.length === 0)) {
      done(null);
      return;
    }
    const owner = {
      stored: (will: Publish) => {
        intake.stored(will);
        done(null);
      },
      refused: (_will: Publish, error: BufferError) => {
        intake.refused(error);
        done(error);
      },
    };
    intake.offer(
      right.topic,
      right.route,
      payload,
      client,
      new Publish(owner, right, packet.qos, 0, packet.retain, payload.length),
    );
  }

  #persistence(): AedesPersistence | undefined {
    return (this.#aedes as (Aedes & { persistence: AedesPersistence }) | undefined)?.persistence;
  }

  async #close(aedes: Aedes): Promise<void> {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
  }
}

/** What aedes has and its types do not tell. */
interface AedesPublish {
  publish(packet: object, client: Client | undefined, done: () => void): void;
}
interface AedesClients {
  readonly clients: Readonly<Record<string, Client>>;
}

/** aedes' type allows a text; its parser gives bytes. */
function payloadOf({ payload }: PublishPacket): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
}

function connectionOf(client: Client): Connection | undefined {
  return client.conn instanceof Connection ? client.conn : undefined;
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
