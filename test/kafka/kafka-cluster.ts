/**
 * Three real brokers on one machine, each a controller too, with every topic on all of them and two that must have a record
 * before it counts: what a team would run. Clients reach each through a proxy, and so do the brokers each other, so that
 * a network can come apart between any two.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import { metadataRequest } from "../../stream/kafka/admin-requests.ts";
import { KafkaEventLog } from "../../stream/kafka/kafka-event-log.ts";
import { settle } from "../../stream/kafka/options.ts";
import { KafkaSession } from "../../stream/kafka/session.ts";
import { freePorts, KafkaBroker } from "./kafka-broker.ts";
import { KafkaProxy } from "./kafka-proxy.ts";

export const NODES = [1, 2, 3] as const;
export type NodeId = (typeof NODES)[number];

/** As a cluster would be set up, but for sizes and times: they are those of one small machine. */
const PROPERTIES: Readonly<Record<string, string>> = {
  "default.replication.factor": "3",
  "min.insync.replicas": "2",
  "offsets.topic.replication.factor": "3",
  "offsets.topic.num.partitions": "3",
  "transaction.state.log.replication.factor": "3",
  "transaction.state.log.min.isr": "2",
  "transaction.state.log.num.partitions": "3",
  "share.coordinator.state.topic.replication.factor": "3",
  "share.coordinator.state.topic.min.isr": "2",
  // Long enough that a busy machine is not taken for a dead broker, short enough that a test sees one given up.
  "broker.session.timeout.ms": "4000",
  "broker.heartbeat.interval.ms": "500",
  // By itself a broker ends that is not registered within a minute, which on a busy machine it may not be.
  "initial.broker.registration.timeout.ms": "600000",
};

const WHOLE_POLL_MS = 100;
const WHOLE_DEADLINE_MS = 120_000;

class Node {
  readonly id: NodeId;
  readonly broker: KafkaBroker;
  /** Between clients and it. */
  readonly clients: KafkaProxy;
  /** Between the other brokers and it. */
  readonly peers: KafkaProxy;
  readonly quorum: KafkaProxy;

  constructor(id: NodeId, ports: NodePorts, voters: string) {
    this.id = id;
    const { controllerPort, advertisedControllerPort, peersPort, advertisedPeersPort } = ports;
    this.broker = new KafkaBroker({
      node: {
        id,
        voters,
        controllerPort,
        advertisedControllerPort,
        peersPort,
        advertisedPeersPort,
      },
      proxyPort: ports.clientsPort,
      proxiedPort: ports.proxiedPort,
      properties: PROPERTIES,
    });
    this.clients = new KafkaProxy(ports.clientsPort, ports.proxiedPort);
    this.peers = new KafkaProxy(advertisedPeersPort, peersPort);
    this.quorum = new KafkaProxy(ports.advertisedControllerPort, controllerPort);
  }

  get proxies(): readonly KafkaProxy[] {
    return [this.clients, this.peers, this.quorum];
  }
}

interface NodePorts {
  readonly clientsPort: number;
  readonly proxiedPort: number;
  readonly controllerPort: number;
  readonly advertisedControllerPort: number;
  readonly peersPort: number;
  readonly advertisedPeersPort: number;
}

export class KafkaCluster {
  readonly #nodes: readonly Node[];

  private constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
  }

  /** Resolves when all three serve. */
  static async start(): Promise<KafkaCluster> {
    const free = await freePorts(6 * NODES.length);
    const portsOf = new Map(
      NODES.map((id, i) => {
        const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = free.slice(6 * i);
        const ports: NodePorts = {
          clientsPort: a,
          proxiedPort: b,
          controllerPort: c,
          advertisedControllerPort: d,
          peersPort: e,
          advertisedPeersPort: f,
        };
        return [id, ports] as const;
      }),
    );
    const voters = [...portsOf]
      .map(([id, { advertisedControllerPort }]) => `${id}@127.0.0.1:${advertisedControllerPort}`)
      .join(",");
    const cluster = new KafkaCluster(
      [...portsOf].map(([id, ports]) => new Node(id, ports, voters)),
    );
    try {
      for (const { proxies } of cluster.#nodes) for (const proxy of proxies) await proxy.start();
      await cluster.startBrokers(NODES);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** For clients, through the proxies. */
  get addresses(): readonly string[] {
    return this.#nodes.map(({ broker }) => `127.0.0.1:${broker.proxyPort}`);
  }

  /** For who wants to know how things are, past all that is broken. */
  get directAddresses(): readonly string[] {
    return this.#nodes.map(({ broker }) => broker.address);
  }

  /** Between clients and a broker. */
  proxy(id: NodeId): KafkaProxy {
    return this.#node(id).clients;
  }

  broker(id: NodeId): KafkaBroker {
    return this.#node(id).broker;
  }

  /** Starts them at once: a cluster in which none runs begins only when two are there. */
  async startBrokers(ids: readonly NodeId[]): Promise<void> {
    await Promise.all(ids.map((id) => this.broker(id).start()));
  }

  async killBrokers(ids: readonly NodeId[]): Promise<void> {
    await Promise.all(ids.map((id) => this.broker(id).kill()));
  }

  /**
   * The network comes apart between this broker and the two others, both ways; clients still reach all three.
   * @returns ends it
   */
  isolate(id: NodeId): () => void {
    for (const node of this.#nodes) {
      // What goes from a broker to itself needs no network.
      const loses = (clientId: string) => (speaker(clientId) === id) !== (node.id === id);
      for (const proxy of [node.peers, node.quorum]) proxy.lose(loses);
    }
    return () => {
      for (const node of this.#nodes) {
        for (const proxy of [node.peers, node.quorum]) proxy.lose(undefined);
      }
    };
  }

  /** Resolves when each of the brokers hears of what is new, and says that all partitions have all their copies in sync. */
  async whole(): Promise<void> {
    const news = `news-${randomBytes(5).toString("hex")}`;
    const log = new KafkaEventLog({
      brokers: this.directAddresses,
      clientId: "whole",
      logger: pino({ level: "silent" }),
      limits: { callDeadlineMs: WHOLE_DEADLINE_MS, longestPauseMs: 500 },
    });
    await log.start();
    await log.createTopics([{ name: news, partitions: 1, cleanup: "delete" }]);
    await log.stop();
    for (;;) {
      const views = await Promise.all(this.directAddresses.map(partitionsAt));
      const [first] = views;
      if (first?.includes(news) && views.every((one) => one === first)) return;
      await pause(WHOLE_POLL_MS);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(({ broker }) => broker.stop()));
    for (const { proxies } of this.#nodes) for (const proxy of proxies) await proxy.stop();
  }

  #node(id: NodeId): Node {
    const found = this.#nodes.find((node) => node.id === id);
    if (!found) throw new Error(`no broker ${id}`);
    return found;
  }
}

/** Which broker it is that calls itself so: `broker-2-fetcher-0`, `raft-client-2`, `2`. */
function speaker(clientId: string): number | undefined {
  const found = /(?:^|-)(\d)(?:-|$)/.exec(clientId);
  return found ? Number(found[1]) : undefined;
}

/** @returns what this broker knows of all partitions; undefined where one lacks a copy, or it does not answer */
async function partitionsAt(address: string): Promise<string | undefined> {
  const logger = pino({ level: "silent" });
  const session = new KafkaSession(settle({ brokers: [address], clientId: "whole", logger }));
  try {
    const { brokers, topics } = await session.use([], (one) => one.ask(metadataRequest(null)));
    const partitions = topics.flatMap(({ name, partitions: of }) =>
      of.map(({ partition, leader, inSync }) => [name, partition, leader, inSync.length] as const),
    );
    if (brokers.length < NODES.length) return undefined;
    if (partitions.some(([, , , inSync]) => inSync < NODES.length)) return undefined;
    return JSON.stringify(partitions.toSorted());
  } catch {
    return undefined;
  } finally {
    session.close();
  }
}
