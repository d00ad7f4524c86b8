/**
 * What there is to see of a Kafka before it is relied on: which brokers answer, what they are and know, what is set on
 * topics, what we may. It only asks; nothing is created, joined, written or committed. `tidegate doctor` judges it.
 *
 * What cannot be found out is told as such: a broker that does not answer, and settings that we may not see, are findings.
 */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import {
  API_KEYS,
  type ApiName,
  type ClusterMetadata,
  groupProbe,
  metadataRequest,
  quorumTimeRequest,
  type TopicConfigs,
  topicConfigsRequest,
  transactionProbe,
} from "./admin-requests.ts";
import { checkHost } from "./connection-fault.ts";
import type { KafkaTls } from "./credentials.ts";
import { faultOf } from "./faults.ts";
import { clientVersions } from "./kafkajs-internals.ts";
import { type KafkaLogOptions, type KafkaSettings, settle } from "./options.ts";
import { type Connection, KafkaSession } from "./session.ts";

/** Settings of topics that matter to what we promise. */
export const TOPIC_CONFIGS = [
  "cleanup.policy",
  "retention.ms",
  "retention.bytes",
  "message.timestamp.type",
  "min.insync.replicas",
  "max.message.bytes",
] as const;

/** Requests whose version is ours, not kafkajs's. */
const OWN_VERSIONS: Partial<Record<ApiName, readonly number[]>> = {
  produce: [7],
  fetch: [11],
  metadata: [8],
};

/** How long a broker may take to shake hands, ms. */
const HANDSHAKE_MS = 5000;
/** Kafka's errors of rights: topic, group, cluster, transactional id. */
const NOT_ALLOWED: ReadonlySet<number> = new Set([29, 30, 31, 53]);

export interface BrokerFound {
  readonly address: string;
  /** Told to clients by the cluster, and not by the settings. */
  readonly advertised: boolean;
  /** Why it cannot be used. */
  readonly error?: string;
  /** From nothing to an answer, ms. */
  readonly ms?: number;
  readonly tls?: { readonly protocol: string; readonly validTo: number };
}

export interface Inspection {
  readonly brokers: readonly BrokerFound[];
  readonly cluster?: ClusterMetadata;
  /** Requests that this cluster does not take in any version that we have. */
  readonly unknownRequests: readonly ApiName[];
  readonly configs: ReadonlyMap<string, TopicConfigs>;
  /** How far the cluster's clock is before ours, ms, and what the measurement may be off by; undefined where it is not told. */
  readonly clock?: { readonly aheadMs: number; readonly withinMs: number };
  /** Whether we may read as these groups, and write under these transactional ids. */
  readonly groups: ReadonlyMap<string, boolean>;
  readonly transactionalIds: ReadonlyMap<string, boolean>;
}

export interface Questions {
  readonly topics: readonly string[];
  readonly requests: readonly ApiName[];
  readonly groups: readonly string[];
  readonly transactionalIds: readonly string[];
}

export async function inspectKafka(
  options: KafkaLogOptions,
  questions: Questions,
): Promise<Inspection> {
  const settings = settle(options);
  const brokers = await Promise.all(settings.brokers.map((one) => visit(settings, one, false)));
  const first = brokers.findIndex(({ error }) => error === undefined);
  const nothing = { unknownRequests: [], configs: new Map(), groups: new Map() };
  if (first < 0) return { brokers, ...nothing, transactionalIds: new Map() };
  const session = new KafkaSession({ ...settings, brokers: [settings.brokers[first] ?? ""] });
  try {
    return await session.use([], async (connection) => {
      const cluster = await connection.ask(metadataRequest(questions.topics));
      const others = cluster.brokers
        .map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`)
        .filter((address) => !settings.brokers.includes(address));
      const further = await Promise.all(others.map((one) => visit(settings, one, true)));
      const clock = await clockOf(connection, settings);
      return {
        brokers: [...brokers, ...further],
        cluster,
        unknownRequests: await unknownRequests(connection, questions.requests),
        configs: await configsOf(connection, cluster),
        ...(clock ? { clock } : {}),
        groups: await probe(connection, questions.groups, groupProbe),
        transactionalIds: await probe(connection, questions.transactionalIds, transactionProbe),
      };
    });
  } finally {
    session.close();
  }
}

/** One broker by itself, as a client that was told only of it. */
async function visit(
  settings: KafkaSettings,
  address: string,
  advertised: boolean,
): Promise<BrokerFound> {
  const session = new KafkaSession({ ...settings, brokers: [address] });
  const begun = performance.now();
  try {
    await session.use([], (connection) => connection.ask(metadataRequest([])));
    const ms = Math.round(performance.now() - begun);
    const { tls } = settings.credentials();
    const seen = tls ? await handshake(address, tls) : undefined;
    return { address, advertised, ms, ...(seen ? { tls: seen } : {}) };
  } catch (error) {
    return { address, advertised, error: faultOf(error).message };
  } finally {
    session.close();
  }
}

/** The broker's certificate, for when it ends. It was let in a moment ago, so what fails here is of no matter. */
async function handshake(address: string, tls: KafkaTls): Promise<BrokerFound["tls"]> {
  const { hostname, port } = new URL(`kafka://${address}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  const { promise, resolve } = Promise.withResolvers<BrokerFound["tls"]>();
  const servername = isIP(host) ? {} : { servername: host };
  const options = { host, port: Number(port), ...servername, ...tls };
  const socket: TLSSocket = connect({ ...options, checkServerIdentity: checkHost }, () => {
    const validTo = Date.parse(socket.getPeerCertificate().valid_to);
    resolve({ protocol: socket.getProtocol() ?? "TLS", validTo });
  });
  socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
  socket.on("error", () => {});
  socket.on("close", () => resolve(undefined));
  const seen = await promise;
  socket.destroy();
  return seen;
}

async function unknownRequests(
  connection: Connection,
  names: readonly ApiName[],
): Promise<ApiName[]> {
  const { versions } = await connection.anyBroker();
  return names.filter((name) => {
    const has = versions?.[API_KEYS[name]];
    const ours = OWN_VERSIONS[name] ?? clientVersions(API_KEYS[name]);
    return !has || !ours.some((one) => one >= has.minVersion && one <= has.maxVersion);
  });
}

async function configsOf(
  connection: Connection,
  cluster: ClusterMetadata,
): Promise<ReadonlyMap<string, TopicConfigs>> {
  const there = cluster.topics.filter(({ errorCode }) => errorCode === 0).map(({ name }) => name);
  if (there.length === 0) return new Map();
  const found = await connection.ask(topicConfigsRequest(there, TOPIC_CONFIGS));
  return new Map(found.map((one) => [one.topic, one]));
}

async function clockOf(
  connection: Connection,
  { now }: KafkaSettings,
): Promise<Inspection["clock"]> {
  const { versions } = await connection.anyBroker();
  const { minVersion = 1, maxVersion = -1 } = versions?.[API_KEYS.describeQuorum] ?? {};
  if (minVersion > 1 || maxVersion < 1) return undefined;
  try {
    const asked = now();
    const { time } = await connection.ask(quorumTimeRequest());
    const answered = now();
    if (time === undefined) return undefined;
    const withinMs = Math.ceil((answered - asked) / 2) + 1;
    return { aheadMs: Math.round(time - (asked + answered) / 2), withinMs };
  } catch (error) {
    // Answers of others than Apache Kafka may be other; that is no fault of theirs.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

async function probe(
  connection: Connection,
  ids: readonly string[],
  request: typeof groupProbe,
): Promise<ReadonlyMap<string, boolean>> {
  const found = new Map<string, boolean>();
  for (const id of ids) found.set(id, !NOT_ALLOWED.has(await connection.ask(request(id))));
  return found;
}
