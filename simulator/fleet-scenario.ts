/**
 * A scenario's devices on real MQTT connections: the same devices as in virtual time (simulator/device), in the real world
 * (simulator/mqtt).
 *
 * Time is the machine's, and runs as fast as it does: devices say the real time, so that rules with a `for` and pages that
 * look at now mean what they say. What a device measures is what the scenario says for the same moment after its beginning,
 * so that a run is told by scenario and seed whenever it takes place. What a scenario says of gateways, links and the site
 * is for virtual time: here they are real, and whoever runs them breaks them.
 */
import { randomBytes } from "node:crypto";
import { Device } from "./device/device.ts";
import type { DeviceRecorder, SentReading } from "./device/port.ts";
import { rangeFault, refuseFaults } from "./errors.ts";
import { MAX_DEVICES } from "./fleet-options.ts";
import type { FleetProgress, FleetSummary } from "./fleet-progress.ts";
import { FleetRun, type Member } from "./fleet-run.ts";
import { Alarm } from "./mqtt/alarms.ts";
import { MqttWorld } from "./mqtt/mqtt-world.ts";
import { Switchboard } from "./mqtt/switchboard.ts";
import type { DeviceSpec, MetricSpec, Scenario } from "./scenario/scenario.ts";

export interface ScenarioFleetOptions {
  readonly scenario: Scenario;
  readonly host: string;
  readonly port: number;
  /** Where the devices of a gateway of the scenario go instead, by its name. */
  readonly gateways?: ReadonlyMap<string, { readonly host: string; readonly port: number }>;
  /** How long the devices measure, ms. Default: as the scenario says. */
  readonly durationMs?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** How long to wait for the first connection of any device before giving up, ms. Default: without end. */
  readonly connectMs?: number | undefined;
  /** Connections begun each second, reconnects included. Default 500. */
  readonly connectsPerSecond?: number | undefined;
  /** What is waited after the last acknowledgement for those that are missing, ms. Default 10 s. */
  readonly drainMs?: number | undefined;
  readonly ledger?: string | undefined;
  readonly onProgress?: ((progress: FleetProgress) => void) | undefined;
  /** Default 1 s. */
  readonly progressEveryMs?: number | undefined;
}

const DEFAULT_CONNECTS = 500;
const DEFAULT_DRAIN_MS = 10_000;
const DEFAULT_PROGRESS_MS = 1000;

export class ScenarioFleet {
  readonly #options: ScenarioFleetOptions;
  readonly #run: FleetRun;
  readonly #boards = new Map<string, Switchboard>();
  readonly #home: Switchboard;
  readonly #end = new Alarm(() => this.#lookForEnd());
  #members: readonly ScenarioDevice[] = [];
  #endsAt = 0;

  /** @throws SimulatorError `options` */
  constructor(options: ScenarioFleetOptions) {
    this.#options = options;
    const { scenario, host, port, connectMs, ledger, onProgress } = options;
    const { drainMs = DEFAULT_DRAIN_MS, progressEveryMs = DEFAULT_PROGRESS_MS } = options;
    const count = scenario.gateways.reduce((sum, { devices }) => sum + devices.length, 0);
    const strange = [...(options.gateways?.keys() ?? [])].filter(
      (name) => !scenario.gateways.some((gateway) => gateway.name === name),
    );
    refuseFaults([
      rangeFault("devices", count, 1, MAX_DEVICES),
      rangeFault("port", port, 1, 65_535),
      rangeFault("duration", options.durationMs ?? 1, 1, Number.POSITIVE_INFINITY),
      ...strange.map((name) => `the scenario ${scenario.name} has no gateway ${name}`),
    ]);
    this.#home = this.#boardOf({ host, port });
    const { now } = this.#home;
    const run = { host, port, connectMs, drainMs, progressEveryMs, ledger, onProgress, now };
    this.#run = new FleetRun(run);
    // An alarm that is left would keep the process from ending.
    const clear = () => {
      for (const { alarms } of this.#boards.values()) alarms.clearAll();
    };
    this.#run.finished.then(clear, clear);
  }

  /** Settles when the run has ended: by its duration, `stop`, a ledger that cannot be written, or no broker in `connectMs`. */
  get finished(): Promise<FleetSummary> {
    return this.#run.finished;
  }

  /** Begins to connect; does not wait for a broker to be there. @throws SimulatorError `ledger` */
  async start(): Promise<void> {
    if (!this.#run.isNew) return;
    const { scenario, durationMs = scenario.durationMs, gateways } = this.#options;
    const start = Math.floor(this.#home.now());
    this.#endsAt = start + durationMs;
    const specs = scenario.gateways.flatMap(({ name, devices }) => {
      const board = this.#boardOf(gateways?.get(name) ?? this.#options);
      return devices.map((spec) => ({
        spec: shifted(spec, start - scenario.start, () => this.#run.running),
        board,
      }));
    });
    // A clean session needs no lasting name, and two simulators with one seed must not push each other out.
    const family = randomBytes(4).toString("hex");
    this.#members = specs.map(({ spec, board }, index) => {
      const clientId = `sim-${spec.persistent ? scenario.seed : family}-${spec.name}`;
      const identity = { spec, clientId, index, of: specs.length };
      const time = { seed: scenario.seed, start, end: this.#endsAt };
      return new ScenarioDevice(identity, time, board, this.#run);
    });
    this.#run.begin(
      {
        t: "ledger",
        kind: "scenario",
        scenario: scenario.name,
        seed: scenario.seed,
        rules: scenario.rules,
        options: { devices: specs.length, durationMs },
        at: start,
      },
      this.#members,
    );
    for (const member of this.#members) member.start();
    this.#home.alarms.set(this.#end, this.#endsAt);
  }

  /** Ends it before its time. @throws SimulatorError as the run ended with */
  async stop(): Promise<FleetSummary> {
    return await this.#run.stop();
  }

  /** Rates and latencies are since the last call, `onProgress` included. */
  progress(): FleetProgress {
    return this.#run.progress();
  }

  #lookForEnd(): void {
    void this.#run.end({ patient: true });
  }

  #boardOf({ host, port }: { readonly host: string; readonly port: number }): Switchboard {
    const key = `${host}:${port}`;
    const known = this.#boards.get(key);
    if (known) return known;
    const { username, password, connectsPerSecond = DEFAULT_CONNECTS } = this.#options;
    const board = new Switchboard({
      address: { host, port, username, password },
      gate: { perSecond: connectsPerSecond },
      onLate: (ms) => this.#run.tally.late(ms),
    });
    this.#boards.set(key, board);
    return board;
  }
}

/**
 * The same device, with sensors that say at a real time what they would have said then in the scenario's, and nothing once
 * the run is over: a device whose sensors say nothing makes no reading, and goes on to send what it has.
 */
function shifted(spec: DeviceSpec, byMs: number, running: () => boolean): DeviceSpec {
  const metrics = Object.entries(spec.metrics).map(([name, metric]): [string, MetricSpec] => {
    return [
      name,
      { ...metric, at: (timeMs) => (running() ? metric.at(timeMs - byMs) : undefined) },
    ];
  });
  return { ...spec, metrics: Object.fromEntries(metrics) };
}

interface Identity {
  readonly spec: DeviceSpec;
  readonly clientId: string;
  readonly index: number;
  readonly of: number;
}

class ScenarioDevice implements Member, DeviceRecorder {
  readonly #identity: Identity;
  readonly #board: Switchboard;
  readonly #run: FleetRun;
  readonly #world: MqttWorld;
  readonly #device: Device;
  /** Number of the newest reading that was sent: they are first sent in their order. */
  #newest = 0;
  /** Of performance.now(), at the first writing, by the reading's number; until it is acknowledged. */
  readonly #writtenAt = new Map<number, number>();

  constructor(
    identity: Identity,
    time: { readonly seed: number; readonly start: number; readonly end: number },
    board: Switchboard,
    run: FleetRun,
  ) {
    this.#identity = identity;
    this.#board = board;
    this.#run = run;
    const { spec, clientId } = identity;
    this.#world = new MqttWorld(board, run.watcher);
    this.#device = new Device({ spec, ...time, clientId, world: this.#world, recorder: this });
    this.#world.serve(this.#device);
  }

  get inFlight(): number {
    return this.#device.unacknowledged;
  }

  get queued(): number {
    return this.#keepsForLater ? 0 : this.#device.queued;
  }

  get sleeps(): boolean {
    return this.#device.asleep;
  }

  get asleep(): number {
    return this.#keepsForLater ? this.#device.queued : 0;
  }

  get #keepsForLater(): boolean {
    return this.#identity.spec.behaviour.sleep !== undefined;
  }

  start(): void {
    this.#device.start();
  }

  /** Its sensors say nothing any more (see shifted); it has to go on to send what it has. */
  rest(): void {}

  async stop(): Promise<void> {
    this.#device.stop();
    await this.#world.stop();
  }

  written(reading: SentReading, _packet: unknown, fresh: boolean): void {
    const at = this.#board.now();
    const { n: own, device: d, time, measured, metrics: m } = reading;
    const n = this.#numberOf(own);
    const { tally } = this.#run;
    if (own <= this.#newest) {
      tally.resent += 1;
      this.#run.record({ t: fresh ? "again" : "resent", n, at });
      return;
    }
    this.#newest = own;
    tally.sent += 1;
    if (this.#identity.spec.qos > 0) this.#writtenAt.set(own, performance.now());
    const when = time === measured ? { time } : { time, measured };
    this.#run.record({ t: "sent", n, at, d, ...when, m });
  }

  acknowledged({ n }: SentReading): void {
    const now = performance.now();
    const latencyMs = now - (this.#writtenAt.get(n) ?? now);
    this.#writtenAt.delete(n);
    this.#run.acknowledged(this.#numberOf(n), latencyMs);
  }

  dropped({ device: d }: SentReading): void {
    this.#run.tally.dropped += 1;
    this.#run.record({ t: "dropped", at: this.#board.now(), d, count: 1 });
  }

  /** Unique within the run. */
  #numberOf(n: number): number {
    return (n - 1) * this.#identity.of + this.#identity.index + 1;
  }
}
