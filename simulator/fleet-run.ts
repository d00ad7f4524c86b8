/**
 * What every run over real connections has in common, whatever its devices are: counts, ledger, progress, giving up where
 * no broker is, and the end: nothing more is made, what was sent is waited for, connections and ledger are closed.
 */
import { brokerUnreachable, SimulatorError } from "./errors.ts";
import { type FleetProgress, type FleetSummary, Tally } from "./fleet-progress.ts";
import { type LedgerLine, LedgerWriter } from "./ledger.ts";
import type { WorldWatcher } from "./mqtt/mqtt-world.ts";

/** One device as the run sees it. */
export interface Member {
  /** Written and not acknowledged. */
  readonly inFlight: number;
  /** Made and not written yet, and would be if it could. */
  readonly queued: number;
  /** A battery node between two times that it wakes up: it wants no connection. */
  readonly sleeps?: boolean;
  /** Kept for later by its own will: a battery node that sleeps. */
  readonly asleep?: number;
  /** Makes nothing more. */
  rest(): void;
  /** @returns when its connection has ended */
  stop(): Promise<void>;
}

export interface FleetRunOptions {
  readonly host: string;
  readonly port: number;
  readonly connectMs: number | undefined;
  readonly drainMs: number;
  readonly progressEveryMs: number;
  readonly ledger: string | undefined;
  readonly onProgress: ((progress: FleetProgress) => void) | undefined;
  /** ms since 1970. */
  readonly now: () => number;
}

/** Between two looks at whether everything has been acknowledged, ms: all devices are asked each time. */
const LOOK_EVERY_MS = 20;

export class FleetRun {
  readonly tally = new Tally();
  /** For every device's connection. */
  readonly watcher: WorldWatcher;
  readonly #options: FleetRunOptions;
  readonly #ledger: LedgerWriter | undefined;
  readonly #finished = Promise.withResolvers<FleetSummary>();
  #members: readonly Member[] = [];
  #state: "new" | "running" | "draining" | "ended" = "new";
  #progressTimer: NodeJS.Timeout | undefined;
  #givingUp: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #acknowledgedAt = 0;
  #connected = 0;
  #everConnected = false;
  #stopAsked = false;

  constructor(options: FleetRunOptions) {
    this.#options = options;
    this.#ledger = options.ledger === undefined ? undefined : new LedgerWriter(options.ledger);
    // Whoever does not wait for the end is told of a failure by stop().
    this.#finished.promise.catch(() => undefined);
    this.watcher = {
      online: () => {
        this.#connected += 1;
        this.#everConnected = true;
      },
      offline: (asPlanned) => {
        this.#connected -= 1;
        if (!asPlanned && this.#state !== "ended") this.tally.reconnects += 1;
      },
      fault: (reason) => this.tally.fault(reason),
    };
  }

  /** False before the start, and as soon as it comes to its end. */
  get running(): boolean {
    return this.#state === "running";
  }

  get isNew(): boolean {
    return this.#state === "new";
  }

  get finished(): Promise<FleetSummary> {
    return this.#finished.promise;
  }

  /** @throws SimulatorError `ledger` */
  begin(header: Extract<LedgerLine, { t: "ledger" }>, members: readonly Member[]): void {
    this.#ledger?.start();
    this.#state = "running";
    this.#startedAt = performance.now();
    this.#members = members;
    this.record(header);
    const { connectMs, progressEveryMs, onProgress } = this.#options;
    if (connectMs !== undefined) {
      this.#givingUp = setTimeout(() => {
        if (!this.#everConnected) void this.end({ patient: false });
      }, connectMs);
    }
    if (!onProgress && !this.#ledger) return;
    this.#progressTimer = setInterval(() => {
      onProgress?.(this.progress());
      this.#guard(() => this.#ledger?.flush());
    }, progressEveryMs);
  }

  record(line: LedgerLine): void {
    this.#guard(() => this.#ledger?.write(line));
  }

  /** @param latencyMs from the first writing */
  acknowledged(n: number, latencyMs: number): void {
    this.tally.acknowledge(latencyMs);
    this.#acknowledgedAt = performance.now();
    this.record({ t: "ack", n, at: this.#options.now() });
  }

  /** Rates and latencies are since the last call, `onProgress` included. */
  progress(): FleetProgress {
    const elapsedMs = this.#elapsed();
    const { sent, acknowledged, dropped, resent, reconnects } = this.tally;
    const counts = { sent, acknowledged, dropped, resent, reconnects };
    const sleeping = this.#sum(({ sleeps = false }) => Number(sleeps));
    return {
      elapsedMs,
      devices: this.#members.length,
      connected: this.#connected,
      sleeping,
      ...counts,
      outstanding: this.#sum(({ inFlight }) => inFlight),
      queued: this.#sum(({ queued }) => queued),
      ...this.tally.rates(elapsedMs),
      fault: this.#connected + sleeping < this.#members.length ? this.tally.lastFault : undefined,
    };
  }

  /** Ends it at once, waiting for acknowledgements only so long. */
  async stop(): Promise<FleetSummary> {
    this.#stopAsked = true;
    if (this.#state === "new") {
      this.#state = "ended";
      this.#finished.resolve(this.#summary());
    } else if (this.#state === "running") await this.end({ patient: false });
    return this.finished;
  }

  /** @param patient waits as long as acknowledgements keep coming, not only `drainMs` in all */
  async end({ patient }: { readonly patient: boolean }): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "draining";
    clearInterval(this.#progressTimer);
    clearTimeout(this.#givingUp);
    for (const member of this.#members) member.rest();
    // Where no broker ever was, there is nothing to wait for.
    if (patient || this.tally.sent > 0 || this.#connected > 0) await this.#drained(patient);
    this.#options.onProgress?.(this.progress());
    const summary = this.#summary();
    this.#state = "ended";
    await Promise.all(this.#members.map((member) => member.stop()));
    const { sent, acknowledged } = summary;
    this.record({ t: "end", at: this.#options.now(), sent, acknowledged });
    this.#guard(() => this.#ledger?.stop());
    const { host, port, connectMs } = this.#options;
    if (!this.#everConnected && !this.#stopAsked && connectMs !== undefined) {
      this.#finished.reject(brokerUnreachable(host, port, this.tally.lastFault));
    }
    this.#finished.resolve(summary);
  }

  async #drained(patient: boolean): Promise<void> {
    const { drainMs, connectMs = Number.POSITIVE_INFINITY } = this.#options;
    const begun = performance.now();
    const waitMs = this.#everConnected ? drainMs : Math.min(drainMs, connectMs);
    const left = () => this.#sum(({ inFlight, queued }) => inFlight + queued);
    for (;;) {
      if (left() === 0) return;
      const from = patient ? Math.max(begun, this.#acknowledgedAt) : begun;
      const restMs = from + waitMs - performance.now();
      if (restMs <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_EVERY_MS, restMs)));
    }
  }

  #summary(): FleetSummary {
    const { sent, acknowledged, dropped, resent, reconnects, whole, lateness, faults } = this.tally;
    return {
      elapsedMs: this.#elapsed(),
      devices: this.#members.length,
      sent,
      acknowledged,
      unacknowledged: this.#sum(({ inFlight }) => inFlight),
      unsent: this.#sum(({ queued }) => queued),
      asleep: this.#sum(({ asleep = 0 }) => asleep),
      dropped,
      resent,
      reconnects,
      latencyP50Ms: whole.quantile(0.5),
      latencyP99Ms: whole.quantile(0.99),
      latenessP99Ms: lateness.quantile(0.99),
      faults: [...faults].sort(([, a], [, b]) => b - a),
    };
  }

  /** A run whose record has a hole is worth nothing: it ends. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error;
      this.#finished.reject(error);
      void this.end({ patient: false });
    }
  }

  #sum(of: (member: Member) => number): number {
    let total = 0;
    for (const member of this.#members) total += of(member);
    return total;
  }

  #elapsed(): number {
    return this.#startedAt === 0 ? 0 : performance.now() - this.#startedAt;
  }
}
