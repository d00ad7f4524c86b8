/** What is to be said of whose id a gateway has: two that share one, a copy that has its own, and where a card went. Pure. */
import type { GatewayView } from "../../cloud/read-model/port.ts";

export interface IdentityWord {
  readonly tone: "info" | "warning" | "critical";
  readonly text: string;
  /** Another gateway that it is about. */
  readonly other?: string;
}

/** Whether two count on one epoch: what one of them accepts is taken for repeats of the other's. */
export function losesReadings({ sharedBy = [] }: GatewayView): boolean {
  return new Set(sharedBy.map(({ epoch }) => epoch)).size < sharedBy.length;
}

/** @param all every gateway that is known, this one too */
export function identityWords(view: GatewayView, all: readonly GatewayView[]): IdentityWord[] {
  const words: IdentityWord[] = [];
  const { sharedBy, status, gateway } = view;
  if (sharedBy) {
    const many = sharedBy.length === 2 ? "Two" : String(sharedBy.length);
    const where = sharedBy.map(({ hardware, epoch }) =>
      hardware === undefined ? `epoch ${epoch}` : `hardware ${hardware}, epoch ${epoch}`,
    );
    const which = `${many} gateways use this id: ${where.join("; ")}`;
    words.push(
      losesReadings(view)
        ? {
            tone: "critical",
            text: `${which}. They count on one epoch, so readings of one are taken for repeats of the other's: stop one of them now and delete its buffer.mark, then it has an epoch of its own`,
          }
        : {
            tone: "warning",
            text: `${which}. Nothing is lost, but their devices are mixed up: give one of them another gateway_id, with a data directory of its own`,
          },
    );
  }
  if (status?.copy_of !== undefined) {
    words.push({
      tone: "info",
      text: "On other hardware than where its data began; it may be a copy of",
      other: status.copy_of,
    });
  }
  for (const other of all) {
    if (other.status?.copy_of !== gateway) continue;
    words.push({ tone: "info", text: "Its card, or a copy of it, is also", other: other.gateway });
  }
  return words;
}
