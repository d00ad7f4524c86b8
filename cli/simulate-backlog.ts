/** What has not come through yet: told from a loss, it says that nothing can be said so far. */
import { setTimeout as pause } from "node:timers/promises";
import type { RunVerdict } from "../simulator/verify.ts";
import type { Unfinished } from "../simulator/verify-text.ts";
import type { OpenedLog } from "./open-log.ts";

export interface Backlog {
  /** Events that gateways have accepted and the ledger has not seen, by gateway. */
  readonly onTheWay: ReadonlyMap<string, number>;
  /** Records that the processors have not processed, by topology; undefined where they cannot be asked. */
  readonly behind: ReadonlyMap<string, number> | undefined;
}

export async function backlogOf(log: OpenedLog): Promise<Backlog> {
  const behind = await log.lag();
  const { rows } = await log.audit();
  const onTheWay = new Map(rows.map((row) => [row.gateway, row.onTheWay]));
  return { onTheWay, behind };
}

export function total(counts: ReadonlyMap<string, number> | undefined): number {
  let sum = 0;
  for (const count of counts?.values() ?? []) sum += count;
  return sum;
}

export function backlogLine({ onTheWay, behind }: Backlog): string {
  const whole = (count: number) => count.toLocaleString("en-US");
  const most = Math.max(0, ...(behind?.values() ?? []));
  return `${whole(total(onTheWay))} events are on their way, ${whole(most)} wait to be processed`;
}

/** What is less is mostly ticks and heartbeats, which come and go all the time. */
const FLICKER = 100;

/** Whether a backlog goes down, though more may come in than goes out. */
export class Progress {
  readonly #least = new Map<string, number>();
  readonly #last = new Map<string, number>();

  moved({ onTheWay, behind }: Backlog): boolean {
    let moved = false;
    for (const [what, count] of [["on the way", total(onTheWay)] as const, ...(behind ?? [])]) {
      const least = this.#least.get(what) ?? Number.POSITIVE_INFINITY;
      const last = this.#last.get(what) ?? 0;
      moved ||= count < least || (count < last && last > FLICKER);
      this.#least.set(what, Math.min(least, count));
      this.#last.set(what, count);
    }
    return moved;
  }
}

/** Ticks come all the time, and are a moment behind when they do. */
const TRIES = 5;
const TRY_EVERY_MS = 300;

/**
 * Whether it is the pipeline that has not ended, and not the verdict that is bad. What is double, changed or made up stays so,
 * whatever comes.
 */
export async function unfinished(
  log: OpenedLog,
  { ok, counts, gateways }: RunVerdict,
): Promise<Unfinished | undefined> {
  if (ok || counts.surplus + counts.changed + counts.unknown > 0) return undefined;
  let backlog = await backlogOf(log);
  const tries = log.still ? 1 : TRIES;
  for (let at = 1; at < tries && total(backlog.behind) > 0; at += 1) {
    await pause(TRY_EVERY_MS);
    const next = await backlogOf(log);
    if (total(next.behind) < total(backlog.behind)) backlog = next;
  }
  const behind = counted(backlog.behind ?? []);
  // Other gateways' backlogs are none of this run's, if it is known whose it is.
  const own = ([gateway]: [string, number]) => gateways.length === 0 || gateways.includes(gateway);
  const onTheWay = counts.missing === 0 ? [] : counted(backlog.onTheWay).filter(own);
  return behind.length + onTheWay.length > 0 ? { behind, onTheWay } : undefined;
}

function counted(counts: Iterable<[string, number]>): [string, number][] {
  return [...counts].filter(([, count]) => count > 0);
}
