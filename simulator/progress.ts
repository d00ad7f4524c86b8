/**
 * Progress as text: on a terminal one line that is written over, elsewhere (a pipe, a journal) a line now and then.
 */
import type { FleetProgress, FleetSummary } from "./fleet-progress.ts";
import type { ReplayProgress, ReplaySummary } from "./replay-options.ts";

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Between two lines where lines stay, ms: enough to see that it lives, little enough to scroll through. */
export const LINE_EVERY_MS = 5000;
const CLEAR_LINE = "\r\u001b[2K";

export class ProgressPrinter {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #lineAt = Number.NEGATIVE_INFINITY;
  #open = false;

  /** @param now ms, of a clock that does not jump */
  constructor(stream: ProgressStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  update(line: string): void {
    if (this.#stream.isTTY) {
      // A line that wraps could not be written over.
      const width = (this.#stream.columns ?? 80) - 1;
      const cut = line.length > width ? `${line.slice(0, width - 1)}…` : line;
      this.#stream.write(CLEAR_LINE + cut);
      this.#open = true;
      return;
    }
    if (this.#now() - this.#lineAt < LINE_EVERY_MS) return;
    this.#lineAt = this.#now();
    this.#stream.write(`${line}\n`);
  }

  /** Takes the moving line away and writes what stays. */
  end(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** Takes the moving line away, for what somebody else writes. */
  clear(): void {
    if (this.#open) this.#stream.write(CLEAR_LINE);
    this.#open = false;
  }
}

export function fleetLine(progress: FleetProgress): string {
  return [
    duration(progress.elapsedMs),
    connected(progress),
    `${whole(progress.acknowledged)} acknowledged (${whole(progress.acknowledgedPerSecond)}/s)`,
    latency(progress.latencyP50Ms, progress.latencyP99Ms),
    progress.outstanding > 0 && `${whole(progress.outstanding)} outstanding`,
    progress.queued > 0 && `${whole(progress.queued)} waiting`,
    progress.dropped > 0 && `${whole(progress.dropped)} dropped`,
    lateness(progress.latenessP99Ms),
    progress.fault !== undefined && progress.fault,
  ]
    .filter((part) => typeof part === "string")
    .join(" · ");
}

/** Those that sleep are as they should be. */
function connected({ connected, devices, sleeping }: FleetProgress): string {
  const missing = devices - connected - sleeping;
  if (sleeping === 0) return `${connected} of ${devices} connected`;
  return `${connected} connected, ${sleeping} asleep${missing > 0 ? `, ${missing} not connected` : ""}`;
}

export function fleetSummaryLine(summary: FleetSummary): string {
  return [
    `${whole(summary.sent)} sent by ${summary.devices} devices in ${duration(summary.elapsedMs)}`,
    `${whole(summary.acknowledged)} acknowledged`,
    latency(summary.latencyP50Ms, summary.latencyP99Ms),
    summary.unacknowledged > 0 && `${whole(summary.unacknowledged)} not acknowledged`,
    summary.unsent > 0 && `${whole(summary.unsent)} not sent`,
    summary.dropped > 0 && `${whole(summary.dropped)} dropped`,
    summary.resent > 0 && `${whole(summary.resent)} sent again`,
    summary.asleep > 0 && `${whole(summary.asleep)} kept by sleeping devices`,
    summary.reconnects > 0 && `${whole(summary.reconnects)} reconnects`,
    ...summary.faults.slice(0, TOLD_FAULTS).map(([reason, count]) => `${whole(count)} × ${reason}`),
  ]
    .filter((part) => typeof part === "string")
    .join(", ");
}

export function replayLine(progress: ReplayProgress): string {
  const { acknowledged, total, recordedTime } = progress;
  const share = total === 0 ? 100 : Math.floor((100 * acknowledged) / total);
  return [
    duration(progress.elapsedMs),
    `${whole(acknowledged)} of ${whole(total)} rows (${share} %)`,
    `${whole(progress.acknowledgedPerSecond)}/s`,
    latency(progress.latencyP50Ms, progress.latencyP99Ms),
    recordedTime !== undefined && `at ${new Date(recordedTime).toISOString().slice(0, 16)}Z`,
    !progress.connected && (progress.fault ?? "not connected"),
  ]
    .filter((part) => typeof part === "string")
    .join(" · ");
}

export function replaySummaryLine(summary: ReplaySummary): string {
  const { sent, acknowledged, skipped, resent, device, firstTime, lastTime } = summary;
  const day = (time: number | undefined) =>
    time === undefined ? "?" : new Date(time).toISOString().slice(0, 10);
  return [
    `${whole(sent)} rows sent as ${device} in ${duration(summary.elapsedMs)}`,
    `${whole(acknowledged)} acknowledged`,
    sent > 0 && `recorded from ${day(firstTime)} to ${day(lastTime)}`,
    skipped > 0 && `${whole(skipped)} rows passed over (${summary.skippedBecause[0]})`,
    resent > 0 && `${whole(resent)} sent again`,
    summary.aborted && "stopped before the end",
  ]
    .filter((part) => typeof part === "string")
    .join(", ");
}

function latency(p50: number | undefined, p99: number | undefined): string | false {
  return p50 !== undefined && p99 !== undefined && `${short(p50)} ms (p99 ${short(p99)})`;
}

/** Reasons why connections ended that a line has room for. */
const TOLD_FAULTS = 3;

/** Then the figures beside it say more of this machine than of the gateway. */
const LATE_MS = 50;

function lateness(p99: number | undefined): string | false {
  return p99 !== undefined && p99 > LATE_MS && `this process is ${short(p99)} ms late itself`;
}

function short(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

function whole(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (seconds < 10) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  if (minutes < 60) return `${minutes}:${String(seconds % 60).padStart(2, "0")} min`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}
