/** What there is to say of a gateway's identity: its id, its hardware, and what a start here would make of both. Pure. */
import { type Boards, currentOf, type Settled } from "../gateway/boards.core.ts";
import { KINDS, type Kind } from "../gateway/hardware.core.ts";
import type { Hardware } from "../gateway/hardware.ts";
import type { Finding } from "./doctor.core.ts";

const NAMES: Readonly<Record<Kind, string>> = {
  set: "hardware.id",
  serial: "the processor's serial number",
  product_uuid: "the UUID of its firmware",
  board_serial: "the board's serial number",
  product_serial: "the product's serial number",
  mac: "network cards",
};

export interface Whose {
  readonly hardware: Hardware;
  /** Undefined where no gateway was started here yet. */
  readonly boards: Boards | undefined;
  /** What a start would come to; undefined where it would be refused, or there is nothing to start on. */
  readonly next: Settled | undefined;
}

/** By what the hardware can be told, without telling it. */
export function hardwareText({ evidence, unreadable, passedOver }: Hardware): string {
  const known = KINDS.flatMap((kind) => {
    const count = evidence[kind]?.length ?? 0;
    return count === 0 ? [] : [count === 1 ? NAMES[kind] : `${NAMES[kind]} (${count})`];
  });
  const told = known.length === 0 ? "nothing tells it from other hardware" : known.join(", ");
  const rest = unreadable.map((kind) => NAMES[kind]).join(", ");
  return [
    told,
    ...(rest === "" ? [] : [`not for this user to read: ${rest}`]),
    ...(passedOver === undefined ? [] : [`the machine itself is not looked at: ${passedOver}`]),
  ].join("; ");
}

/** Under which id the data goes on here. */
export function identityText({ boards, next }: Pick<Whose, "boards" | "next">): string {
  if (!boards) return "none yet: it is made at the first start";
  const { gateway, base } = currentOf(boards);
  const now = gateway === base ? gateway : `${gateway}, on other hardware than ${base}`;
  if (!next) return `${now}; the configuration names another one, and a start is refused`;
  const { from, board } = next;
  return from ? `${now}; at a start here ${board.gateway}, with a new epoch` : now;
}

export function identityFindings(whose: Whose): Finding[] {
  const { hardware, boards, next } = whose;
  const area = "identity";
  const isTold = Object.keys(hardware.evidence).length > 0;
  const about: Finding = {
    ...{ area, subject: "this hardware", text: hardwareText(hardware) },
    state: isTold ? "ok" : "unknown",
    ...(isTold ? {} : { fix: "set hardware.id, or a copied card is not noticed" }),
  };
  const id: Finding = { area, subject: "this gateway", text: identityText(whose), state: "ok" };
  if (boards && !next) {
    const fix = "use another data directory for another gateway, or leave gateway_id out";
    return [about, { ...id, state: "fail", fix }];
  }
  if (!next || next.board.gateway === next.board.base) return [about, id];
  const fix =
    "a copy: set gateway_id to name it; a replaced board: set hardware.on_new_hardware to keep";
  return [about, { ...id, state: "warn", fix }];
}
