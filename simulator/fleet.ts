/**
 * A fleet of simulated devices on real MQTT connections, one connection each, QoS 1.
 *
 * Promises: what a device measures depends only on the seed, its name and the moment; device times are whole
 * milliseconds and never repeat within a device, so (device, time) names a reading; each device sends in the order of its
 * time; everything written and everything acknowledged is counted and, where a ledger is asked for, recorded. A device keeps its readings
 * while the broker is away and sends them when it is back.
 */
import { randomBytes } from "node:crypto";
import type { MetricValue } from "../events/schema.ts";
import { type FleetOptions, type FleetSettings, fleetSettings } from "./fleet-options.ts";
import type { FleetProgress, FleetSummary } from "./fleet-progress.ts";
import { FleetRun, type Member } from "./fleet-run.ts";
import { makeDevices, type SimulatedDevice, sample } from "./kinds.ts";
import { DeviceLink, type Outgoing } from "./link.ts";
import { Alarm } from "./mqtt/alarms.ts";
import { Switchboard } from "./mqtt/switchboard.ts";
import { childSeed, sfc32 } from "./random.ts";

interface Reading extends Outgoing {
  readonly device: string;
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** Number in the ledger; 0 until it is first written. */
  n: number;
  /** Of performance.now(), at the first writing. */
  writtenAt: number;
}

/** One device as it runs. */
interface Run {
  readonly device: SimulatedDevice;
  readonly link: DeviceLink<Reading>;
  readonly random: () => number;
  /** Its start, then its live readings one after another. */
  readonly turn: Alarm;
  /** The next loss of its connection. */
  readonly cut: Alarm;
  /** Time of the next reading of its history; undefined once it is live. */
  history: number | undefined;
  /** When its first live reading is due, and how many intervals have gone by since. */
  liveFrom: number;
  firstDue: number;
  ticks: number;
  made: number;
  lastTime: number;
  done: boolean;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #settings: FleetSettings;
  readonly #now: () => number;
  readonly #switchboard: Switchboard;
  readonly #run: FleetRun;
  readonly #devices: Run[] = [];
  #live = 0;

  /** @throws SimulatorError `options` */
  constructor(options: FleetOptions) {
    this.#options = options;
    this.#settings = fleetSettings(options);
    const { host, port, username, password, connectMs, ledger, onProgress } = options;
    this.#switchboard = new Switchboard({
      address: { host, port, username, password },
      onLate: (ms) => this.#run.tally.late(ms),
    });
    this.#now = options.now ?? this.#switchboard.now;
    const { drainMs, progressEveryMs } = this.#settings;
    const now = this.#now;
    const run = { host, port, connectMs, drainMs, progressEveryMs, ledger, onProgress, now };
    this.#run = new FleetRun(run);
  }

  /** Settles when the run has ended: by `count`, `durationMs`, `stop` a ledger that cannot be written, or no broker in `connectMs`. */
  get finished(): Promise<FleetSummary> {
    return this.#run.finished;
  }

  /** Begins to connect; does not wait for a broker to be there. @throws SimulatorError `ledger` */
  async start(): Promise<void> {
    if (!this.#run.isNew) return;
    const { seed, prefix, connectsPerSecond, backfillMs } = this.#settings;
    const { devices } = this.#options;
    const made = typeof devices === "number" ? makeDevices(devices, seed, prefix) : devices;
    // A clean session needs no lasting name, and two simulators with one seed must not push each other out.
    const family = this.#settings.clean ? randomBytes(4).toString("hex") : `${seed}`;
    this.#devices.push(...made.map((device) => this.#makeRun(device, family)));
    this.#live = made.length;
    const { rules } = this.#options;
    this.#run.begin(
      {
        t: "ledger",
        kind: "fleet",
        seed,
        ...(rules ? { rules } : {}),
        options: { ...this.#settings, devices: made.map(({ name }) => name) },
        at: this.#now(),
      },
      this.#devices.map((run) => this.#memberOf(run)),
    );
    for (const [index, run] of this.#devices.entries()) {
      if (backfillMs > 0) run.history = this.#now() - backfillMs;
      this.#ring(run.turn, (1000 * index) / connectsPerSecond);
    }
  }

  /**
   * Makes no more readings, waits for the acknowledgements of those made (at most `drainMs`), closes connections and
   * ledger. @throws SimulatorError `ledger`, `broker_unreachable` where that had ended it before
   */
  async stop(): Promise<FleetSummary> {
    return await this.#run.stop();
  }

  /** Cuts the connections of a share of the devices, as a lost radio link does; they come back by themselves. */
  cutConnections(share = 1): void {
    for (const run of this.#devices) if (run.random() < share) run.link.cut();
  }

  /** Rates and latencies are since the last call, `onProgress` included. */
  progress(): FleetProgress {
    return this.#run.progress();
  }

  #memberOf({ link, turn, cut }: Run): Member {
    const { alarms } = this.#switchboard;
    return {
      get inFlight() {
        return link.inFlight;
      },
      get queued() {
        return link.queued;
      },
      rest: () => {
        alarms.clear(turn);
        alarms.clear(cut);
      },
      stop: () => link.stop(),
    };
  }

  #makeRun(device: SimulatedDevice, family: string): Run {
    const random = sfc32(childSeed(this.#settings.seed, `${device.name} link`));
    const { clean, window, maxQueued } = this.#settings;
    const clientId = `sim-${family}-${device.name}`;
    const switchboard = this.#switchboard;
    const { watcher } = this.#run;
    const link = new DeviceLink<Reading>(
      { switchboard, clientId, clean, window, maxQueued, random },
      {
        onWritten: (reading, again) => this.#onWritten(reading, again),
        onAcknowledged: (reading) => {
          this.#run.acknowledged(reading.n, performance.now() - reading.writtenAt);
          this.#advance(run);
        },
        onDropped: ({ device: d }) => {
          this.#run.tally.dropped += 1;
          this.#run.record({ t: "dropped", at: this.#now(), d, count: 1 });
        },
        onOnline: () => watcher.online(),
        onOffline: () => watcher.offline(false),
        onFault: (reason) => watcher.fault(reason),
      },
    );
    const run: Run = {
      device,
      link,
      random,
      turn: new Alarm(() => this.#takeTurn(run)),
      cut: new Alarm(() => {
        run.link.cut();
        this.#planCut(run);
      }),
      history: undefined,
      liveFrom: 0,
      firstDue: 0,
      ticks: 0,
      made: 0,
      lastTime: 0,
      done: false,
    };
    return run;
  }

  /** Sends as much of the history as the window takes; after its end the device goes live. */
  #advance(run: Run): void {
    if (!this.#run.running || run.liveFrom > 0) return;
    const { window, backfillStepMs, rate } = this.#settings;
    while (run.history !== undefined) {
      if (run.history > this.#now()) run.history = undefined;
      else if (run.link.queued + run.link.inFlight >= window) return;
      else {
        this.#measure(run, run.history);
        run.history += backfillStepMs;
      }
    }
    run.liveFrom = this.#now();
    run.firstDue = run.liveFrom + (1000 / rate) * run.random();
    this.#planReading(run);
  }

  #planReading(run: Run): void {
    this.#ring(run.turn, this.#due(run) - this.#now());
  }

  #takeTurn(run: Run): void {
    if (run.liveFrom === 0) {
      run.link.start();
      this.#advance(run);
      this.#planCut(run);
      return;
    }
    const { durationMs, count, rate, maxQueued } = this.#settings;
    const now = this.#now();
    // After a long sleep of the machine there is no use in making what would be dropped again at once.
    const behind = Math.floor((now - this.#due(run)) * (rate / 1000));
    if (behind > maxQueued) run.ticks += behind - maxQueued;
    while (!run.done && this.#due(run) <= now) {
      if (this.#due(run) - run.liveFrom >= durationMs || run.made >= count) run.done = true;
      else {
        if (this.#measure(run, this.#due(run))) run.made += 1;
        run.ticks += 1;
      }
    }
    if (run.made >= count) run.done = true;
    if (!run.done) this.#planReading(run);
    else {
      this.#live -= 1;
      if (this.#live === 0) void this.#run.end({ patient: true });
    }
  }

  #due(run: Run): number {
    return run.firstDue + (run.ticks * 1000) / this.#settings.rate;
  }

  /** @returns false where the device has nothing to say at that moment */
  #measure(run: Run, at: number): boolean {
    const time = Math.max(run.lastTime + 1, Math.floor(at));
    const metrics = sample(run.device, time);
    if (Object.keys(metrics).length === 0) return false;
    run.lastTime = time;
    const device = run.device.name;
    const payload = JSON.stringify({ time, ...metrics });
    const topic = `sensors/${device}`;
    run.link.offer({ topic, payload, device, time, metrics, n: 0, writtenAt: 0 });
    return true;
  }

  #onWritten(reading: Reading, again: boolean): void {
    const { tally } = this.#run;
    const at = this.#now();
    if (again) {
      tally.resent += 1;
      this.#run.record({ t: "resent", n: reading.n, at });
      return;
    }
    tally.sent += 1;
    reading.n = tally.sent;
    reading.writtenAt = performance.now();
    const { n, device, time, metrics } = reading;
    this.#run.record({ t: "sent", n, at, d: device, time, m: metrics });
  }

  #planCut(run: Run): void {
    const { reconnectEveryMs } = this.#settings;
    if (reconnectEveryMs === 0) return;
    this.#ring(run.cut, reconnectEveryMs * (0.5 + run.random()));
  }

  #ring(alarm: Alarm, ms: number): void {
    const { alarms, now } = this.#switchboard;
    alarms.set(alarm, now() + Math.max(0, ms));
  }
}
