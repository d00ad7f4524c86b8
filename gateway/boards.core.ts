/**
 * Under which id a gateway runs on which hardware: a table that goes with the data, and what a start makes of it. Pure.
 *
 * A card that is found on other hardware may be a copy whose original goes on, so it goes on under an id of its own: the one
 * it had, with the board's name behind it. That is the same each time the card is in that board, and back in the first one
 * it has its first id again. Who owns the newest epoch stands in the buffer itself (chapters.core.ts), which begins another
 * one whenever that is somebody else: so nothing here has to be on disk before anything there.
 */
import type { GatewayId } from "../events/ids.ts";
import type { Owner } from "./buffer/chapters.core.ts";
import { boardName, type Evidence, isEmpty, likeness, together } from "./hardware.core.ts";

/** What to do on hardware that was not seen with this data before. */
export const ON_NEW_HARDWARE = ["suffix", "keep"] as const;
export type OnNewHardware = (typeof ON_NEW_HARDWARE)[number];

export interface Board {
  readonly name: string;
  /** The id that the data has on it. */
  readonly gateway: GatewayId;
  /** The same without a suffix of ours. */
  readonly base: GatewayId;
  /** Hashed. */
  readonly evidence: Evidence;
}

export interface Boards {
  /** The id that the data was made under: of all that the buffer holds without an owner. */
  readonly origin: GatewayId;
  /** Goes into every hash. It is copied with the card, so that copies can be told from each other. */
  readonly salt: string;
  /** The first one is where the data was made, or first seen. */
  readonly boards: readonly [Board, ...Board[]];
  /** Name of the one that the data was on last. */
  readonly current: string;
}

export interface Wishes {
  /** `gateway_id` of the configuration. */
  readonly wanted: string | undefined;
  readonly onNewHardware: OnNewHardware;
}

export interface Settled {
  readonly boards: Boards;
  readonly board: Board;
  /** Whose the epochs are that begin from here on; undefined for the id and the hardware that the data began with. */
  readonly owner: Owner | undefined;
  /** Whether the hardware could be told at all. */
  readonly known: boolean;
  /** Where the data was before; undefined where that is the same board, under the same id. */
  readonly from: Board | undefined;
}

/** Beside the first and the newest nobody needs them. */
const MOST_BOARDS = 32;
/** Of an id. */
const MOST_LETTERS = 64;
const SUFFIX_LETTERS = 5;

export function firstBoards(gateway: GatewayId, salt: string, evidence: Evidence): Boards {
  const name = boardName(evidence, salt);
  const board = { name, gateway, base: gateway, evidence };
  return { origin: gateway, salt, boards: [board], current: name };
}

/**
 * @param now hashed with the table's salt
 * @returns undefined where the configuration names another gateway than the one that the data belongs to
 */
export function settle(table: Boards, now: Evidence, wishes: Wishes): Settled | undefined {
  const before = currentOf(table);
  const { board: found, known } = boardOf(table, before, now);
  const board = named(table, before, found, wishes);
  if (!board) return undefined;
  const [first] = table.boards;
  const others = table.boards.filter(({ name }) => name !== board.name && name !== first.name);
  // The newest last, so that the oldest go.
  const rest = board.name === first.name ? others : [...others, board];
  const head = board.name === first.name ? board : first;
  const boards = [head, ...rest.slice(1 - MOST_BOARDS)] as const;
  const atHome = board.name === first.name && board.gateway === table.origin;
  const moved = board.name !== before.name || board.gateway !== before.gateway;
  return {
    boards: { ...table, current: board.name, boards: [...boards] },
    board,
    known,
    owner: atHome ? undefined : { gateway: board.gateway, board: board.name },
    from: moved ? before : undefined,
  };
}

export function currentOf({ boards, current }: Boards): Board {
  return boards.find(({ name }) => name === current) ?? boards[0];
}

function boardOf(
  table: Boards,
  before: Board,
  now: Evidence,
): { readonly board: Board; readonly known: boolean } {
  const learnt = (board: Board) => ({ ...board, evidence: together(board.evidence, now) });
  // What could never be told is told from here on, under the id that it had, but on an epoch of its own: a copy of the same
  // data may be told for the first time too. An id that a person gives for the first time to
  // hardware that could be told is this hardware's.
  const isNews = isEmpty(before.evidence) || (now.set !== undefined && !before.evidence.set);
  const like = likeness(before.evidence, now);
  if (like === "same") return { board: learnt(before), known: true };
  const other = table.boards.find(({ evidence }) => likeness(evidence, now) === "same");
  if (other) return { board: learnt(other), known: true };
  if (like === "unknown") {
    if (!isNews || isEmpty(now)) return { board: before, known: false };
    const name = isEmpty(before.evidence) ? boardName(now, table.salt) : before.name;
    return { board: { ...learnt(before), name }, known: true };
  }
  const name = boardName(now, table.salt);
  const gateway = suffixed(before.base, name, table);
  return { board: { name, gateway, base: before.base, evidence: now }, known: true };
}

function suffixed(base: GatewayId, name: string, { boards }: Boards): GatewayId {
  const taken = boards.flatMap((one) => (one.name === name ? [] : [one.gateway as string]));
  for (let letters = SUFFIX_LETTERS; ; letters += 1) {
    const end = `-${name.slice(0, letters)}`;
    const gateway = `${base.slice(0, MOST_LETTERS - end.length)}${end}` as GatewayId;
    if (!taken.includes(gateway) || letters >= name.length) return gateway;
  }
}

/** What the configuration has to say about the id. */
function named(
  table: Boards,
  before: Board,
  found: Board,
  { wanted, onNewHardware }: Wishes,
): Board | undefined {
  let board = found;
  if (wanted !== undefined && wanted !== board.base) {
    const base = wanted as GatewayId;
    // A copy may be given a name,
    if (board.gateway !== board.base) return { ...board, gateway: base, base };
    // and where it has one that goes with it, also into hardware on which it had another before.
    if (board.name === before.name || wanted !== before.base) return undefined;
    board = { ...board, base, gateway: suffixed(base, board.name, table) };
  }
  const keeps = onNewHardware === "keep" && board.gateway !== board.base;
  return keeps ? { ...board, gateway: board.base } : board;
}
