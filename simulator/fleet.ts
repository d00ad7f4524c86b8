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
import { brokerUnreachable, SimulatorError } from "./errors.ts";
import { type FleetOptions, type FleetSettings, fleetSettings } from "./fleet-options.ts";
import { type FleetProgress, type FleetSummary, Tally } from "./fleet-progress.ts";
import { makeDevices, type SimulatedDevice, sample } from "./kinds.ts";
import { LedgerWriter } from "./ledger.ts";
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
  readonly #ledger: LedgerWriter | undefined;
  readonly #runs: Run[] = [];
  readonly #tally = new Tally();
  /** Of the fleet as a whole. */
  readonly #alarms = new Set<Alarm>();
  readonly #finished = Promise.withResolvers<FleetSummary>();
  #state: "new" | "running" | "draining" | "ended" = "new";
  #startedAt = 0;
  #connected = 0;
  #everConnected = false;
  #stopAsked = false;
  #live = 0;
  #fault: string | undefined;
  /** Called when something was acknowledged while draining. */
  #onDrained: (() => void) | undefined;

  /** @throws SimulatorError `options` */
  constructor(options: FleetOptions) {
    this.#options = options;
    this.#settings = fleetSettings(options);
    const { host, port, username, password } = options;
    this.#switchboard = new Switchboard({
      address: { host, port, username, password },
      onLate: (ms) => this.#tally.late(ms),
    });
    this.#now = options.now ?? this.#switchboard.now;
    this.#ledger = options.ledger === undefined ? undefined : new LedgerWriter(options.ledger);
    // Whoever does not wait for the end is told of a failure by stop().
    this.#finished.promise.catch(() => undefined);
  }

  /** Settles when the run has ended: by `count`, `durationMs`, `stop` a ledger that cannot be written, or no broker in `connectMs`. */
  get finished(): Promise<FleetSummary> {
    return this.#finished.promise;
  }

  /** Begins to connect; does not wait for a broker to be there. @throws SimulatorError `ledger` */
  async start(): Promise<void> {
    if (this.#state !== "new") return;
    this.#ledger?.start();
    this.#state = "running";
    this.#startedAt = performance.now();
    const { seed, prefix, connectsPerSecond, backfillMs } = this.#settings;
    const { devices } = this.#options;
    const made = typeof devices === "number" ? makeDevices(devices, seed, prefix) : devices;
    this.#record({
      t: "ledger",
      kind: "fleet",
      seed,
      options: { ...this.#settings, devices: made.map(({ name }) => name) },
      at: this.#now(),
    });
    this.#live = made.length;
    // A clean session needs no lasting name, and two simulators with one seed must not push each other out.
    const family = this.#settings.clean ? randomBytes(4).toString("hex") : `${seed}`;
    for (const [index, device] of made.entries()) {
      const run = this.#makeRun(device, family);
      this.#runs.push(run);
      if (backfillMs > 0) run.history = this.#now() - backfillMs;
      this.#ring(run.turn, (1000 * index) / connectsPerSecond);
    }
    this.#planProgress();
    this.#planGivingUp();
  }

  /**
   * Makes no more readings, waits for the acknowledgements of those made (at most `drainMs`), closes connections and
   * ledger. @throws SimulatorError `ledger`, `broker_unreachable` where that had ended it before
   */
  async stop(): Promise<FleetSummary> {
    this.#stopAsked = true;
    if (this.#state === "new") {
      this.#state = "ended";
      this.#finished.resolve(this.#summary());
    } else if (this.#state === "running") await this.#end({ patient: false });
    return this.finished;
  }

  /** Cuts the connections of a share of the devices, as a lost radio link does; they come back by themselves. */
  cutConnections(share = 1): void {
    for (const run of this.#runs) if (run.random() < share) run.link.cut();
  }

  /** Rates and latencies are since the last call, `onProgress` included. */
  progress(): FleetProgress {
    const elapsedMs = this.#elapsed();
    const connected = this.#connected;
    return {
      elapsedMs,
      devices: this.#runs.length,
      connected,
      sent: this.#tally.sent,
      acknowledged: this.#tally.acknowledged,
      outstanding: this.#sum((link) => link.inFlight),
      queued: this.#sum((link) => link.queued),
      dropped: this.#tally.dropped,
      resent: this.#tally.resent,
      reconnects: this.#tally.reconnects,
      ...this.#tally.rates(elapsedMs),
      fault: connected < this.#runs.length ? this.#fault : undefined,
    };
  }

  #makeRun(device: SimulatedDevice, family: string): Run {
    const random = sfc32(childSeed(this.#settings.seed, `${device.name} link`));
    const { clean, window, maxQueued } = this.#settings;
    const clientId = `sim-${family}-${device.name}`;
    const switchboard = this.#switchboard;
    const link = new DeviceLink<Reading>(
      { switchboard, clientId, clean, window, maxQueued, random },
      {
        onWritten: (reading, again) => this.#onWritten(reading, again),
        onAcknowledged: (reading) => {
          this.#onAcknowledged(reading);
          this.#advance(run);
        },
        onDropped: ({ device: d }) => {
          this.#tally.dropped += 1;
          this.#record({ t: "dropped", at: this.#now(), d, count: 1 });
        },
        onOnline: () => {
          this.#connected += 1;
          this.#everConnected = true;
        },
        onOffline: () => {
          this.#connected -= 1;
          this.#tally.reconnects += 1;
        },
        onFault: (reason) => {
          this.#fault = reason;
        },
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
    if (this.#state !== "running" || run.liveFrom > 0) return;
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
      if (this.#live === 0) void this.#end({ patient: true });
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
    const at = this.#now();
    if (again) {
      this.#tally.resent += 1;
      this.#record({ t: "resent", n: reading.n, at });
      return;
    }
    this.#tally.sent += 1;
    reading.n = this.#tally.sent;
    reading.writtenAt = performance.now();
    const { n, device, time, metrics } = reading;
    this.#record({ t: "sent", n, at, d: device, time, m: metrics });
  }

  #onAcknowledged(reading: Reading): void {
    this.#tally.acknowledge(performance.now() - reading.writtenAt);
    this.#record({ t: "ack", n: reading.n, at: this.#now() });
    this.#onDrained?.();
  }

  #planCut(run: Run): void {
    const { reconnectEveryMs } = this.#settings;
    if (reconnectEveryMs === 0) return;
    this.#ring(run.cut, reconnectEveryMs * (0.5 + run.random()));
  }

  #planGivingUp(): void {
    const { connectMs } = this.#options;
    if (connectMs === undefined) return;
    this.#after(connectMs, () => {
      if (!this.#everConnected) void this.#end({ patient: false });
    });
  }

  #planProgress(): void {
    const { onProgress } = this.#options;
    if (!onProgress && !this.#ledger) return;
    this.#after(this.#settings.progressEveryMs, () => {
      onProgress?.(this.progress());
      this.#guard(() => this.#ledger?.flush());
      this.#planProgress();
    });
  }

  /** @param patient waits as long as acknowledgements keep coming, not only `drainMs` in all */
  async #end({ patient }: { readonly patient: boolean }): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "draining";
    const { alarms } = this.#switchboard;
    for (const alarm of this.#alarms) alarms.clear(alarm);
    for (const { turn, cut } of this.#runs) {
      alarms.clear(turn);
      alarms.clear(cut);
    }
    // Where no broker ever was, there is nothing to wait for.
    if (patient || this.#tally.sent > 0 || this.#connected > 0) await this.#drained(patient);
    this.#options.onProgress?.(this.progress());
    const summary = this.#summary();
    this.#state = "ended";
    await Promise.all(this.#runs.map(({ link }) => link.stop()));
    const { sent, acknowledged } = summary;
    this.#record({ t: "end", at: this.#now(), sent, acknowledged });
    this.#guard(() => this.#ledger?.stop());
    const { host, port, connectMs } = this.#options;
    if (!this.#everConnected && !this.#stopAsked && connectMs !== undefined) {
      this.#finished.reject(brokerUnreachable(host, port, this.#fault));
    }
    this.#finished.resolve(summary);
  }

  #drained(patient: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { connectMs = Number.POSITIVE_INFINITY } = this.#options;
    const { drainMs } = this.#settings;
    const deadline = setTimeout(
      resolve,
      this.#everConnected ? drainMs : Math.min(drainMs, connectMs),
    );
    const look = () => {
      if (this.#sum((link) => link.inFlight + link.queued) === 0) resolve();
      else if (patient) deadline.refresh();
    };
    this.#onDrained = look;
    look();
    return promise.finally(() => {
      clearTimeout(deadline);
      this.#onDrained = undefined;
    });
  }

  #summary(): FleetSummary {
    const { sent, acknowledged, dropped, resent, reconnects, whole, lateness } = this.#tally;
    return {
      elapsedMs: this.#elapsed(),
      devices: this.#runs.length,
      sent,
      acknowledged,
      unacknowledged: sent - acknowledged,
      unsent: this.#sum((link) => link.queued),
      dropped,
      resent,
      reconnects,
      latencyP50Ms: whole.quantile(0.5),
      latencyP99Ms: whole.quantile(0.99),
      latenessP99Ms: lateness.quantile(0.99),
    };
  }

  #record(line: Parameters<LedgerWriter["write"]>[0]): void {
    this.#guard(() => this.#ledger?.write(line));
  }

  /** A run whose record has a hole is worth nothing: it ends. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error;
      this.#finished.reject(error);
      void this.#end({ patient: false });
    }
  }

  #after(ms: number, work: () => void): void {
    const alarm = new Alarm(() => {
      this.#alarms.delete(alarm);
      work();
    });
    this.#alarms.add(alarm);
    this.#ring(alarm, ms);
  }

  #ring(alarm: Alarm, ms: number): void {
    const { alarms, now } = this.#switchboard;
    alarms.set(alarm, now() + Math.max(0, ms));
  }

  #sum(of: (link: DeviceLink<Reading>) => number): number {
    let total = 0;
    for (const { link } of this.#runs) total += of(link);
    return total;
  }

  #elapsed(): number {
    return this.#startedAt === 0 ? 0 : performance.now() - this.#startedAt;
  }
}
