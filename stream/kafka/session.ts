/**
 * One user's connection to Kafka: a sink, a tail or a processor's part has its own, because a broker answers the
 * requests of one connection one after another and a long fetch would hold up everything behind it.
 *
 * Promises: a failed connection is thrown away as a whole and the next use makes a new one, so no state of a broken one
 * survives; nothing is retried here; `close` ends what waits at once.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactory } from "kafkajs";
import { EventLogError, type PartitionRange } from "../port.ts";
import {
  type Attempt,
  checkHost,
  explainConnection,
  looksLikeTls,
  SPEAKS_TLS,
} from "./connection-fault.ts";
import type { KafkaCredentials } from "./credentials.ts";
import { faultOf, NotAllowedFault, NotCreatedFault, UnknownTopicFault } from "./faults.ts";
import {
  type Broker,
  type Cluster,
  COORDINATOR,
  createCluster,
  createErrorFromCode,
  type RawRequest,
} from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./options.ts";
import { closedError } from "./retry.ts";
import { saslOptions } from "./sasl.ts";

/** Leaders and coordinators change rarely and say so when asked in vain; this is for what nobody asked, ms. */
const METADATA_MAX_AGE_MS = 300_000;
const KEEP_ALIVE_MS = 60_000;
/** Kafka's error 3. */
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export type CoordinatorKind = "group" | "transaction";

/** Kafka as one use of a session sees it. */
export class Connection {
  readonly #cluster: Cluster;
  readonly #coordinators = new Map<string, Broker>();
  /** Who we say we are on it. */
  readonly credentials: KafkaCredentials;
  /** How far it ever got. */
  reached: Attempt["reached"] = "nothing";

  constructor(cluster: Cluster, credentials: KafkaCredentials) {
    this.#cluster = cluster;
    this.credentials = credentials;
  }

  async open(topics: readonly string[]): Promise<void> {
    await this.#cluster.connect();
    if (this.reached === "nothing") this.reached = "versions";
    if (topics.length > 0) await this.#cluster.addMultipleTargetTopics(topics);
  }

  /** Asks for leaders and coordinators again at the next use. */
  forget(): void {
    this.#cluster.brokerPool.metadata = null;
    this.#coordinators.clear();
  }

  partitionCount(topic: string): number {
    const count = this.#cluster.findTopicPartitionMetadata(topic).length;
    if (count === 0) throw createErrorFromCode(UNKNOWN_TOPIC_OR_PARTITION);
    return count;
  }

  leaderId(topic: string, partition: number): string {
    const found = this.#cluster
      .findTopicPartitionMetadata(topic)
      .find((one) => one.partitionId === partition);
    if (!found) throw createErrorFromCode(UNKNOWN_TOPIC_OR_PARTITION);
    return String(found.leader);
  }

  broker(nodeId: string): Promise<Broker> {
    return this.#cluster.findBroker({ nodeId });
  }

  /** Whichever broker we are connected to: since Kafka 3.3 it passes on what is for the controller. */
  anyBroker(): Promise<Broker> {
    return this.#cluster.brokerPool.findConnectedBroker();
  }

  /** For older ones. Asks for the metadata of all topics, the controller among it. */
  async controller(): Promise<Broker> {
    await this.#cluster.addMultipleTargetTopics([]);
    return await this.#cluster.findControllerBroker();
  }

  async coordinator(kind: CoordinatorKind, id: string): Promise<Broker> {
    const key = `${kind} ${id}`;
    let found = this.#coordinators.get(key);
    if (!found) {
      found = await this.#cluster.findGroupCoordinator({
        groupId: id,
        coordinatorType: kind === "group" ? COORDINATOR.GROUP : COORDINATOR.TRANSACTION,
      });
      this.#coordinators.set(key, found);
    }
    return found;
  }

  async send<T>(nodeId: string, request: RawRequest<T>): Promise<T> {
    const broker = await this.broker(nodeId);
    return await broker.connectionPool.send(request);
  }

  /** To whichever broker we are connected to. */
  async ask<T>(request: RawRequest<T>): Promise<T> {
    const broker = await this.anyBroker();
    return await broker.connectionPool.send(request);
  }

  /**
   * First kept and next free offset of each partition, in order. Records of open transactions are counted in: a reader
   * that gets there has seen all that was written before the call, also what is being committed just now.
   */
  async ranges(topic: string): Promise<PartitionRange[]> {
    const count = this.partitionCount(topic);
    const partitions = Array.from({ length: count }, (_, partition) => ({ partition }));
    const [starts, ends] = await Promise.all(
      [true, false].map(async (fromBeginning) => {
        const [found] = await this.#cluster.fetchTopicsOffset([
          { topic, partitions, fromBeginning },
        ]);
        return new Map(found?.partitions.map((one) => [one.partition, Number(one.offset)]));
      }),
    );
    return partitions.map(({ partition }) => ({
      topic,
      partition,
      start: starts?.get(partition) ?? 0,
      end: ends?.get(partition) ?? 0,
    }));
  }
}

export class KafkaSession {
  readonly #settings: KafkaSettings;
  readonly #sockets = new Set<Socket>();
  #connection: Connection | undefined;
  #closed = false;

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
  }

  /** Runs the work on a connection that knows these topics. What fails is told as it is; see faults.ts. */
  async use<T>(
    topics: readonly string[],
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw closedError("use");
    this.#connection ??= this.#connect();
    const connection = this.#connection;
    try {
      await connection.open(topics);
      const result = await work(connection);
      connection.reached = "answers";
      return result;
    } catch (error) {
      if (this.#closed) throw closedError("use");
      const told = this.#explained(error, connection, topics);
      const { code, reaction } = faultOf(told);
      // kafkajs asks for all topics it ever heard of at once, and one that is gone or forbidden fails the others.
      const useless =
        reaction === "reconnect" || code === "unknown_topic" || code === "not_authorized";
      if (useless && this.#connection === connection) this.#drop();
      else if (reaction === "refresh") connection.forget();
      throw told;
    }
  }

  /** In words for people, where Kafka's own say neither what to do nor of what they are. */
  #explained(error: unknown, connection: Connection, topics: readonly string[]): unknown {
    const { brokers, now } = this.#settings;
    const { credentials, reached } = connection;
    const explained = explainConnection(error, { brokers, credentials, reached, now: now() });
    if (explained) return explained;
    const told = [EventLogError, NotAllowedFault, NotCreatedFault, UnknownTopicFault];
    if (told.some((kind) => error instanceof kind)) return error;
    const { code, message } = faultOf(error);
    if (code === "unknown_topic") return new UnknownTopicFault(topics);
    if (code !== "not_authorized") return error;
    return new NotAllowedFault(message, topics, credentials.sasl?.username);
  }

  /** Ends what is going on at once. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    this.#connection = undefined;
    for (const socket of this.#sockets) socket.destroy(new Error("connection given up"));
    this.#sockets.clear();
  }

  #connect(): Connection {
    const { brokers, clientId, limits, logger } = this.#settings;
    const credentials = this.#settings.credentials();
    const { sasl, tls } = credentials;
    const cluster = createCluster(
      {
        brokers,
        clientId,
        connectionTimeout: limits.connectionTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        metadataMaxAge: METADATA_MAX_AGE_MS,
        socketFactory: this.#socketFactory,
        ...(sasl ? { sasl: saslOptions(sasl) } : {}),
        ...(tls ? { ssl: tls } : {}),
      },
      // What matters comes to us as an error and is told once by whoever met it (retry.ts, Outage).
      ({ namespace, label, log }) => {
        logger.debug({ kafkajs: namespace, kafkajsLevel: label }, log.message);
      },
    );
    return new Connection(cluster, credentials);
  }

  readonly #socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    const socket = ssl
      ? connectTls(
          {
            host,
            port,
            ...(isIP(host) ? {} : { servername: host }),
            ...ssl,
            checkServerIdentity: checkHost,
          },
          onConnect,
        )
      : connect({ host, port, noDelay: true }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (!ssl) {
      // Taken for Kafka's, an alert of TLS is the length of an answer of 350 MB, and waited for until the request times out.
      socket.once("data", (bytes: Buffer) => {
        if (!looksLikeTls(bytes)) return;
        socket.destroy(Object.assign(new Error("TLS"), { code: SPEAKS_TLS }));
      });
    }
    // kafkajs listens for `end` and `error`; a connection that only closes would leave its requests waiting.
    let told = false;
    const tell = () => {
      told = true;
    };
    socket.on("end", tell).on("error", tell);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (!told) socket.emit("end");
    });
    this.#sockets.add(socket);
    return socket;
  };
}
