/**
 * Is a gateway's link up? Judged by what it last said of itself and when it promised to say more; the evidence is always
 * given with the verdict. The link of a gateway and the silence of a device are two things. Pure.
 */
import type { GatewayView } from "../../cloud/read-model/port.ts";
import type { GatewayStatus } from "../../events/schema.ts";
import { formatAge, formatDuration } from "./format.core.ts";

export type LinkState = "online" | "late" | "offline" | "never" | "unknown";

/** A word is late half an interval after it was due: networks jitter. */
const LATE_INTERVALS = 1.5;
/** Three words missed in a row are no jitter. */
const OFFLINE_INTERVALS = 4;
/** Nothing is late before this, ms: a page needs 4 s to tell that its own server is what is silent. */
const MIN_LATE_MS = 5000;

export interface Link {
  readonly state: LinkState;
  readonly word: string;
  readonly evidence: string;
}

export function judgeLink(view: GatewayView, now: number): Link {
  const { status } = view;
  if (!status) {
    return {
      state: "never",
      word: "Never seen",
      evidence:
        view.totals.arrived > 0
          ? "its readings arrive, a status of its own has not yet"
          : "no status has arrived",
    };
  }
  const age = now - status.time;
  const due = `last heard ${formatAge(age)}, due every ${formatDuration(status.interval)}`;
  if (age > Math.max(status.interval * OFFLINE_INTERVALS, MIN_LATE_MS * 2)) {
    return { state: "offline", word: "Offline", evidence: due };
  }
  if (age > Math.max(status.interval * LATE_INTERVALS, MIN_LATE_MS)) {
    return { state: "late", word: "Late", evidence: due };
  }
  return { state: "online", word: "Online", evidence: due };
}

/** The same while nothing new can be known: the last verdict, with its time. */
export function pastLink(view: GatewayView, at: number, clock: string): Link {
  const { word } = judgeLink(view, at);
  return { state: "unknown", word: "Unknown", evidence: `${word.toLowerCase()} as of ${clock}` };
}

/** What is wrong with a gateway's clock, if anything. */
export function clockWord(clock: GatewayStatus["clock"]): string | undefined {
  if (!clock) return undefined;
  if (!clock.synced) return "Its clock is not set: readings wait for their time";
  if (clock.off === undefined) return undefined;
  const off = formatDuration(Math.abs(clock.off));
  return `Its clock is ${off} ${clock.off > 0 ? "ahead" : "behind"}, and is not believed`;
}

/** A device says nothing of when it will speak again; this long without a reading is worth a word, ms. */
export const DEVICE_QUIET_MS = 5 * 60_000;

/** Events that a gateway holds and the log has not acknowledged. */
export function backlog(view: GatewayView): number {
  const { status } = view;
  if (!status) return 0;
  // What waits may be of earlier epochs too; only the buffer itself knows.
  return status.buffer?.waiting ?? Math.max(0, status.accepted - status.forwarded);
}
