/**
 * The site: the embedded log with its own code, and the processors over it, in one process on a disk that outlives it. It can
 * lose its power, its disk can refuse writes, the process can be killed, the processors can be moved to another one, and it can
 * be away from all gateways.
 */
import { Cloud } from "../../cloud/cloud.ts";
import type { CloudSettings } from "../../cloud/config.ts";
import { parseEventId } from "../../events/ids.ts";
import { topicNames } from "../../events/topics.ts";
import type { Rule } from "../../rules/rule.ts";
import { EmbeddedEventLog } from "../../stream/embedded/embedded-event-log.ts";
import type { EventLog, FrozenBatch, LogRecord, StoredRecord } from "../../stream/port.ts";
import type { TopicSettings } from "../../stream/topic-specs.ts";
import type { SiteSpec } from "../scenario/scenario.ts";
import type { Chance } from "./chance.ts";
import type { RunRecord } from "./record.ts";
import type { SiteDoor } from "./remote-log.ts";
import { SiteDisk } from "./site-disk.ts";
import { TopicHistory } from "./topic-history.ts";
import type { Scope, VirtualTime } from "./virtual-time.ts";

export interface SiteOptions {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly record: RunRecord;
  /** True time at the beginning of the run, ms since 1970. */
  readonly start: number;
  readonly namespace: string;
  readonly rules: readonly Rule[];
  readonly settings: CloudSettings;
  readonly topics: TopicSettings;
  /** See SiteSpec. */
  readonly duplicates: "once" | "twice";
  readonly limits: SiteSpec["limits"];
}

interface Request {
  readonly batch: FrozenBatch;
  readonly done: () => void;
}

/** Feeds a sink of the log from what comes over the network: that one drops what stands in the log already. */
class Inbox {
  readonly #requests: Request[] = [];
  /** Handed to the sink, which has it until it is acknowledged. */
  #sending: Request | undefined;
  #wake: (() => void) | undefined;

  put(request: Request): void {
    this.#requests.push(request);
    this.#wake?.();
  }

  async next(): Promise<FrozenBatch> {
    for (;;) {
      this.#sending = this.#requests.shift();
      if (this.#sending) return this.#sending.batch;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async acknowledged(): Promise<void> {
    this.#sending?.done();
    this.#sending = undefined;
  }
}

interface Running {
  readonly scope: Scope;
  readonly log: EmbeddedEventLog;
  cloud: Cloud;
  readonly inboxes: Map<string, Inbox>;
  /** Broker's memory of producers, as Kafka has it: the number of each one's last batch. */
  readonly producers: Map<string, { number: number; waiting: Promise<void> }>;
}

export class Site implements SiteDoor {
  readonly #options: SiteOptions;
  readonly #disk: SiteDisk;
  readonly #statuses: TopicHistory;
  /** What Kafka keeps with the data: the last batch of each producer. */
  readonly #lastNumbers = new Map<string, number>();
  /** Of each gateway's batches the one that was sent last, by journal: a copied card has two. */
  readonly #newest = new Map<string, { place: number; epoch: string | undefined }>();
  #running: Running | undefined;
  /** Of the process that starts or runs: it ends with the power. */
  #process: Scope | undefined;
  /** One after another. */
  #moves: Promise<void> = Promise.resolve();
  #boots = 0;
  /** Nobody reaches it. */
  isAway = false;

  constructor(options: SiteOptions) {
    this.#options = options;
    this.#statuses = new TopicHistory(topicNames(options.namespace).status);
    this.#disk = new SiteDisk(options.chance, options.record, this.#statuses);
  }

  get disk(): SiteDisk {
    return this.#disk;
  }

  /** The log as it runs now. */
  get log(): EventLog {
    if (!this.#running) throw new Error("the site has no power");
    return this.#running.log;
  }

  get cloud(): Cloud | undefined {
    return this.#running?.cloud;
  }

  async boot(): Promise<void> {
    const { time, chance, record, start } = this.#options;
    const scope = time.scope();
    this.#process = scope;
    this.#boots += 1;
    const boot = this.#boots;
    const log = new EmbeddedEventLog({
      directory: "site",
      ...this.#options.limits,
      open: () => this.#disk.open(scope),
      timers: scope,
      now: () => start + Math.floor(time.now),
      moment: () => time.now,
      random: () => chance.uniform(),
      logger: record.logger("log"),
    });
    await this.#untilItWorks(scope, () => log.start());
    const running: Running = {
      ...{ scope, log, cloud: this.#newCloud(log), inboxes: new Map(), producers: new Map() },
    };
    await this.#untilItWorks(scope, () => running.cloud.start());
    if (boot !== this.#boots) return;
    this.#running = running;
    record.note("site", "up");
  }

  powerCut(): void {
    this.#end();
    this.#disk.powerGone();
  }

  /** Log and processors are one process: nothing of it gets to run any more, on a machine that stays up. */
  kill(): void {
    this.#end();
    this.#disk.processGone();
  }

  #end(): void {
    this.#boots += 1;
    this.#moves = Promise.resolve();
    this.#process?.end();
    this.#process = undefined;
    this.#running = undefined;
  }

  /** Stopped in order, they go on as others, which have nothing but what was committed. */
  moveProcessors(): void {
    this.#moves = this.#moves.then(() => this.#move());
  }

  async #move(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const { cloud, log, scope } = running;
    this.#options.record.strike("processors moved");
    await cloud.stop();
    running.cloud = this.#newCloud(log);
    await this.#untilItWorks(scope, () => running.cloud.start());
  }

  produce(producer: string, number: number, batch: FrozenBatch, done: () => void): void {
    const running = this.#reached();
    if (!running || this.#isLate(producer, number, batch)) return;
    if (this.#options.duplicates === "once") {
      const inbox = running.inboxes.get(batch.key) ?? this.#openInbox(running, batch.key);
      inbox.put({ batch, done });
      return;
    }
    const known = running.producers.get(producer) ?? { number: 0, waiting: Promise.resolve() };
    running.producers.set(producer, known);
    known.waiting = known.waiting.then(async () => {
      if ((this.#lastNumbers.get(producer) ?? 0) >= number) {
        done();
        return;
      }
      await running.log.append(batch.topic, batch.records);
      this.#lastNumbers.set(producer, number);
      done();
    }, swallowed);
    known.waiting.catch(swallowed);
  }

  /**
   * A batch of an epoch that its gateway has left since: no copy of a message is on its way for so long that its sender could
   * have been salvaged meanwhile, and nobody waits for an answer.
   */
  #isLate(producer: string, number: number, { key, records }: FrozenBatch): boolean {
    const epoch = parseEventId(records[0]?.headers.ce_id ?? "")?.epoch;
    const [, name, turn = "0"] = /^(.*) (\d+)$/.exec(producer) ?? [];
    const place = Number(turn) * 1e9 + number;
    const journal = `${name} ${key}`;
    const newest = this.#newest.get(journal);
    if (newest && newest.place > place) return newest.epoch !== epoch;
    this.#newest.set(journal, { place, epoch });
    return false;
  }

  append(topic: string, records: readonly LogRecord[], done: () => void): void {
    const running = this.#reached();
    if (!running) return;
    // A status that the log does not take has no answer.
    void running.log.append(topic, records).then(done, swallowed);
  }

  async read(topic: string): Promise<readonly StoredRecord[]> {
    const records: StoredRecord[] = [];
    for await (const record of this.log.read(topic)) records.push(record);
    return records;
  }

  /** All that ever stood in the status topic, which keeps the newest of each gateway. */
  statuses(): readonly StoredRecord[] {
    return this.#statuses.records();
  }

  #reached(): Running | undefined {
    if (!this.isAway && this.#running) return this.#running;
    this.#options.record.strike(this.isAway ? "log away" : "site without power");
    return undefined;
  }

  #openInbox(running: Running, key: string): Inbox {
    const inbox = new Inbox();
    running.inboxes.set(key, inbox);
    void running.log.sink(inbox).start();
    return inbox;
  }

  #newCloud(log: EventLog): Cloud {
    const { namespace, rules, settings, topics, record } = this.#options;
    const logger = record.logger("cloud");
    return new Cloud({ log, namespace, rules, settings, topics, logger });
  }

  /** As a service manager does. */
  async #untilItWorks(scope: Scope, begin: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await begin();
        return;
      } catch (error) {
        this.#options.record.note("site", `does not start: ${(error as Error).message}`);
        await new Promise<void>((resolve) => scope.setTimeout(resolve, 1000));
      }
    }
  }
}

function swallowed(): void {}
