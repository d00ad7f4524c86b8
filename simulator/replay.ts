/**
 * Publishes a recording over MQTT as one device, with the recording's own times.
 *
 * Promises: each row becomes one reading, rows with the same time too; a file with a row that cannot be read is refused,
 * with file and line, before anything is sent, unless bad rows are to be counted and passed over; at most `window` rows
 * are unacknowledged. Ends when every row is acknowledged, or when told to.
 */
import { basename, extname } from "node:path";
import type { MetricValue } from "../events/schema.ts";
import { nameFault } from "../gateway/mqtt/routes.ts";
import { brokerUnreachable, rangeFault, refuseFaults } from "./errors.ts";
import { Latencies } from "./latency.ts";
import { LedgerWriter } from "./ledger.ts";
import { DeviceLink, type Outgoing } from "./link.ts";
import { Switchboard } from "./mqtt/switchboard.ts";
import type { RecordedReading } from "./recording.ts";
import { type RecordingCheck, RecordingFile } from "./recording-file.ts";
import type { ReplayOptions, ReplayProgress, ReplaySummary } from "./replay-options.ts";

interface Row extends Outgoing {
  readonly time: number;
  readonly metrics: Readonly<Record<string, MetricValue>>;
  n: number;
  writtenAt: number;
}

const DEFAULT_WINDOW = 100;
const DEFAULT_WAIT_MS = 10_000;
const DEFAULT_PROGRESS_MS = 1000;
/** A timer takes 31 bits of milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @throws SimulatorError `options`, `recording` (with file and line), `broker_unreachable` or `ledger` */
export async function replayCsv(options: ReplayOptions): Promise<ReplaySummary> {
  return new Replay(options).run();
}

/** A file's name as the name of a device: what a topic cannot have becomes `-`. */
export function deviceOfFile(file: string): string {
  return basename(file, extname(file)).replaceAll(/[+#/\s]+/g, "-");
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #device: string;
  readonly #window: number;
  readonly #ledger: LedgerWriter | undefined;
  readonly #link: DeviceLink<Row>;
  readonly #latencies = new Latencies();
  readonly #startedAt = performance.now();
  /** Whatever may let somebody go on: an acknowledgement, a connection, the signal, a failure. */
  #wake = Promise.withResolvers<void>();
  #failure: unknown;
  #connected = false;
  #fault: string | undefined;
  readonly #recording: RecordingFile;
  #check: RecordingCheck = { metrics: [], rows: 0, skipped: 0, skippedBecause: [] };
  #offered = 0;
  #sent = 0;
  #acknowledged = 0;
  #resent = 0;
  #firstTime: number | undefined;
  #lastTime: number | undefined;
  #before = { at: 0, acknowledged: 0 };

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#device = options.device ?? deviceOfFile(options.file);
    this.#window = options.window ?? DEFAULT_WINDOW;
    const fault = nameFault(this.#device);
    refuseFaults([
      rangeFault("speed", options.speed ?? 0, 0, 1e9),
      rangeFault("window", this.#window, 1, 65_535),
      rangeFault("port", options.port, 1, 65_535),
      fault && `device ${JSON.stringify(this.#device)}: ${fault}`,
      /[+#/]/.test(this.#device) &&
        `device ${JSON.stringify(this.#device)}: a name in a topic has no +, # or /`,
      (options.delimiter ?? ",").length !== 1 && "delimiter: one character is needed",
    ]);
    this.#recording = new RecordingFile(options.file, options);
    this.#ledger = options.ledger === undefined ? undefined : new LedgerWriter(options.ledger);
    this.#link = this.#makeLink();
  }

  async run(): Promise<ReplaySummary> {
    const { signal, onProgress, progressEveryMs = DEFAULT_PROGRESS_MS } = this.#options;
    this.#check = await this.#recording.check();
    this.#ledger?.start();
    const onAbort = () => this.#wakeUp();
    signal?.addEventListener("abort", onAbort, { once: true });
    const progress = setInterval(() => {
      onProgress?.(this.#progress());
      this.#guard(() => this.#ledger?.flush());
    }, progressEveryMs);
    try {
      await this.#publishAll();
      await this.#drain();
      onProgress?.(this.#progress());
    } finally {
      clearInterval(progress);
      signal?.removeEventListener("abort", onAbort);
      await this.#link.stop();
      this.#record({
        t: "end",
        at: Date.now(),
        sent: this.#sent,
        acknowledged: this.#acknowledged,
      });
      this.#guard(() => this.#ledger?.stop());
    }
    this.#throwFailure();
    return this.#summary();
  }

  async #publishAll(): Promise<void> {
    const { speed = 0, file } = this.#options;
    this.#record({
      t: "ledger",
      kind: "replay",
      options: { file: basename(file), device: this.#device, speed, window: this.#window },
      at: Date.now(),
    });
    await this.#connect();
    let begun: { readonly at: number; readonly time: number } | undefined;
    for await (const reading of this.#recording.readings()) {
      begun ??= { at: performance.now(), time: reading.time };
      if (speed > 0) await this.#until(begun.at + (reading.time - begun.time) / speed);
      while (this.#link.inFlight + this.#link.queued >= this.#window && !this.#ending()) {
        await this.#wake.promise;
      }
      if (this.#ending()) return;
      this.#offer(reading);
    }
  }

  #offer({ time, metrics }: RecordedReading): void {
    this.#firstTime ??= time;
    this.#lastTime = time;
    this.#offered += 1;
    const payload = JSON.stringify({ time: new Date(time).toISOString(), ...metrics });
    const topic = `sensors/${this.#device}`;
    this.#link.offer({ topic, payload, time, metrics, n: 0, writtenAt: 0 });
  }

  async #connect(): Promise<void> {
    const { host, port, connectMs = DEFAULT_WAIT_MS } = this.#options;
    this.#link.start();
    const late = setTimeout(() => {
      this.#fail(brokerUnreachable(host, port, this.#fault));
    }, connectMs);
    while (!this.#connected && !this.#ending()) await this.#wake.promise;
    clearTimeout(late);
    this.#throwFailure();
  }

  /** Waits for what was sent; without end, unless the signal says so. */
  async #drain(): Promise<void> {
    const { drainMs = DEFAULT_WAIT_MS } = this.#options;
    let late = false;
    let deadline: NodeJS.Timeout | undefined;
    while (this.#acknowledged < this.#offered && !late && this.#failure === undefined) {
      if (this.#options.signal?.aborted && !deadline) {
        deadline = setTimeout(() => {
          late = true;
          this.#wakeUp();
        }, drainMs);
      }
      await this.#wake.promise;
    }
    clearTimeout(deadline);
    this.#throwFailure();
  }

  /** @param at of performance.now() */
  async #until(at: number): Promise<void> {
    for (;;) {
      const left = at - performance.now();
      if (left <= 0 || this.#ending()) return;
      const timer = setTimeout(() => this.#wakeUp(), Math.min(left, LONGEST_TIMER_MS));
      await this.#wake.promise;
      clearTimeout(timer);
    }
  }

  #makeLink(): DeviceLink<Row> {
    const { host, port, username, password } = this.#options;
    return new DeviceLink<Row>(
      {
        switchboard: new Switchboard({ address: { host, port, username, password } }),
        clientId: `replay-${crypto.randomUUID().slice(0, 8)}-${this.#device}`,
        clean: true,
        window: this.#window,
        // Never reached: no more than the window is offered.
        maxQueued: this.#window,
        random: Math.random,
      },
      {
        onWritten: (row, again) => this.#onWritten(row, again),
        onAcknowledged: (row) => {
          this.#acknowledged += 1;
          this.#latencies.add(performance.now() - row.writtenAt);
          this.#record({ t: "ack", n: row.n, at: Date.now() });
          this.#wakeUp();
        },
        onDropped: () => this.#fail(new Error("a row was dropped although the window is bounded")),
        onOnline: () => {
          this.#connected = true;
          this.#fault = undefined;
          this.#wakeUp();
        },
        onOffline: () => {
          this.#connected = false;
        },
        onFault: (reason) => {
          this.#fault = reason;
        },
      },
    );
  }

  #onWritten(row: Row, again: boolean): void {
    const at = Date.now();
    if (again) {
      this.#resent += 1;
      this.#record({ t: "resent", n: row.n, at });
      return;
    }
    this.#sent += 1;
    row.n = this.#sent;
    row.writtenAt = performance.now();
    this.#record({ t: "sent", n: row.n, at, d: this.#device, time: row.time, m: row.metrics });
  }

  #ending(): boolean {
    return this.#failure !== undefined || this.#options.signal?.aborted === true;
  }

  #wakeUp(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wakeUp();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #record(line: Parameters<LedgerWriter["write"]>[0]): void {
    this.#guard(() => this.#ledger?.write(line));
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #progress(): ReplayProgress {
    const elapsedMs = performance.now() - this.#startedAt;
    const seconds = Math.max(1, elapsedMs - this.#before.at) / 1000;
    const progress: ReplayProgress = {
      elapsedMs,
      device: this.#device,
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      total: this.#check.rows - this.#check.skipped,
      skipped: this.#check.skipped,
      resent: this.#resent,
      acknowledgedPerSecond: (this.#acknowledged - this.#before.acknowledged) / seconds,
      latencyP50Ms: this.#latencies.quantile(0.5),
      latencyP99Ms: this.#latencies.quantile(0.99),
      recordedTime: this.#lastTime,
      connected: this.#connected,
      fault: this.#connected ? undefined : this.#fault,
    };
    this.#before = { at: elapsedMs, acknowledged: this.#acknowledged };
    this.#latencies.clear();
    return progress;
  }

  #summary(): ReplaySummary {
    return {
      elapsedMs: performance.now() - this.#startedAt,
      device: this.#device,
      metrics: this.#check.metrics,
      rows: this.#check.rows,
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      skipped: this.#check.skipped,
      skippedBecause: this.#check.skippedBecause,
      resent: this.#resent,
      firstTime: this.#firstTime,
      lastTime: this.#lastTime,
      aborted: this.#options.signal?.aborted === true,
    };
  }
}
