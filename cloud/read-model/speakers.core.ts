/**
 * Who speaks under a gateway's id: from its statuses, whether that is one gateway or two that alternate. Pure.
 *
 * A gateway that was restarted, or moved, has spoken its last under what it was before; only where both come back again and
 * again are there two. No clock is asked, for theirs may be years apart: time passes by the statuses of the others, each of
 * which says when the next one is due. So a replay comes to the same, and one that falls silent is forgotten after a while.
 *
 * Two that count on one epoch are the worst there is: a copy whose hardware could not be told, and what one of them accepts
 * is taken for repeats of the other's. Nothing tells them apart but when they were started and how far they have come.
 */
import type { GatewayStatus } from "../../events/schema.ts";

/** One of those that use an id. */
export interface Speaker {
  readonly epoch: string;
  /** Missing where it cannot tell. */
  readonly hardware?: string;
  /** When its program was started, ms since 1970, by its own clock. */
  readonly started: number;
  readonly accepted: number;
  readonly version: string;
}

export interface Heard extends Speaker {
  /** Between its statuses, ms. */
  readonly interval: number;
  /** How long the others have spoken since, ms. */
  readonly silent: number;
  /** How often it spoke after another one had. */
  readonly returns: number;
}

/** The one that spoke last is the first. */
export type Speakers = readonly Heard[];

/** `started` moves a little as a clock is slewed. */
const SAME_START_MS = 5000;
/** One status may come late, behind the first of the next program; two may not. */
const LEAST_RETURNS = 2;
const FORGOTTEN_MS = 60_000;
const FORGOTTEN_INTERVALS = 3;
const MOST_SPEAKERS = 8;

export function speak(speakers: Speakers, status: GatewayStatus): Speakers {
  const { epoch, hardware, started, accepted, version, interval } = status;
  const told = {
    epoch,
    started,
    accepted,
    version,
    ...(hardware === undefined ? {} : { hardware }),
  };
  const before = speakers
    .filter((one) => isSame(one, status))
    .sort((a, b) => b.accepted - a.accepted)[0];
  // Whoever has spoken since its last status was not silent for the time between the two.
  const place = before ? speakers.indexOf(before) : speakers.length;
  const others = speakers
    .map((one, at) => (at > place ? { ...one, silent: one.silent + interval } : one))
    .filter((one) => one !== before)
    .filter((one) => one.silent <= Math.max(FORGOTTEN_MS, FORGOTTEN_INTERVALS * one.interval));
  const again = before !== undefined && before !== speakers[0] ? 1 : 0;
  const now = { ...told, interval, silent: 0, returns: (before?.returns ?? 0) + again };
  return [now, ...others].slice(0, MOST_SPEAKERS);
}

/** Whether a status may be of the same program, whose accepted events never become fewer. */
function isSame(one: Heard, { epoch, hardware, started, accepted }: GatewayStatus): boolean {
  const isNear = Math.abs(one.started - started) <= SAME_START_MS;
  return one.epoch === epoch && one.hardware === hardware && isNear && accepted >= one.accepted;
}

/** Those that use the id now; undefined where it is one, as it should be. */
export function sharing(speakers: Speakers): readonly Speaker[] | undefined {
  const several = speakers.filter(({ returns }) => returns >= LEAST_RETURNS);
  if (several.length < 2) return undefined;
  return several
    .map(({ interval: _, silent: __, returns: ___, ...speaker }) => speaker)
    .sort((a, b) => a.started - b.started || (a.epoch < b.epoch ? -1 : 1));
}
