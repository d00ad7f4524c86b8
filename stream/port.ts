/**
 * The event log, as everybody else sees it: topics with partitions, keys, headers, and offsets that only grow.
 *
 * Two adapters stand behind it, Kafka (stream/kafka) and embedded (stream/embedded, LevelDB in one process);
 * stream/conformance.ts is the suite that both pass. What it promises:
 *  - order: records of one partition are read in the order in which they were appended;
 *  - durability: an append, a sink's acknowledgement or a processor's commit that resolved survives a crash;
 *  - a sink never sends a second batch before the first is acknowledged, and resends the very same batch until it is;
 *  - a processor commits outputs, state changes and input position together or not at all;
 *  - the log being away is no error of the caller's: sinks, processors and tails wait and go on by themselves.
 */
import type { EventType } from "../events/schema.ts";

export type RecordHeaders = Readonly<Record<string, string>>;

/** A record to append. A null value is a tombstone: on a compacted topic it deletes the key. */
export interface LogRecord {
  readonly key: string;
  readonly headers: RecordHeaders;
  readonly value: Uint8Array | null;
}

/** A record as it stands in the log. */
export interface StoredRecord {
  readonly topic: string;
  readonly partition: number;
  /** Grows within a partition, not always by one: compaction, retention and transaction marks leave holes. */
  readonly offset: number;
  /** Time of sending, ms since 1970; never the event time (brokers delete by it). */
  readonly timestamp: number;
  readonly key: string | null;
  readonly headers: RecordHeaders;
  readonly value: Uint8Array | null;
}

export const CLEANUPS = ["delete", "compact", "compact,delete"] as const;
export type Cleanup = (typeof CLEANUPS)[number];

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: Cleanup;
  /** How long a `delete` topic keeps a record, ms from its time of sending; undefined keeps it for ever. */
  readonly retentionMs?: number;
}

/** First kept and next free offset of a partition: `end - start` bounds what is in it. */
export interface PartitionRange {
  readonly topic: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

/** The next offset to read of a partition; undefined where nothing was read yet. */
export type Positions = ReadonlyMap<string, ReadonlyMap<number, number>>;

export const EVENT_LOG_ERROR_CODES = [
  /** No broker answers; trying again later may help. */
  "unreachable",
  /** The topic does not exist. */
  "unknown_topic",
  /** The broker refuses who we say we are, or what we ask. */
  "not_authorized",
  /** The broker's certificate is none that we trust, or one side speaks TLS and the other does not. */
  "tls",
  /** The embedded store is open in another process, or the directory of a rebuild in another rebuild. */
  "in_use",
  /** The embedded store cannot be read or written. */
  "storage",
  /** Called before start() or after stop(). */
  "closed",
  /** Refused as it is: too large, no such partition. */
  "invalid",
] as const;
export type EventLogErrorCode = (typeof EVENT_LOG_ERROR_CODES)[number];

/** The world's faults, told by code; bugs of our own are assertion errors. */
export class EventLogError extends Error {
  readonly code: EventLogErrorCode;
  constructor(code: EventLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EventLogError";
    this.code = code;
  }
}

/** Records that go to one partition of one topic as a whole; never changed once it was handed over. */
export interface FrozenBatch {
  readonly topic: string;
  /** All records go to the partition of this key. */
  readonly key: string;
  readonly records: readonly LogRecord[];
}

/** What feeds a sink: the buffer's side of forwarding. */
export interface SinkSource {
  /** The batch after the last acknowledged one. Waits until there is one; rejects only when aborted. */
  next(signal: AbortSignal): Promise<FrozenBatch>;
  /** The batch is durable in the log. The sink asks for the next one only after this resolved. */
  acknowledged(batch: FrozenBatch, sent: Sent): Promise<void>;
}

/** What it took. */
export interface Sent {
  /** From the begin of the try that was acknowledged to the acknowledgement, ms. */
  readonly ms: number;
  readonly tries: number;
}

export interface SinkOptions {
  /** About so many bytes go over the wire in a second, counted over a few of them; as many as it takes where undefined. */
  readonly bytesPerSecond?: number;
}

export interface SinkStatus {
  /** `waiting`: the log is away or refuses, and the same batch is tried again after a pause. */
  readonly state: "stopped" | "idle" | "sending" | "waiting";
  readonly recordsSent: number;
  readonly retries: number;
  /** What the last failed try said, until a try succeeds. */
  readonly lastError?: string;
  /** ms since 1970. */
  readonly lastAcknowledged?: number;
}

export interface Sink {
  /** Begins in the background; a log that is away does not make it fail. */
  start(): Promise<void>;
  /** Ends after the batch in flight or the deadline, whichever is first. */
  stop(deadlineMs?: number): Promise<void>;
  status(): SinkStatus;
}

/** State of one partition of a topology, as the step sees it: values as decoded from CBOR, never to be changed in place. */
export interface StateView {
  get(key: string): unknown;
  /** Entries whose key starts with the prefix, in key order. Only below what the topology lists. */
  entries(prefix: string): Iterable<readonly [key: string, value: unknown]>;
}

export type TopologyInput =
  | { readonly kind: "record"; readonly record: StoredRecord }
  /** Time passed; `time` in ms since 1970. Stands in the first input topic, so that a replay sees it again. */
  | {
      readonly kind: "tick";
      readonly partition: number;
      readonly offset: number;
      readonly time: number;
    };

/** An event that a step puts out; the runtime encodes it at commit. A null event is a tombstone. */
export interface Output {
  readonly topic: string;
  readonly key: string;
  readonly type: EventType;
  /** CloudEvents id; unique within the topology. */
  readonly id: string;
  /** Event time, ms since 1970. */
  readonly time: number;
  readonly event: unknown;
}

export interface StepResult {
  /** Keys that changed; undefined deletes. Later entries of a key win. */
  readonly state: Iterable<readonly [key: string, value: unknown]>;
  readonly outputs: readonly Output[];
}

/** What one key of the state had at the last commit and has at this one; undefined where it has nothing. */
export interface StateChange {
  readonly key: string;
  readonly was: unknown;
  readonly now: unknown;
}

/** A commit, as what is made of its changes may see it. */
export interface CommitView {
  /** What a key had at the last commit. */
  was(key: string): unknown;
  /** What a key has now. */
  now(key: string): unknown;
  /** The last input of the commit. */
  readonly last: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly timestamp: number;
  };
}

/**
 * A processor as a value. `step` is pure: no clock, no I/O, no randomness, so that the same input makes the same
 * output on every replay. It sees one partition at a time, its inputs being partitioned alike.
 */
export interface Topology {
  readonly name: string;
  /** Input topics, with the same partition count. */
  readonly inputs: readonly string[];
  /** Output topics; on a `coalesce` one only the last output for each key within a commit is written. */
  readonly outputs: readonly { readonly topic: string; readonly coalesce: boolean }[];
  /** Compacted topic with the partition count of the inputs; record partition = input partition. */
  readonly changelog: string;
  /** Prefixes of the state's keys that `entries` is asked for: these keys are kept in memory, the others are not. */
  readonly listed?: readonly string[];
  /** Ask for ticks at least this often, ms; none where undefined. */
  readonly tickMs?: number;
  step(state: StateView, input: TopologyInput): StepResult;
  /**
   * Outputs that are a view of the state: asked once a commit for each key that has changed, however many steps changed
   * it. What is emitted is what a processor costs, so this is how a coalesced topic is filled. Pure like `step`.
   */
  show?(change: StateChange, commit: CommitView): readonly Output[];
}

export interface ProcessorPartition {
  readonly topic: string;
  readonly partition: number;
  /** Next offset to process. */
  readonly position: number;
  /** Next free offset of the log, as last seen. */
  readonly end: number;
  /** When what stands at the position was sent, ms since 1970; only where that was looked at already. */
  readonly since?: number;
}

export interface ProcessorStatus {
  readonly state: "stopped" | "starting" | "running" | "waiting" | "failed";
  readonly partitions: readonly ProcessorPartition[];
  readonly recordsProcessed: number;
  readonly commits: number;
  /** Spent on all commits so far, from their begin until they were durable, ms. */
  readonly commitMs: number;
  /** Partitions whose state is not here yet. */
  readonly restoring: number;
  /** Records of the changelog that were read so far to bring state here. */
  readonly restored: number;
  readonly lastError?: string;
}

export interface Processor {
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): ProcessorStatus;
  /** Resolves once everything that stood in the inputs at the time of the call is processed and committed. */
  caughtUp(signal?: AbortSignal): Promise<void>;
}

export interface TailOptions {
  /** Where to begin: a partition without a position begins at `from`. */
  readonly positions?: Positions;
  readonly from: "start" | "end";
  /** Called with records in order, one call at a time; what it throws stops the tail. Never sees uncommitted records. */
  onRecords(records: readonly StoredRecord[]): Promise<void> | void;
}

export interface TailStatus {
  /** `waiting`: the log does not answer, and is asked again by itself; what was handed over is not what stands there now. */
  readonly state: "following" | "waiting";
  /** When it answered last, or was first asked; only while it waits. ms since 1970. */
  readonly since?: number;
  /** What the last failed try said, if one has failed yet: a log that hangs says nothing. */
  readonly lastError?: string;
}

export interface Tail {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves once everything that stood in the topics at the time of the call was handed to `onRecords`. */
  caughtUp(signal?: AbortSignal): Promise<void>;
  status(): TailStatus;
}

/** One partition's state, read by key; values as decoded from CBOR. */
export interface StateReader {
  get(key: string): unknown;
  /** Below a prefix that the plan lists, in key order. */
  entries(prefix: string): readonly (readonly [key: string, value: unknown])[];
}

/** The live state of a partition and the one that was made anew beside it, at the same position of the input. */
export interface RebuildStates {
  readonly partition: number;
  readonly live: StateReader;
  readonly made: StateReader;
  /** The replay began with the first record that the log ever had. */
  readonly whole: boolean;
  /** When the first replayed input was sent, ms since 1970; undefined where there was none. */
  readonly from: number | undefined;
  /** When the last one was sent. */
  readonly until: number | undefined;
}

/** What is to hold from the switch on. Pure. */
export interface Exchange {
  /** What the key has from now on; asked for keys in which the two states differ, and for those that they bring with them. */
  now(key: string): unknown;
  /** Keys that are asked for in any case. */
  readonly always?: readonly string[];
  /** Whether the key surely keeps what it has, where the made state has nothing: asked before a value is looked at. */
  stays?(key: string): boolean;
  /** Other keys that may change where this one differs. */
  also?(key: string): readonly string[];
  /** What a changed key puts out; nothing else of the replay is. */
  show(change: StateChange, commit: CommitView): readonly Output[];
  /** What an entry below the plan's `outbox` puts out. */
  publish?(key: string, value: unknown): readonly Output[];
}

/** A topology's state made anew from history, and how it takes the place of the live one. */
export interface RebuildPlan {
  /** Steps over the live topology's one input, into a state of its own that begins empty. What it puts out goes nowhere. */
  readonly replay: Topology;
  /** Prefixes that `entries` is asked for: few keys, they are kept in memory. */
  readonly listed: readonly string[];
  /** Keys of the replay's state that are no state, but what it has to say at the switch. */
  readonly outbox?: string;
  exchange(states: RebuildStates): Exchange;
}

export interface RebuildProgress {
  readonly phase: "replay" | "switch";
  /** Inputs replayed, and about how many there are. */
  readonly records: number;
  readonly total: number;
  readonly partitions: number;
  /** Of them switched. */
  readonly switched: number;
}

export interface RebuildOptions {
  /** Replay what was sent from then on, ms since 1970; everything that is kept without it. */
  readonly from?: number;
  /** Switch nothing. */
  readonly dryRun: boolean;
  /** For the states beside the live ones, of this alone; removed at the end, and first what a crash left there. */
  readonly directory: string;
  /** The rebuild ends with an error before less than this is free on that disk, bytes. */
  readonly minFreeBytes: number;
  readonly signal: AbortSignal;
  onProgress(progress: RebuildProgress): void;
}

export interface PartitionRebuild {
  readonly partition: number;
  readonly records: number;
  /** The first input replayed; undefined where there was none. */
  readonly first?: { readonly offset: number; readonly timestamp: number };
  /** Keys of the state that changed. */
  readonly changed: number;
  /** Records put out, by topic. */
  readonly outputs: Readonly<Record<string, number>>;
  /** How long nobody processed the partition, ms. */
  readonly heldMs: number;
}

export interface EventLog {
  readonly kind: "kafka" | "embedded";
  /** Opens the store; a Kafka that is away is no error here. @throws EventLogError `in_use`, `storage` */
  start(): Promise<void>;
  /** Stops what was made from it first, then closes. Idempotent. */
  stop(): Promise<void>;
  /** Creates those that do not exist and leaves the others as they are. @throws EventLogError */
  createTopics(specs: readonly TopicSpec[]): Promise<void>;
  /** @throws EventLogError `unknown_topic`, `unreachable` */
  ranges(topic: string): Promise<readonly PartitionRange[]>;
  /** Appends to the partition of each record's key, in order, durably; on a retry a record may stand twice. */
  append(topic: string, records: readonly LogRecord[]): Promise<void>;
  sink(source: SinkSource, options?: SinkOptions): Sink;
  process(topology: Topology): Processor;
  /**
   * Records of the topology's inputs that no commit of it covers yet, whoever runs it, and also where nobody does. A commit
   * of just now may not be counted for a moment.
   * @throws EventLogError `unknown_topic`, `unreachable`
   */
  behind(topology: Pick<Topology, "name" | "inputs" | "changelog">): Promise<number>;
  /**
   * Makes the state of a topology anew from its input, beside the live one, and switches over, partition by partition: in one
   * commit outputs and state become what the plan's exchange says, at the position of the live one. Whoever processes the
   * topology goes on until the switch of a partition, waits for it, and goes on from there. A partition is switched as a whole
   * or not at all, also where the rebuild or the log dies in the middle of it. Topologies with one input only.
   * @throws EventLogError `invalid`, `unknown_topic`, `in_use` where another rebuild has the directory, `storage`
   */
  rebuild(
    topology: Topology,
    plan: RebuildPlan,
    options: RebuildOptions,
  ): Promise<readonly PartitionRebuild[]>;
  tail(topics: readonly string[], options: TailOptions): Tail;
  /** Records from `from` (default the start) up to the end as it is now, partition by partition. */
  read(topic: string, from?: ReadonlyMap<number, number>): AsyncIterable<StoredRecord>;
  /** The newest record of each key; keys whose newest record is a tombstone are left out. */
  latest(topic: string): Promise<ReadonlyMap<string, StoredRecord>>;
}
