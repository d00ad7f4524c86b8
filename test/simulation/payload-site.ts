/**
 * A gateway with cameras in virtual time: the real buffer, sessions, intake and payloads, over a disk, a power supply and an
 * object store that fail by a seed. Every run ends with everything whole again and at rest, and is then judged.
 */
import { decodeEvent } from "../../events/codec.ts";
import { makeEpoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { GroupCommitBuffer } from "../../gateway/buffer/group-commit-buffer.ts";
import { BufferError, type BufferedEvent, type FullPolicy } from "../../gateway/buffer/port.ts";
import { Intake } from "../../gateway/mqtt/intake.ts";
import { decodeFile } from "../../gateway/payloads/file-form.core.ts";
import { Payloads } from "../../gateway/payloads/payloads.ts";
import { GatewayDisk, SimulatedStorage } from "../../simulator/world/buffer-disk.ts";
import { Chance } from "../../simulator/world/chance.ts";
import { decay } from "../../simulator/world/decay.ts";
import { RunRecord } from "../../simulator/world/record.ts";
import { type BrokerConnection, VirtualBroker } from "../../simulator/world/virtual-broker.ts";
import { type Scope, VirtualTime } from "../../simulator/world/virtual-time.ts";
import { pause } from "../../time/timers.ts";
import { PayloadDisk, SimulatedFiles, SimulatedStore } from "./payload-disk.ts";
import { digest, judge } from "./payload-oracle.ts";

const NAME = "gw-sim";
const RUN_MS = 4 * 60_000;
const DRAIN_MS = 60 * 60_000;
const CAMERAS = 3;
const START = Date.UTC(2026, 10, 21);

interface Running {
  readonly scope: Scope;
  readonly buffer: GroupCommitBuffer;
  readonly payloads: Payloads;
  readonly broker: VirtualBroker;
}

export interface PayloadRun {
  readonly problems: readonly string[];
  readonly acknowledged: number;
  readonly stored: number;
  readonly lost: number;
  /** What struck, and how often. */
  readonly strikes: ReadonlyMap<string, number>;
}

export async function runPayloads(seed: number): Promise<PayloadRun> {
  return await new PayloadSite(seed).run();
}

class PayloadSite {
  readonly #seed: number;
  readonly #time = new VirtualTime();
  readonly #fate: Scope;
  readonly #chance: Chance;
  readonly #disk = new GatewayDisk();
  readonly #payloads = new PayloadDisk();
  readonly #objects = new Map<string, Buffer>();
  readonly #record: RunRecord;
  readonly #journal = new Map<string, BufferedEvent>();
  readonly #acknowledged = new Set<string>();
  readonly #harmed = new Map<string, string>();
  readonly #strikes = new Map<string, number>();
  readonly #policy: FullPolicy;
  readonly #capacityBytes: number;
  #decayed = false;
  #isAway = false;
  #isOver = false;
  #running: Running | undefined;
  #scope: Scope | undefined;

  constructor(seed: number) {
    this.#seed = seed;
    this.#fate = this.#time.scope();
    this.#chance = new Chance(seed, "fate");
    this.#record = new RunRecord(() => this.#time.now);
    this.#policy = this.#chance.of(["refuse", "drop-oldest"]);
    this.#capacityBytes = this.#chance.of([20_000, 1e6]);
  }

  async run(): Promise<PayloadRun> {
    void this.#start();
    for (let i = 0; i < CAMERAS; i += 1) new Camera(this, i, this.#seed).begin();
    this.#plan();
    await this.#time.runUntil(RUN_MS);
    const open = await this.#drain();
    const told = this.#told();
    const problems = judge({
      acknowledged: this.#acknowledged,
      told,
      objects: this.#objects,
      harmed: this.#harmed,
      decayed: this.#decayed,
      givesWay: this.#policy === "drop-oldest",
    });
    if (open !== undefined) problems.unshift(`does not come to rest: ${open}`);
    else if (this.#payloads.files.size > 0) problems.push("files stay");
    const { stored, lost } = told;
    return {
      problems,
      acknowledged: this.#acknowledged.size,
      stored: stored.length,
      lost: lost.length,
      strikes: this.#strikes,
    };
  }

  get time(): VirtualTime {
    return this.#time;
  }
  get isOver(): boolean {
    return this.#isOver;
  }
  get broker(): VirtualBroker | undefined {
    return this.#running?.broker;
  }
  acknowledged(picture: Buffer): void {
    this.#acknowledged.add(digest(picture));
  }

  async #start(): Promise<void> {
    const scope = this.#time.scope();
    this.#scope = scope;
    const chance = this.#chance;
    const disk = this.#disk;
    const logger = this.#record.logger(NAME);
    const stamp = (): Stamp => ({
      received: START + this.#time.now,
      clock: "synced",
      boot: "boot",
      uptime: this.#time.now,
    });
    const newEpoch = () => makeEpoch(chance.bytes(10));
    const user = { disk, timers: scope, chance, record: this.#record };
    const buffer = new GroupCommitBuffer({
      storage: new SimulatedStorage({ firstEpoch: newEpoch(), makeEpoch: newEpoch, stamp }, user),
      capacityBytes: 1e7,
      policy: this.#policy,
      freeFloorBytes: 0,
      commitWindowMs: 0,
      stamp,
      timers: scope,
      logger,
    });
    const payloads = new Payloads({
      gateway: NAME,
      buffer,
      files: new SimulatedFiles(this.#payloads, disk, scope, chance),
      store: new SimulatedStore(this.#objects, scope, chance, () => this.#isAway),
      stamp,
      capacityBytes: this.#capacityBytes,
      policy: this.#policy,
      freeFloorBytes: 1000,
      timers: scope,
      random: (bytes) => chance.bytes(bytes),
      logger,
    });
    await buffer.start();
    const intake = new Intake({
      ...{ buffer, stamp, timers: scope, payloads },
      maxPayloadBytes: 10_000,
      payloadsOverBytes: 200,
    });
    const broker = new VirtualBroker(intake, scope);
    for (;;) {
      try {
        await buffer.waitBeyond(-1, new AbortController().signal);
        await payloads.load();
        await broker.start();
        break;
      } catch (error) {
        if (!(error instanceof BufferError)) throw error;
        await pause(scope, 500);
      }
    }
    if (this.#scope !== scope) return;
    disk.buffer.born = true;
    this.#running = { scope, buffer, payloads, broker };
    payloads.start();
    void this.#forward(scope, buffer);
  }

  /** The log: has what it was sent, once, and may be sent it twice. */
  async #forward(scope: Scope, buffer: GroupCommitBuffer): Promise<void> {
    const { signal } = new AbortController();
    while (this.#scope === scope) {
      try {
        const { released } = buffer.stats().positions;
        await buffer.waitBeyond(released, signal);
        const events = await buffer.read(released, { events: 20, bytes: 1e6 });
        await pause(scope, this.#chance.between(5, 100));
        for (const event of events) this.#journal.set(`${event.epoch}-${event.sequence}`, event);
        const last = events.at(-1);
        if (last) await buffer.release(last.position);
      } catch (error) {
        if (!(error instanceof BufferError)) throw error;
        await pause(scope, 200);
      }
    }
  }

  #plan(): void {
    const chance = new Chance(this.#seed, "plan");
    const decays = chance.happens(0.3);
    for (let at = chance.between(0, 10_000); at < RUN_MS; at += chance.between(500, 15_000)) {
      const lasts = chance.of([50, 2000, 20_000]);
      const strike = chance.of([
        "power cut",
        "power cut",
        "killed",
        "killed",
        "restarted",
        "restarted",
        "disk full",
        "write errors",
        "store away",
        "store away",
        "file harmed",
        ...(decays ? ["record damaged", "tail lost", "store lost"] : []),
      ]);
      this.#fate.setTimeout(() => this.#strike(strike, lasts, chance), at);
    }
  }

  #strike(kind: string, ms: number, chance: Chance): void {
    if (this.#isOver) return;
    this.#strikes.set(kind, (this.#strikes.get(kind) ?? 0) + 1);
    const later = (act: () => void) => this.#fate.setTimeout(act, ms);
    switch (kind) {
      case "power cut":
        this.#end(true, chance);
        later(() => this.#scope ?? void this.#start());
        return;
      case "killed":
        this.#end(false, chance);
        later(() => this.#scope ?? void this.#start());
        return;
      case "restarted":
        void this.#restart(ms);
        return;
      case "disk full":
        this.#disk.isFull = true;
        later(() => {
          this.#disk.isFull = false;
        });
        return;
      case "write errors":
        this.#disk.failsWrites = true;
        later(() => {
          this.#disk.failsWrites = false;
        });
        return;
      case "store away":
        this.#isAway = true;
        later(() => {
          this.#isAway = false;
        });
        return;
      case "file harmed":
        this.#harm(chance);
        return;
      default: {
        this.#end(true, chance);
        const { now } = this.#time;
        const done = decay(
          kind as "tail lost",
          this.#disk,
          { at: now, off: true },
          chance,
          undefined,
        );
        if (done) this.#decayed = true;
        later(() => this.#scope ?? void this.#start());
      }
    }
  }

  async #restart(ms: number): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.broker.stop();
    await running.payloads.stop(1000);
    await running.buffer.stop();
    if (this.#scope !== running.scope) return;
    running.scope.end();
    this.#scope = undefined;
    this.#fate.setTimeout(() => this.#scope ?? void this.#start(), ms);
  }

  #harm(chance: Chance): void {
    const { files } = this.#payloads;
    if (files.size === 0) return;
    const id = chance.of([...files.keys()]);
    const file = Buffer.from(files.get(id) ?? "");
    this.#harmed.set(id, decodeFile(file).event?.sha256 ?? "");
    if (chance.happens(0.4)) files.delete(id);
    else {
      const at = chance.whole(0, file.length - 1);
      file[at] = (file[at] ?? 0) ^ 4;
      files.set(id, file);
    }
  }

  #end(power: boolean, chance: Chance): void {
    this.#scope?.end();
    this.#scope = undefined;
    this.#running = undefined;
    if (power) {
      this.#disk.powerGone();
      this.#payloads.powerGone(chance);
    } else this.#disk.processGone();
  }

  async #drain(): Promise<string | undefined> {
    this.#isOver = true;
    this.#disk.isFull = false;
    this.#disk.failsWrites = false;
    this.#isAway = false;
    const until = this.#time.now + DRAIN_MS;
    for (;;) {
      await this.#time.runUntil(this.#time.now + 10_000);
      if (!this.#scope) void this.#start();
      const open = this.#open();
      if (open === undefined) break;
      if (this.#time.now > until) return open;
    }
    // What was waiting to be sent again by a camera that never got its answer is still let go on.
    await this.#time.runUntil(this.#time.now + 30_000);
    return this.#open();
  }

  #open(): string | undefined {
    const running = this.#running;
    if (!running) return "the gateway is down";
    const { waiting, trouble } = running.payloads.stats();
    if (waiting > 0) return `${waiting} payloads wait (${trouble})`;
    const buffer = running.buffer.stats();
    return buffer.waiting > 0 ? `${buffer.waiting} events wait (${buffer.trouble})` : undefined;
  }

  #told() {
    const all = [...this.#journal.values()];
    const of = <T extends BufferedEvent["type"]>(type: T) =>
      all.filter((one) => one.type === type).map(({ value }) => decodeEvent(type, value));
    return {
      payloads: of("tidegate.payload"),
      stored: of("tidegate.payload-stored"),
      lost: of("tidegate.payload-lost"),
      losses: of("tidegate.loss").length,
    };
  }
}

interface Message {
  readonly id: number;
  readonly payload: Buffer;
  sent: boolean;
}

/** Sends pictures and small readings, a few at once, and each again until it is acknowledged. */
class Camera {
  readonly #site: PayloadSite;
  readonly #chance: Chance;
  readonly #name: string;
  readonly #isClean: boolean;
  readonly #open: Message[] = [];
  #id = 0;
  #connection: BrokerConnection | undefined;

  constructor(site: PayloadSite, number: number, seed: number) {
    this.#site = site;
    this.#name = `cam-${number}`;
    this.#chance = new Chance(seed, this.#name);
    this.#isClean = this.#chance.happens(0.5);
  }

  begin(): void {
    const scope = this.#site.time.scope();
    const step = () => {
      this.#step();
      scope.setTimeout(step, this.#chance.between(20, 1500));
    };
    step();
  }

  #step(): void {
    const { broker } = this.#site;
    if (this.#connection && !broker) this.#connection = undefined;
    // A camera that waits long connects anew, as one whose pings are not answered does.
    else if (this.#connection && this.#chance.happens(0.03)) {
      this.#connection.close(false);
      this.#connection = undefined;
    }
    if (!broker) return;
    if (this.#connection && !this.#connections.has(broker)) this.#connection = undefined;
    if (!this.#connection) this.#connect(broker);
    if (!this.#site.isOver && this.#open.length < 3) this.#shoot();
    for (const message of this.#open) {
      if (!message.sent) this.#send(message, false);
    }
  }

  readonly #connections = new WeakSet<VirtualBroker>();

  #connect(broker: VirtualBroker): void {
    this.#connections.add(broker);
    const closed = () => {
      this.#connection = undefined;
    };
    const puback = (id: number) => {
      const at = this.#open.findIndex((message) => message.id === id);
      if (at < 0) return;
      const [message] = this.#open.splice(at, 1);
      if (message && message.payload.length > 200) this.#site.acknowledged(message.payload);
    };
    const nothing = () => {};
    const replies = { puback, pubrec: nothing, pubcomp: nothing, closed };
    [this.#connection] = broker.connect(this.#name, this.#isClean, replies);
    for (const message of this.#open) this.#send(message, !this.#isClean && message.sent);
  }

  #shoot(): void {
    this.#id = (this.#id % 65_000) + 1;
    const payload = this.#chance.happens(0.3)
      ? Buffer.from(JSON.stringify({ n: this.#id }))
      : Buffer.from(this.#chance.bytes(this.#chance.whole(201, 5000)));
    this.#open.push({ id: this.#id, payload, sent: false });
  }

  #send(message: Message, dup: boolean): void {
    const connection = this.#connection;
    if (!connection) return;
    message.sent = true;
    const { id, payload } = message;
    connection.publish({
      topic: `sensors/${this.#name}`,
      payload,
      qos: 1,
      messageId: id,
      dup,
    } as Parameters<BrokerConnection["publish"]>[0]);
  }
}
