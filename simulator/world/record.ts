/**
 * What happened in a run: a line for each thing that a person would want to see beside a failure, and how often each kind
 * of fault has struck, which is more than that it was planned: a disk that fails while nobody writes has hurt nobody.
 */
import type { Logger } from "pino";

export interface TimelineEntry {
  /** ms from the beginning of the run. */
  readonly at: number;
  /** A gateway, a device, the site, or what failed. */
  readonly who: string;
  readonly what: string;
}

/** More lines than that and the oldest go. */
const MAX_LINES = 100_000;

export class RunRecord {
  readonly #now: () => number;
  #lines: TimelineEntry[] = [];
  readonly #strikes = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  note(who: string, what: string): void {
    if (this.#lines.length >= MAX_LINES) this.#lines = this.#lines.slice(MAX_LINES / 2);
    this.#lines.push({ at: this.#now(), who, what });
  }

  strike(kind: string): void {
    this.#strikes.set(kind, (this.#strikes.get(kind) ?? 0) + 1);
  }

  get timeline(): readonly TimelineEntry[] {
    return this.#lines;
  }

  get strikes(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#strikes].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The product's own log lines, from `warn` on, as part of the timeline. */
  logger(who: string): Logger {
    const told = (level: string) => (details: unknown, message?: string) => {
      const { reason } = (details ?? {}) as { readonly reason?: unknown };
      const text = message ?? String(details);
      this.note(who, `${level}: ${text}${reason === undefined ? "" : ` (${String(reason)})`}`);
    };
    const silent = () => {};
    return {
      ...{ level: "warn", trace: silent, debug: silent, info: silent },
      ...{ warn: told("warn"), error: told("error"), fatal: told("fatal") },
    } as unknown as Logger;
  }
}

/** `3d 04:05:06.007`, from the beginning of the run. */
export function clockText(ms: number): string {
  const days = Math.floor(ms / 86_400_000);
  const text = new Date(ms % 86_400_000).toISOString().slice(11, 23);
  return days > 0 ? `${days}d ${text}` : text;
}
