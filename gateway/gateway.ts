/**
 * The gateway as a whole: broker → intake → buffer → forwarder → event log, and what it says of itself.
 *
 * Without an event log it buffers and says so; with one that is away it does the same. Nothing on the way of a reading
 * up to its acknowledgement waits for the log.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { type GatewayId, makeEpoch } from "../events/ids.ts";
import type { GatewayStatus } from "../events/schema.ts";
import { topicNames } from "../events/topics.ts";
import { type EventLog, EventLogError, type SinkStatus, type TopicSpec } from "../stream/port.ts";
import { retryPauseMs } from "../stream/waiting.core.ts";
import { pause, systemTimers } from "../time/timers.ts";
import { readBoards, settleHardware } from "./boards.ts";
import { LevelBuffer } from "./buffer/leveldb.ts";
import { BufferError, type BufferStats, type DurableBuffer } from "./buffer/port.ts";
import { type Clock, systemClock, timeServiceMark } from "./clock.ts";
import { knownFile } from "./clock-file.ts";
import { ClockWatch } from "./clock-watch.ts";
import type { GatewaySettings } from "./config.ts";
import { Forwarder } from "./forwarder/forwarder.ts";
import { loadIdentity, saveIdentity } from "./identity.ts";
import { Broker, type BrokerStats } from "./mqtt/broker.ts";
import { Intake, type IntakeStats } from "./mqtt/intake.ts";
import { DiskFiles } from "./payloads/disk-files.ts";
import { LinkShare } from "./payloads/link-share.ts";
import { openObjectStore } from "./payloads/open-store.ts";
import { type PayloadStats, Payloads } from "./payloads/payloads.ts";
import { payloadFloor } from "./payloads/settings.ts";
import { Reporter } from "./reporter.ts";
import { type Room, RoomWatch } from "./room-watch.ts";

export interface GatewayOptions {
  readonly settings: GatewaySettings;
  readonly dataDir: string;
  readonly namespace: string;
  readonly version: string;
  readonly logger: Logger;
  /** Where events go; undefined buffers only. Started and stopped by whoever made it. */
  readonly log?: EventLog;
  /** The topics that a gateway writes, created once the log answers. */
  readonly topics?: readonly TopicSpec[];
  readonly clock?: Clock;
}

export interface GatewayReport {
  readonly gateway: GatewayId;
  readonly buffer: BufferStats;
  readonly room: Room;
  readonly broker: BrokerStats;
  readonly intake: IntakeStats;
  readonly payloads: PayloadStats;
  /** Undefined where the gateway has no log to forward to. */
  readonly sink: SinkStatus | undefined;
}

/** A start waits so long for its first heartbeat to be on disk, ms: a disk that fails is no reason not to answer. */
const FIRST_HEARTBEAT_MS = 2000;

/** Between tries to listen, once a start has ended without, ms. */
const LISTEN_RETRY_MS = 5000;

interface Running {
  readonly gateway: GatewayId;
  readonly buffer: DurableBuffer;
  readonly intake: Intake;
  readonly payloads: Payloads;
  /** Another one after each try to start it that failed. */
  broker: Broker;
  readonly room: RoomWatch;
  readonly forwarder: Forwarder | undefined;
  readonly reporter: Reporter;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #clock: Clock;
  #watch: ClockWatch | undefined;
  #running: Running | undefined;
  #stopping = new AbortController();
  #opening: Promise<void> | undefined;
  /** Why the topics cannot be looked at yet; nothing is sent before. */
  #logTrouble: string | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
  }

  /** @throws IdentityError, BufferError, ListenError: each message says what to do */
  async start(): Promise<void> {
    if (this.#running) return;
    const { settings, dataDir, namespace, version, logger, log } = this.#options;
    const { boards: remembered } = await readBoards(dataDir);
    const { gateway_id: wanted, hardware } = settings;
    const identity = await loadIdentity(dataDir, wanted, logger, remembered?.origin);
    const origin = identity.gateway;
    const place = { dataDir, gateway: origin, wanted, hardware, logger };
    const { board, owner, known } = await settleHardware(place);
    const gateway = board.gateway;
    const watch = new ClockWatch({
      clock: this.#clock,
      mark: () => timeServiceMark(settings.clock.mark_file),
      known: knownFile(join(dataDir, "clock.json")),
      waitMs: settings.clock.wait_ms,
      logger,
    });
    await watch.start();
    this.#watch = watch;
    const buffer = new LevelBuffer({
      directory: join(dataDir, "buffer"),
      createIfMissing: !identity.bufferMade,
      makeEpoch: () => makeEpoch(randomBytes(10)),
      ...{ owner, origin },
      stamp: () => watch.stamp(),
      capacityBytes: settings.buffer.capacity_bytes,
      policy: settings.buffer.on_full,
      freeFloorBytes: settings.buffer.free_floor_bytes,
      commitWindowMs: settings.buffer.commit_window_ms,
      logger,
    });
    await buffer.start();
    try {
      if (!identity.bufferMade) await saveIdentity(dataDir, { ...identity, bufferMade: true });
      const { max_bytes_per_second: bytesPerSecond } = settings.forwarder;
      const share = bytesPerSecond === undefined ? undefined : new LinkShare({ bytesPerSecond });
      const floor = payloadFloor(settings.buffer);
      const store = openObjectStore(settings.payloads, dataDir, floor);
      const payloads = new Payloads({
        gateway,
        buffer,
        files: new DiskFiles(join(dataDir, "payloads")),
        store,
        stamp: () => watch.stamp(),
        capacityBytes: settings.payloads.capacity_bytes,
        policy: settings.buffer.on_full,
        freeFloorBytes: floor,
        // A directory of our own is behind no link.
        pace: store.kind === "s3" ? share?.pace : undefined,
        logger,
      });
      const intake = new Intake({
        buffer,
        stamp: () => watch.stamp(),
        maxPayloadBytes: settings.mqtt.max_payload_bytes,
        payloads,
        payloadsOverBytes: settings.payloads.over_bytes,
      });
      const forwarder = log
        ? new Forwarder({
            buffer,
            log,
            journal: {
              gateway: origin,
              topic: topicNames(namespace).events,
            },
            clock: watch,
            batchEvents: settings.forwarder.batch_events,
            batchBytes: settings.forwarder.batch_bytes,
            lingerMs: settings.forwarder.linger_ms,
            batchIntervalMs: settings.forwarder.batch_interval_ms,
            ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
            onSent: (bytes) => share?.used(bytes),
            logger,
          })
        : undefined;
      const room = new RoomWatch({
        stats: () => buffer.stats(),
        uptime: () => watch.uptime(),
        capacityBytes: settings.buffer.capacity_bytes,
        floorBytes: settings.buffer.free_floor_bytes,
        logger,
      });
      const broker = this.#newBroker(intake);
      const reporter = new Reporter({
        ...(known ? { hardware: board.name } : {}),
        ...(gateway === board.base ? {} : { copyOf: board.base }),
        ...{ gateway, namespace, version, buffer, watch, room, intake, payloads, logger },
        statusIntervalMs: settings.status_interval_ms,
        heartbeatIntervalMs: settings.heartbeat_interval_ms,
        freeFloorBytes: settings.buffer.free_floor_bytes,
        clients: () => this.#running?.broker.stats().clients ?? 0,
      });
      const running = { gateway, buffer, intake, payloads, broker, room, forwarder, reporter };
      this.#stopping = new AbortController();
      await this.#openBroker(running);
      this.#running = running;
    } catch (error) {
      await buffer.stop();
      await watch.stop();
      throw error;
    }
    watch.follow((event) => buffer.append([event], { reserved: true }));
    const { signal } = this.#stopping;
    const patience = pause(systemTimers, FIRST_HEARTBEAT_MS, signal).catch(() => undefined);
    await Promise.race([this.#live().reporter.start(), patience]);
    if (log) void this.#connect(log);
    else logger.info("no brokers are set: readings are kept in the buffer and go nowhere yet");
  }

  /** Closes the broker first, so that nothing more is acknowledged, then lets the batch in flight end. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    this.#stopping.abort();
    running.reporter.stop();
    await this.#opening;
    await running.broker.stop();
    const { stop_deadline_ms: deadline } = this.#options.settings;
    await Promise.all([running.forwarder?.stop(deadline), running.payloads.stop(deadline)]);
    await running.buffer.stop();
    // Last, so that a change that the journal did not take is not taken for told.
    await this.#watch?.stop();
  }

  get id(): GatewayId {
    return this.#live().gateway;
  }

  get mqttPort(): number {
    return this.#live().broker.port;
  }

  /** Whether it was started: then it answers for itself, and does by itself whatever it takes to be ready. */
  get started(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Why readings are not taken now; undefined while they are. The log may be away, and a full buffer takes what it can:
   * it goes on by its policy.
   */
  get unready(): string | undefined {
    const running = this.#running;
    if (!running) return "the gateway is not running";
    const stats = running.buffer.stats();
    if (stats.state === "recovering") return `the buffer is being recovered: ${stats.trouble}`;
    return running.broker.listening ? undefined : "the broker does not listen yet";
  }

  /** What the gateway says of itself now; undefined before its buffer could be opened for the first time. */
  status(): GatewayStatus | undefined {
    return this.#live().reporter.status();
  }

  report(): GatewayReport {
    const { gateway, buffer, room, intake, payloads, broker, forwarder } = this.#live();
    return {
      gateway,
      buffer: buffer.stats(),
      room: room.room,
      broker: broker.stats(),
      intake: intake.stats,
      payloads: payloads.stats(),
      sink: forwarder && this.#sinkStatus(forwarder),
    };
  }

  /** What keeps us from the log stands there also before anything could be sent. */
  #sinkStatus(forwarder: Forwarder): SinkStatus {
    const status = forwarder.status();
    if (this.#logTrouble === undefined) return status;
    return { ...status, state: "waiting", lastError: this.#logTrouble };
  }

  #live(): Running {
    if (!this.#running) throw new Error("the gateway is not running");
    return this.#running;
  }

  #newBroker(intake: Intake): Broker {
    const { settings, logger } = this.#options;
    const { host, port, max_clients, connect_timeout_ms, queue_limit } = settings.mqtt;
    return new Broker(
      {
        host,
        port,
        maxClients: max_clients,
        connectTimeoutMs: connect_timeout_ms,
        queueLimit: queue_limit,
        rawTopics: settings.payloads.topics,
      },
      intake,
      logger,
    );
  }

  /**
   * Sessions are in the buffer's notes, and which payloads wait, so where it is being recovered the broker opens once it is open again. That is not
   * waited for: until then the gateway answers over HTTP what it waits for.
   */
  async #openBroker(running: Running): Promise<void> {
    const { state } = running.buffer.stats();
    if (state !== "recovering") {
      try {
        await this.#listen(running);
        return;
      } catch (error) {
        if (!(error instanceof BufferError)) throw error;
      }
    }
    this.#opening = this.#openBrokerLater(running, this.#stopping.signal);
  }

  async #listen({ payloads, broker }: Running): Promise<void> {
    await payloads.load();
    await broker.start();
    payloads.start();
  }

  async #openBrokerLater(running: Running, signal: AbortSignal): Promise<void> {
    let told = "";
    while (!signal.aborted) {
      // Half of what one had loaded when it failed would be taken for double.
      running.broker = this.#newBroker(running.intake);
      try {
        await running.buffer.waitBeyond(-1, signal);
        await this.#listen(running);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const { message } = error as Error;
        if (message !== told) {
          this.#options.logger.error({ reason: message }, "the broker cannot listen yet");
        }
        told = message;
        await pause(systemTimers, LISTEN_RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  /** Topics first: a sink would wait for ever for one that nobody makes. */
  async #connect(log: EventLog): Promise<void> {
    const { topics = [], logger } = this.#options;
    let told = "";
    for (let attempt = 0; ; attempt++) {
      if (!this.#running) return;
      try {
        await log.createTopics(topics);
        break;
      } catch (error) {
        const { message: reason } = error as Error;
        const code = error instanceof EventLogError ? error.code : undefined;
        this.#logTrouble = reason;
        // Another reason is another thing to mend: Kafka comes up, and refuses us.
        if (told !== (code ?? reason)) {
          // Kafka's adapter warns of it itself, once for all who wait.
          const level = log.kind === "kafka" ? "info" : "warn";
          logger[level](
            { code, reason },
            "the event log is away: readings are acknowledged and kept, and go out when it is back",
          );
        }
        told = code ?? reason;
        const { signal } = this.#stopping;
        // Spread, so that a fleet does not knock all at once.
        const wait = retryPauseMs(code, attempt) * (1 + Math.random());
        await pause(systemTimers, wait, signal).catch(() => undefined);
      }
    }
    this.#logTrouble = undefined;
    const running = this.#running;
    if (!running) return;
    await running.forwarder?.start();
    await running.reporter.reportTo(log);
  }
}
