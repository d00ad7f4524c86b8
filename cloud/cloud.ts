/**
 * The cloud: the topologies over the event log, and the read model that is filled from what they make.
 *
 * start() does not need the log to answer: until it does, the topics wait to be created, the processors to begin, and
 * the read model shows what it had. Only what will not change by waiting is an error. The log itself belongs to whoever
 * made it, and is started before and stopped after.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Rule } from "../rules/rule.ts";
import {
  type EventLog,
  EventLogError,
  type Processor,
  type ProcessorStatus,
} from "../stream/port.ts";
import type { TopicSettings } from "../stream/topic-specs.ts";
import { isWaitedFor, retryPauseMs } from "../stream/waiting.core.ts";
import type { CloudSettings } from "./config.ts";
import { LevelStore } from "./read-model/level-store.ts";
import { type ReadModelLogger, StoredReadModel } from "./read-model/stored-read-model.ts";
import { cloudTopicSpecs, cloudTopologies } from "./topics.ts";

export interface CloudOptions {
  readonly log: EventLog;
  readonly namespace: string;
  readonly rules: readonly Rule[];
  readonly settings: CloudSettings;
  readonly topics: TopicSettings;
  readonly logger: ReadModelLogger;
  /** Of the read model alone; without it there is none. */
  readonly readModelDirectory?: string;
}

export interface TopologyStatus {
  readonly name: string;
  readonly state: ProcessorStatus["state"];
  /** Records that stand in the inputs and are not processed, as last seen. */
  readonly lag: number;
  /** How long ago the oldest of them was sent, s; 0 where nothing waits. */
  readonly lagSeconds: number;
  readonly recordsProcessed: number;
  readonly commits: number;
  /** Spent on all of them, s. */
  readonly commitSeconds: number;
  /** Partitions whose state is being brought here, and the records that were read for that so far. */
  readonly restoring: number;
  readonly restored: number;
  readonly lastError?: string;
}

export interface CloudStatus {
  /** `waiting`: the log does not answer yet. */
  readonly state: "stopped" | "waiting" | "running";
  /** Why it waits. */
  readonly lastError?: string;
  readonly topologies: readonly TopologyStatus[];
}

export class Cloud {
  readonly #options: CloudOptions;
  readonly #readModel: StoredReadModel | undefined;
  #processors: readonly (readonly [name: string, processor: Processor])[] = [];
  #running: AbortController | undefined;
  #begun: Promise<void> | undefined;
  #waitsFor: EventLogError | undefined;

  constructor(options: CloudOptions) {
    this.#options = options;
    const { log, namespace, settings, logger, readModelDirectory: directory } = options;
    if (directory === undefined) return;
    const onDiscarded = (reason: string) =>
      logger.warn({ reason, directory }, "the read model was damaged and is filled again");
    this.#readModel = new StoredReadModel({
      store: new LevelStore({ directory, onDiscarded }),
      namespace,
      settings: settings.read_model,
      log,
      logger,
    });
  }

  /** Undefined where no directory was given for it. */
  get readModel(): StoredReadModel | undefined {
    return this.#readModel;
  }

  /** @throws ReadModelError, EventLogError: what waiting does not change */
  async start(): Promise<void> {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    try {
      const answered = await this.#tryToBegin();
      await this.#readModel?.start();
      this.#begun = answered ? Promise.resolve() : this.#keepTrying(running.signal);
      // Whoever waits for caughtUp() is told; stop() ends it.
      this.#begun.catch(() => {});
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.abort(new EventLogError("closed", "the cloud is stopped"));
    await this.#begun?.catch(() => {});
    this.#begun = undefined;
    for (const [, processor] of this.#processors) await processor.stop();
    this.#processors = [];
    await this.#readModel?.stop();
  }

  status(): CloudStatus {
    const state = !this.#running ? "stopped" : this.#processors.length > 0 ? "running" : "waiting";
    const lastError = state === "waiting" ? this.#waitsFor?.message : undefined;
    return {
      state,
      ...(lastError === undefined ? {} : { lastError }),
      topologies: this.#processors.map(([name, one]) => told(name, one.status(), Date.now())),
    };
  }

  /** Resolves once all that stood in the events topic at the time of the call can be read in the read model. */
  async caughtUp(signal?: AbortSignal): Promise<void> {
    if (!this.#begun) throw new EventLogError("closed", "the cloud is not started");
    await this.#begun;
    await Promise.all(this.#processors.map(([, processor]) => processor.caughtUp(signal)));
    await this.#readModel?.caughtUp(signal);
  }

  /** @returns false where the log does not answer, or does not let us in yet */
  async #tryToBegin(): Promise<boolean> {
    const { log, namespace, settings, topics, rules } = this.#options;
    try {
      await log.createTopics(cloudTopicSpecs(namespace, topics, settings));
    } catch (error) {
      if (!isWaitedFor(error)) throw error;
      this.#waitsFor = error;
      return false;
    }
    this.#waitsFor = undefined;
    if (!this.#running) return false;
    this.#processors = cloudTopologies(namespace, settings, rules).map(
      (topology) => [topology.name, log.process(topology)] as const,
    );
    for (const [, processor] of this.#processors) await processor.start();
    return true;
  }

  async #keepTrying(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    let told: string | undefined;
    for (let attempt = 0; ; attempt++) {
      const { code, message } = this.#waitsFor ?? {};
      if (code !== told) {
        logger.info({ code, reason: message }, "the processors begin when the event log lets them");
      }
      told = code;
      await delay(retryPauseMs(code, attempt), undefined, { signal });
      if (await this.#tryToBegin()) break;
    }
    logger.info({}, "the event log answers; the processors run");
  }
}

function told(name: string, status: ProcessorStatus, now: number): TopologyStatus {
  const { state, partitions, recordsProcessed, commits, restoring, restored, lastError } = status;
  const since = partitions.reduce((least, one) => Math.min(least, one.since ?? least), now);
  return {
    name,
    state,
    lag: partitions.reduce((sum, { position, end }) => sum + Math.max(0, end - position), 0),
    lagSeconds: (now - since) / 1000,
    recordsProcessed,
    commits,
    commitSeconds: status.commitMs / 1000,
    restoring,
    restored,
    ...(lastError === undefined ? {} : { lastError }),
  };
}
