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

const KEEP_ALIVE_MS = 60_000;
/** Kafka's error 3. */
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export type CoordinatorKind = "group" | "transaction";

/** Kafka as one use of a session sees it. */
export class Connection {
  readonly #cluster: Cluster;
  readonly #settings: KafkaSettings;
  readonly #coordinators = new Map<string, Broker>();
  /** Who we say we are on it. */
  readonly credentials: KafkaCredentials;
  /** How far it ever got. */
  reached: Attempt["reached"] = "nothing";
  /** Times in a row that what it knew of leaders and coordinators was of no use. */
  #misled = 0;
  #asked: number;
  #turn = 0;

  constructor(cluster: Cluster, credentials: KafkaCredentials, settings: KafkaSettings) {
    this.#cluster = cluster;
    this.credentials = credentials;
    this.#settings = settings;
    this.#asked = settings.moment();
  }

  async open(topics: readonly string[]): Promise<void> {
    await this.#cluster.connect();
    if (this.reached === "nothing") this.reached = "versions";
    if (topics.length > 0) await this.#cluster.addMultipleTargetTopics(topics);
    const { limits, moment } = this.#settings;
    if (moment() - this.#asked > limits.metadataMaxAgeMs) void this.#askAgain();
  }

  /** A use of it came to its end. */
  answered(): void {
    this.reached = "answers";
    this.#misled = 0;
  }

  /**
   * Asks for leaders and coordinators again at the next use.
   * @returns false where that was done before and has not helped
   */
  forget(): boolean {
    this.#cluster.brokerPool.metadata = null;
    this.#coordinators.clear();
    this.#misled += 1;
    return this.#misled < 2;
  }

  /**
   * Leaders and coordinators that change say so when they are asked in vain, but for a broker that has lost the others: it
   * leads on, and whoever reads from it reads nothing new. So the others are asked from time to time, each in its turn.
   */
  async #askAgain(): Promise<void> {
    this.#asked = this.#settings.moment();
    const { brokerPool } = this.#cluster;
    const ids = Object.keys(brokerPool.brokers);
    this.#turn += 1;
    const nodeId = ids[this.#turn % Math.max(1, ids.length)];
    try {
      // It asks one that it is connected to.
      if (nodeId !== undefined) await brokerPool.findBroker({ nodeId });
      await this.#cluster.refreshMetadata();
      this.#coordinators.clear();
    } catch {
      // What is known stays, and is asked for again when its time comes.
    }
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

  /** By partition the first offset that was sent at or after the time, ms since 1970; the end where none was. */
  async offsetsAt(topic: string, time: number): Promise<ReadonlyMap<number, number>> {
    const count = this.partitionCount(topic);
    const partitions = Array.from({ length: count }, (_, partition) => ({ partition }));
    const [[found], ranges] = await Promise.all([
      this.#cluster.fetchTopicsOffset([{ topic, partitions, fromTimestamp: time }]),
      this.ranges(topic),
    ]);
    const at = new Map(found?.partitions.map((one) => [one.partition, Number(one.offset)]));
    return new Map(
      ranges.map(({ partition, end }) => {
        const offset = at.get(partition) ?? -1;
        return [partition, offset < 0 ? end : offset];
      }),
    );
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
  /** Which of the brokers is asked first: one after another, because the first may take connections and never answer. */
  #first: number;
  #closed = false;

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
    // Not all of a fleet begin with the same one.
    this.#first = Math.floor(settings.random() * settings.brokers.length);
  }

  /** Runs the work on a connection that knows these topics. What fails is told as it is; see faults.ts. */
  async use<T>(
    topics: readonly string[],
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    for (let asked = 1; ; asked++) {
      if (this.#closed) throw closedError("use");
      this.#connection ??= this.#connect();
      const connection = this.#connection;
      try {
        await connection.open(topics);
        const result = await work(connection);
        connection.answered();
        return result;
      } catch (error) {
        if (this.#closed) throw closedError("use");
        const told = this.#explained(error, connection, topics);
        const { code, reaction } = faultOf(told);
        // kafkajs asks for all topics it ever heard of at once, and one that is gone or forbidden fails the others.
        let useless =
          reaction === "reconnect" || code === "unknown_topic" || code === "not_authorized";
        // Whoever misleads us again may have lost the others: the next of the list is asked.
        if (reaction === "refresh") useless = !connection.forget() || useless;
        if (useless && this.#connection === connection) this.#drop();
        // Where nobody listens nothing was begun, and it costs nothing to try the next.
        const elsewhere = connection.reached === "nothing" && tookNoConnection(error);
        if (!elsewhere || asked >= this.#settings.brokers.length) throw told;
      }
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
    const first = this.#first++ % brokers.length;
    const credentials = this.#settings.credentials();
    const { sasl, tls } = credentials;
    const cluster = createCluster(
      {
        brokers: [...brokers.slice(first), ...brokers.slice(0, first)],
        clientId,
        connectionTimeout: limits.connectionTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        metadataMaxAge: limits.metadataMaxAgeMs,
        socketFactory: this.#socketFactory,
        ...(sasl ? { sasl: saslOptions(sasl) } : {}),
        ...(tls ? { ssl: tls } : {}),
      },
      // What matters comes to us as an error and is told once by whoever met it (retry.ts, Outage).
      ({ namespace, label, log }) => {
        logger.debug({ kafkajs: namespace, kafkajsLevel: label }, log.message);
      },
    );
    return new Connection(cluster, credentials, this.#settings);
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

/** As kafkajs says it, however deep in what it wraps around it. */
function tookNoConnection(error: unknown): boolean {
  let at = error as { readonly name?: string; readonly cause?: unknown } | undefined;
  for (let depth = 0; at && depth < 8; depth++) {
    if (at.name === "KafkaJSConnectionError") return true;
    at = at.cause as typeof at;
  }
  return false;
}
