/** Settings of the Kafka adapter, with the reasons for their defaults. */
import type { Logger } from "pino";
import type { CredentialsSource } from "./credentials.ts";
import { Outages } from "./outages.ts";

export interface KafkaLogOptions {
  /** `host:port` of one broker or more; the others are found through them. */
  readonly brokers: readonly string[];
  /** Names this program in the broker's logs, metrics and quotas. */
  readonly clientId: string;
  readonly logger: Logger;
  /** Default: neither SASL nor TLS. */
  readonly credentials?: CredentialsSource;
  /** Whether topics that are missing are made here; default true. */
  readonly createTopics?: boolean;
  /** Replicas of a topic made here; -1, the default, leaves it to the broker. */
  readonly replicationFactor?: number;
  /** `min.insync.replicas` of a topic made here; -1, the default, leaves it to the broker. */
  readonly minInsyncReplicas?: number;
  /** Where processors keep a copy of their state; in memory without it, and read from the start of the changelog. */
  readonly stateDirectory?: string;
  readonly limits?: Partial<KafkaLimits>;
  /** Ends the line that says that Kafka is away: what becomes of things meanwhile. */
  readonly meanwhile?: string;
  readonly now?: () => number;
  /** ms on a clock that nobody sets, by which durations go; default `now` where it is given, else the process's. */
  readonly moment?: () => number;
  /** In [0, 1), for the spread of pauses. */
  readonly random?: () => number;
}

export interface KafkaLimits {
  /** To open a connection, ms. Long links answer within 5 s or not at all. */
  readonly connectionTimeoutMs: number;
  /** For the answer to a request, ms: a broker that says nothing for so long is taken for gone. */
  readonly requestTimeoutMs: number;
  /**
   * How long what is known of leaders and coordinators is believed without asking, ms. A broker that has lost the others leads
   * on, as far as it knows, and answers who reads from it with nothing new.
   */
  readonly metadataMaxAgeMs: number;
  /** How long a call of the port (append, ranges, …) tries before it says `unreachable`, ms. */
  readonly callDeadlineMs: number;
  /** How long a call takes an unknown topic for one that is just being made, ms. */
  readonly unknownTopicMs: number;
  /** First pause after a failed try, ms: a broker that restarts a connection is there again by then. */
  readonly firstPauseMs: number;
  /** Longest pause, ms: how late a broker that came back may be noticed. */
  readonly longestPauseMs: number;
  /**
   * Longest pause where we are refused, ms. Only a person can mend that, and a fleet that knocks every second fills the
   * brokers' logs and may lock its account.
   */
  readonly refusedPauseMs: number;
  /** How long a broker holds a fetch while there is nothing new, ms; what comes meanwhile is sent at once. */
  readonly fetchWaitMs: number;
  /** Most bytes of one fetch, and of one partition in it: memory of a reader. */
  readonly fetchBytes: number;
  readonly fetchPartitionBytes: number;
  /** Batches from this size on are compressed with zstd, bytes: below it the frame eats the gain. */
  readonly compressFromBytes: number;
  /** A processor commits what there is; where more comes all the time, it gathers so long, ms … */
  readonly commitIntervalMs: number;
  /** … or so many records, or changed keys and outputs: memory, and the size of a transaction … */
  readonly commitRecords: number;
  readonly commitChanges: number;
  /** … and fetches no more for a partition that has so much read ahead, bytes on the wire. */
  readonly readAheadBytes: number;
  /** State that a processor keeps decoded, all its partitions together, bytes: what is used again and again. */
  readonly stateCacheBytes: number;
  /**
   * A copy of the state that was not written for so long is not gone on from, ms: the changelog may have forgotten
   * deletions that it never saw (delete.retention.ms, a day by default).
   */
  readonly stateCopyMs: number;
  /** A member that is silent for so long has left the group, ms. Brokers accept 6 s to 30 min by default. */
  readonly sessionTimeoutMs: number;
  /** How long the group waits for a member to finish its commits and join again, ms. */
  readonly rebalanceTimeoutMs: number;
  /** A transaction whose owner died is aborted after this, ms; until then it holds up readers behind it. */
  readonly transactionTimeoutMs: number;
  /**
   * A rebuild holds the partition that it switches for so long at most, ms, and longer where the state is large. One that is
   * killed there holds the partition up for this time.
   */
  readonly rebuildHoldMs: number;
}

export const KAFKA_LIMITS: KafkaLimits = {
  connectionTimeoutMs: 5000,
  requestTimeoutMs: 15_000,
  metadataMaxAgeMs: 300_000,
  callDeadlineMs: 10_000,
  unknownTopicMs: 1000,
  firstPauseMs: 50,
  longestPauseMs: 5000,
  refusedPauseMs: 15_000,
  fetchWaitMs: 500,
  fetchBytes: 8 * 1024 * 1024,
  fetchPartitionBytes: 512 * 1024,
  compressFromBytes: 256,
  commitIntervalMs: 3000,
  commitRecords: 300_000,
  commitChanges: 15_000,
  readAheadBytes: 512 * 1024,
  stateCacheBytes: 44 * 1024 * 1024,
  stateCopyMs: 12 * 3_600_000,
  sessionTimeoutMs: 6000,
  rebalanceTimeoutMs: 30_000,
  transactionTimeoutMs: 30_000,
  rebuildHoldMs: 30_000,
};

/** Everything settled, as the parts of the adapter get it. */
export interface KafkaSettings
  extends Required<Omit<KafkaLogOptions, "limits" | "stateDirectory">> {
  readonly limits: KafkaLimits;
  /** Of everybody who works with these settings. */
  readonly outages: Outages;
}

export function settle(options: KafkaLogOptions): KafkaSettings {
  const limits = { ...KAFKA_LIMITS, ...options.limits };
  const { connectionTimeoutMs, requestTimeoutMs, longestPauseMs, refusedPauseMs } = limits;
  const { brokers, logger, now = Date.now } = options;
  const { meanwhile = "what needs it goes on by itself when it answers" } = options;
  // How long something lasts must not go by a clock that somebody may set.
  const moment = options.moment ?? options.now ?? (() => performance.now());
  const longest = Math.max(longestPauseMs, refusedPauseMs);
  const forgetMs = connectionTimeoutMs + requestTimeoutMs + longest;
  return {
    credentials: () => ({}),
    createTopics: true,
    replicationFactor: -1,
    minInsyncReplicas: -1,
    random: Math.random,
    ...options,
    now,
    moment,
    limits,
    meanwhile,
    outages: new Outages({ brokers, logger, moment, meanwhile, forgetMs }),
  };
}
