/** Counts of a run as it goes: what the fleet adds up, and what it shows. */
import { Latencies } from "./latency.ts";

export interface FleetProgress {
  readonly elapsedMs: number;
  readonly devices: number;
  readonly connected: number;
  /** Battery nodes that want no connection now. */
  readonly sleeping: number;
  /** Messages written to a socket at least once. */
  readonly sent: number;
  readonly acknowledged: number;
  /** Written and not acknowledged. */
  readonly outstanding: number;
  /** Made and not written yet. */
  readonly queued: number;
  /** Never written, because a device's queue was full. */
  readonly dropped: number;
  /** Messages written again, each time counted. */
  readonly resent: number;
  /** Connections that ended and will be made again. */
  readonly reconnects: number;
  /** Since the progress before. */
  readonly sentPerSecond: number;
  readonly acknowledgedPerSecond: number;
  /** From the first writing to the PUBACK, since the progress before; undefined where none came. */
  readonly latencyP50Ms: number | undefined;
  readonly latencyP99Ms: number | undefined;
  /** How late this process came to its devices' turns, since the progress before: more than a few ms, and it is too busy itself. */
  readonly latenessP99Ms: number | undefined;
  /** Why a device has no connection, the last reason heard; undefined while all that want one have it. */
  readonly fault: string | undefined;
}

export interface FleetSummary {
  readonly elapsedMs: number;
  readonly devices: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** Written, and no PUBACK by the deadline: may have arrived or not. */
  readonly unacknowledged: number;
  /** Made and never written. */
  readonly unsent: number;
  /** Kept by devices that sleep, for the next time that they wake up. */
  readonly asleep: number;
  readonly dropped: number;
  readonly resent: number;
  readonly reconnects: number;
  readonly latencyP50Ms: number | undefined;
  readonly latencyP99Ms: number | undefined;
  readonly latenessP99Ms: number | undefined;
  /** Why connections were not made or ended, and how often, the most frequent first. */
  readonly faults: readonly (readonly [reason: string, count: number])[];
}

const MAX_REASONS = 50;
const OTHER_REASONS = "other reasons";

export class Tally {
  sent = 0;
  acknowledged = 0;
  dropped = 0;
  resent = 0;
  reconnects = 0;
  readonly faults = new Map<string, number>();
  lastFault: string | undefined;
  readonly whole = new Latencies();
  readonly recent = new Latencies();
  readonly lateness = new Latencies();
  readonly recentLateness = new Latencies();
  #before = { at: 0, sent: 0, acknowledged: 0 };

  acknowledge(latencyMs: number): void {
    this.acknowledged += 1;
    this.whole.add(latencyMs);
    this.recent.add(latencyMs);
  }

  fault(reason: string): void {
    this.lastFault = reason;
    // Reasons come from a broker, too: what it makes up must not fill the memory.
    const known = this.faults.has(reason) || this.faults.size < MAX_REASONS;
    const name = known ? reason : OTHER_REASONS;
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
  }

  /** By how much this process was late itself, ms. */
  late(ms: number): void {
    this.lateness.add(ms);
    this.recentLateness.add(ms);
  }

  /** Rates and latencies since the last call. @param elapsedMs since the start, of a clock that never jumps */
  rates(elapsedMs: number): {
    sentPerSecond: number;
    acknowledgedPerSecond: number;
    latencyP50Ms: number | undefined;
    latencyP99Ms: number | undefined;
    latenessP99Ms: number | undefined;
  } {
    const { at, sent, acknowledged } = this.#before;
    const seconds = Math.max(1, elapsedMs - at) / 1000;
    const rates = {
      sentPerSecond: (this.sent - sent) / seconds,
      acknowledgedPerSecond: (this.acknowledged - acknowledged) / seconds,
      latencyP50Ms: this.recent.quantile(0.5),
      latencyP99Ms: this.recent.quantile(0.99),
      latenessP99Ms: this.recentLateness.quantile(0.99),
    };
    this.#before = { at: elapsedMs, sent: this.sent, acknowledged: this.acknowledged };
    this.recent.clear();
    this.recentLateness.clear();
    return rates;
  }
}
