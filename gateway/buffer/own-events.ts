/** The events that a buffer writes into the journal of itself: where an epoch begins, and what it had to give up. */
import { encodeEvent } from "../../events/codec.ts";
import type { EpochStart, LossReason, Stamp } from "../../events/schema.ts";
import type { NewEvent } from "./port.ts";

export type EpochCause = Pick<EpochStart, "reason" | "previous">;

export function epochEvent(stamp: Stamp, cause: EpochCause): NewEvent {
  const value = encodeEvent("tidegate.epoch", { ...stamp, ...cause });
  return { type: "tidegate.epoch", time: stamp.received, value };
}

/** @param from sequences, both included */
export function lossEvent(
  stamp: Stamp,
  from: number,
  to: number,
  reason: LossReason,
): NewEvent & { readonly span: number } {
  const value = encodeEvent("tidegate.loss", { ...stamp, from, to, reason });
  return { type: "tidegate.loss", time: stamp.received, value, span: to - from + 1 };
}
