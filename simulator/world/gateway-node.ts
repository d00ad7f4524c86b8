/**
 * A gateway in virtual time: its own buffer, intake, sessions, clock watch, forwarder and reports, put together as
 * gateway.ts does, over a disk that outlives its processes and a network that does what the scenario says.
 */
import type { GatewayId } from "../../events/ids.ts";
import { makeEpoch } from "../../events/ids.ts";
import { topicNames } from "../../events/topics.ts";
import type { Owner } from "../../gateway/buffer/chapters.core.ts";
import { GroupCommitBuffer } from "../../gateway/buffer/group-commit-buffer.ts";
import type { BufferStats } from "../../gateway/buffer/port.ts";
import { ClockWatch } from "../../gateway/clock-watch.ts";
import { Forwarder } from "../../gateway/forwarder/forwarder.ts";
import { Intake } from "../../gateway/mqtt/intake.ts";
import { Reporter } from "../../gateway/reporter.ts";
import { RoomWatch } from "../../gateway/room-watch.ts";
import type { GatewaySpec } from "../scenario/scenario.ts";
import { GatewayDisk, knownOn, SimulatedStorage } from "./buffer-disk.ts";
import type { Chance } from "./chance.ts";
import { WallClock } from "./clocks.ts";
import { copyOf } from "./decay.ts";
import type { Link } from "./network.ts";
import type { RunRecord } from "./record.ts";
import { RemoteLog, type SiteDoor } from "./remote-log.ts";
import { VirtualBroker } from "./virtual-broker.ts";
import type { Scope, VirtualTime } from "./virtual-time.ts";
import { Testimony, WitnessedBuffer } from "./witness.ts";

export interface GatewayNodeOptions {
  readonly spec: GatewaySpec;
  readonly time: VirtualTime;
  /** True time at the beginning of the run, ms since 1970. */
  readonly start: number;
  readonly chance: Chance;
  readonly record: RunRecord;
  readonly link: Link;
  readonly door: SiteDoor;
  readonly namespace: string;
  readonly heartbeatMs: number;
  readonly statusMs: number;
  readonly clockWaitMs: number;
}

/** The forwarder's batches: also small ones, so that backlogs are cut into many. */
/** One of them at each start. */
export const BATCH_EVENTS: readonly number[] = [10, 60, 500];
const BATCH_BYTES = 512 * 1024;
const MAX_PAYLOAD_BYTES = 64 * 1024;
const FLOOR_BYTES = 128 * 1024 ** 2;

interface Running {
  readonly scope: Scope;
  readonly buffer: WitnessedBuffer;
  readonly watch: ClockWatch;
  readonly forwarder: Forwarder;
  readonly reporter: Reporter;
  readonly broker: VirtualBroker;
}

/** Where a gateway tells of itself this seldom, the run is a long one, and it looks at its clock and its disk seldom too: half of all turns were that. */
const LONG_BEAT_MS = 60_000;
const LONG_LOOK_MS = 20_000;

export class GatewayNode {
  readonly spec: GatewaySpec;
  readonly disk: GatewayDisk = new GatewayDisk();
  readonly clock: WallClock;
  readonly testimony: Testimony = new Testimony();
  /** When each process was started, ms from the beginning of the run. */
  readonly starts: number[] = [];
  readonly #options: GatewayNodeOptions;
  #running: Running | undefined;
  #starting: Scope | undefined;
  #boots = 0;
  #processes = 0;
  /** Id under which the card was made, and whose what begins on it is: of a copy in this board another one's, and its own. */
  #card: { readonly origin: GatewayId; readonly owner: Owner | undefined };

  constructor(options: GatewayNodeOptions) {
    this.#options = options;
    this.spec = options.spec;
    this.clock = new WallClock(options);
    this.#card = { origin: options.spec.name as GatewayId, owner: undefined };
  }

  /**
   * A copy of another gateway's card, as it is now, in this one's board. The image of a card is no other file to the mark.
   * @param blind it does not see that it is other hardware: a bug to plant
   */
  putIn({ disk, name }: GatewayNode, blind: boolean): void {
    const { buffer, known } = copyOf(disk);
    const mark = buffer.mark && { ...buffer.mark, copied: false };
    Object.assign(this.disk.buffer, { ...buffer, mark });
    this.disk.known = known;
    const own = { gateway: this.name as GatewayId, board: "copysboard" };
    this.#card = { origin: name as GatewayId, owner: blind ? undefined : own };
  }

  get name(): string {
    return this.spec.name;
  }

  /** Openings of its disk that came to their end. */
  get opened(): number {
    return this.disk.opened;
  }

  /** Something was offered to the buffer and is not on the disk yet. */
  get isBusy(): boolean {
    return this.#running?.buffer.isBusy ?? false;
  }

  /** Undefined while nobody can connect. */
  get broker(): VirtualBroker | undefined {
    return this.#running?.broker;
  }

  get buffer(): BufferStats | undefined {
    return this.#running?.buffer.stats();
  }

  /** The machine comes up. */
  async boot(): Promise<void> {
    this.#boots += 1;
    this.clock.boot(this.#boots);
    await this.start();
  }

  /** The program starts, on a machine that is up. */
  async start(): Promise<void> {
    const { time, chance, record, link, door, namespace } = this.#options;
    const scope = time.scope();
    this.#starting = scope;
    this.#processes += 1;
    this.starts.push(time.now);
    const { name } = this.spec;
    const logger = record.logger(name);
    const clock = this.clock.read();
    const user = { disk: this.disk, timers: scope, chance, record };
    const isLong = this.#options.heartbeatMs >= LONG_BEAT_MS;
    const watch = new ClockWatch({
      ...{ clock, logger, timers: scope, known: knownOn(user) },
      mark: () => this.clock.mark(),
      waitMs: this.#options.clockWaitMs,
      ...(isLong ? { lookMs: LONG_LOOK_MS } : {}),
    });
    await watch.start();
    const stamp = () => watch.stamp();
    const { capacityBytes, policy, commitWindowMs } = this.spec.buffer;
    const newEpoch = () => makeEpoch(chance.bytes(10));
    const store = new GroupCommitBuffer({
      storage: new SimulatedStorage(
        { firstEpoch: newEpoch(), makeEpoch: newEpoch, stamp, ...this.#card },
        user,
      ),
      ...{ capacityBytes, policy, commitWindowMs, stamp, logger, timers: scope },
      freeFloorBytes: FLOOR_BYTES,
      ...(isLong ? { limits: { usageIntervalMs: LONG_LOOK_MS } } : {}),
    });
    const buffer = new WitnessedBuffer(store, this.testimony, this.disk, scope);
    await buffer.start();
    const intake = new Intake({ buffer, stamp, timers: scope, maxPayloadBytes: MAX_PAYLOAD_BYTES });
    const producer = `${name} ${this.#processes}`;
    const log = new RemoteLog({ producer, door, link, timers: scope });
    const gateway = name as GatewayId;
    const forwarder = new Forwarder({
      ...{ buffer, log, logger, timers: scope, clock: watch },
      batchEvents: chance.of(BATCH_EVENTS),
      batchBytes: BATCH_BYTES,
      journal: { gateway: this.#card.origin, topic: topicNames(namespace).events },
    });
    const room = new RoomWatch({
      stats: () => buffer.stats(),
      uptime: () => watch.uptime(),
      ...{ capacityBytes, floorBytes: FLOOR_BYTES, logger },
    });
    const broker = new VirtualBroker(intake, scope);
    const reporter = new Reporter({
      ...{ gateway, namespace, version: "simulated", buffer, watch, room, intake, logger },
      statusIntervalMs: this.#options.statusMs,
      heartbeatIntervalMs: this.#options.heartbeatMs,
      freeFloorBytes: FLOOR_BYTES,
      clients: () => broker.clients,
      timers: scope,
    });
    await buffer.waitBeyond(-1, new AbortController().signal);
    await broker.start();
    if (this.#starting !== scope) return;
    this.#running = { scope, buffer, watch, forwarder, reporter, broker };
    record.note(name, "up");
    watch.follow((event) => buffer.append([event], { reserved: true }));
    void reporter.start();
    await forwarder.start();
    void reporter.reportTo(log);
  }

  /** Whatever was not on the disk is gone, and nobody is told. */
  powerCut(): void {
    this.#end();
    this.disk.powerGone();
  }

  /** Nothing of the program gets to run any more, on a machine that stays up. */
  kill(): void {
    this.#end();
    this.disk.processGone();
  }

  /** As a service manager stops it. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) {
      this.kill();
      return;
    }
    this.#running = undefined;
    running.reporter.stop();
    running.broker.stop();
    await running.forwarder.stop(1000);
    await running.buffer.stop();
    await running.watch.stop();
    if (this.#starting === running.scope) this.#end();
  }

  #end(): void {
    this.#starting?.end();
    this.#starting = undefined;
    this.#running = undefined;
  }

  /** Whether the program knows what time it is. */
  get knowsTime(): boolean {
    return this.#running?.watch.stamp().clock === "synced";
  }

  /** It reports no more, so that its journal comes to an end. */
  quiet(): void {
    this.#running?.reporter.stop();
  }
}
