/**
 * The form of one group of events in the store: the frames of its events one after another. Pure.
 *
 *   frame := crc u32 | length u32 | type u8 | time f64 | value byte[length]      (little endian)
 *
 * The position is not stored: the group's key holds the first one and frames follow without holes. It goes into the
 * checksum, with a seed made of the epoch, so that a frame that stands in the wrong place or comes from another buffer
 * fails like one with a flipped bit. A declared loss stands for many positions: its value begins with their number.
 *
 *   value of a loss := span f64 | event in CBOR
 */
import assert from "node:assert";
import { crc32 } from "node:zlib";
import type { Epoch } from "../../events/ids.ts";
import { JOURNAL_TYPES, type JournalType } from "../../events/schema.ts";
import { viewOf } from "./level-log.core.ts";
import type { NewEvent } from "./port.ts";

/** What a frame takes beside its value. */
export const FRAME_HEADER_BYTES: number = 4 + 4 + 1 + 8;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const SPAN_BYTES = 8;

/** Codes on disk are for ever: append new ones, never renumber. */
const TYPE_CODES: Readonly<Record<JournalType, number>> = {
  "tidegate.reading": 1,
  "tidegate.heartbeat": 2,
  "tidegate.epoch": 3,
  "tidegate.loss": 4,
  "tidegate.rejected-payload": 5,
  "tidegate.clock": 6,
  "tidegate.payload": 7,
  "tidegate.payload-stored": 8,
  "tidegate.payload-lost": 9,
};
const TYPES_BY_CODE: readonly (JournalType | undefined)[] = Array.from({ length: 256 }, (_, code) =>
  JOURNAL_TYPES.find((type) => TYPE_CODES[type] === code),
);

/** An event in its frame. */
export interface Framed extends NewEvent {
  /** Of the event: for a loss the last that it stands for. */
  readonly position: number;
  /** Positions that it stands for: 1, but for a declared loss. */
  readonly span: number;
}

/** Bytes that the event will take in its group. */
export function frameBytes(event: NewEvent): number {
  const span = event.type === "tidegate.loss" ? SPAN_BYTES : 0;
  return HEADER_BYTES + span + event.value.length;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const positionBytes = new Uint8Array(8);
const positionView = new DataView(positionBytes.buffer);

/** CRC-32 of a position as f64, beginning from the seed. By hand: a call into zlib costs ten times these eight steps. */
function positionCrc(position: number, seed: number): number {
  positionView.setFloat64(0, position, true);
  let crc = ~seed;
  for (let i = 0; i < 8; i += 1) {
    crc = (CRC_TABLE[(crc ^ (positionBytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** What goes into the checksums of an epoch's frames, so that those of another buffer are no frames here. */
export function frameSeed(epoch: Epoch): number {
  return crc32(epoch);
}

/** Seed of the frames of format 1, whose checksums know of no epoch. */
export const FORMAT_1_SEED = 0;

/**
 * @param first position of the first event; a loss takes the place of `span` positions
 * @param bytes the sum of `frameBytes` over the events
 */
export function encodeGroup(
  first: number,
  seed: number,
  events: readonly (NewEvent & { readonly span?: number })[],
  bytes: number,
): Buffer {
  const group = Buffer.allocUnsafe(bytes);
  let at = 0;
  let position = first;
  for (const event of events) {
    const { type, time, value, span = 1 } = event;
    let content = at + HEADER_BYTES;
    if (type === "tidegate.loss") {
      group.writeDoubleLE(span, content);
      content += SPAN_BYTES;
    }
    const end = content + value.length;
    group.writeUInt32LE(end - at - HEADER_BYTES, at + 4);
    group[at + 8] = TYPE_CODES[type];
    group.writeDoubleLE(time, at + 9);
    group.set(value, content);
    group.writeUInt32LE(crc32(group.subarray(at + 4, end), positionCrc(position, seed)), at);
    at = end;
    position += span;
  }
  assert.equal(at, bytes, "a group is as long as its frames");
  return group;
}

/** The frame that begins here, if one does that is what was written at this position. */
function frameAt(view: Buffer, at: number, position: number, seed: number): Framed | undefined {
  if (at + HEADER_BYTES > view.length) return undefined;
  const end = at + HEADER_BYTES + view.readUInt32LE(at + 4);
  const type = TYPES_BY_CODE[view[at + 8] as number];
  if (end > view.length || type === undefined) return undefined;
  const stored = view.readUInt32LE(at);
  if (stored !== crc32(view.subarray(at + 4, end), positionCrc(position, seed))) return undefined;
  const time = view.readDoubleLE(at + 9);
  const content = at + HEADER_BYTES;
  if (type !== "tidegate.loss") {
    return { position, span: 1, type, time, value: view.subarray(content, end) };
  }
  const span = view.readDoubleLE(content);
  const value = view.subarray(content + SPAN_BYTES, end);
  return { position: position + span - 1, span, type, time, value };
}

function framedLength(framed: Framed): number {
  return frameBytes(framed);
}

export interface DecodedGroup {
  /** In order; the values are views into the group. */
  readonly frames: readonly Framed[];
  /** Whether the whole group is what was written. */
  readonly intact: boolean;
}

/** The frames of a group up to the first that is not what was written. */
export function decodeGroup(first: number, seed: number, group: Uint8Array): DecodedGroup {
  const view = viewOf(group);
  const frames: Framed[] = [];
  let at = 0;
  let position = first;
  while (at < view.length) {
    const framed = frameAt(view, at, position, seed);
    if (!framed) return { frames, intact: false };
    frames.push(framed);
    at += framedLength(framed);
    position = framed.position + 1;
  }
  return { frames, intact: view.length > 0 };
}

/** Positions and bytes of a group without making anything of its events: what a start has to know of a million. */
export interface GroupSummary {
  readonly intact: boolean;
  readonly last: number;
  /** `events` may be dropped for space; a loss or the event that opens an epoch may not. */
  readonly kind: GroupKind;
}

export const GROUP_KINDS = ["events", "loss", "epoch"] as const;
export type GroupKind = (typeof GROUP_KINDS)[number];

export function summarizeGroup(first: number, seed: number, group: Uint8Array): GroupSummary {
  const view = viewOf(group);
  let kind: GroupKind = "events";
  let at = 0;
  let position = first;
  while (at < view.length) {
    if (at + HEADER_BYTES > view.length) return { intact: false, last: position - 1, kind };
    const code = view[at + 8] as number;
    const end = at + HEADER_BYTES + view.readUInt32LE(at + 4);
    const intact =
      end <= view.length &&
      TYPES_BY_CODE[code] !== undefined &&
      view.readUInt32LE(at) === crc32(view.subarray(at + 4, end), positionCrc(position, seed));
    if (!intact) return { intact: false, last: position - 1, kind };
    if (code === TYPE_CODES["tidegate.loss"]) {
      kind = "loss";
      position += view.readDoubleLE(at + HEADER_BYTES);
    } else {
      if (code === TYPE_CODES["tidegate.epoch"]) kind = "epoch";
      position += 1;
    }
    at = end;
  }
  return { intact: view.length > 0, last: position - 1, kind };
}

/** A damaged frame hides at most so many positions before the next one is looked for under a later position. */
const MAX_HIDDEN = 4096;

/**
 * Every frame of a damaged group whose checksum holds: after one that does not, the next is looked for byte by byte,
 * under each position it could have.
 * @param last highest position that the group can hold, from what stands after it
 */
export function salvageGroup(
  first: number,
  seed: number,
  group: Uint8Array,
  last: number,
): readonly Framed[] {
  const view = viewOf(group);
  const frames: Framed[] = [];
  let at = 0;
  let position = first;
  while (at + HEADER_BYTES <= view.length && position <= last) {
    const framed =
      frameAt(view, at, position, seed) ?? laterFrameAt(view, at, position, seed, last);
    if (framed) {
      frames.push(framed);
      at += framedLength(framed);
      position = framed.position + 1;
    } else at += 1;
  }
  return frames;
}

function laterFrameAt(
  view: Buffer,
  at: number,
  position: number,
  seed: number,
  last: number,
): Framed | undefined {
  const end = at + HEADER_BYTES + view.readUInt32LE(at + 4);
  // Nearly every byte that does not begin a frame fails here, and costs nothing.
  if (end > view.length || TYPES_BY_CODE[view[at + 8] as number] === undefined) return undefined;
  const wanted = crcBefore(view.subarray(at + 4, end), view.readUInt32LE(at));
  const to = Math.min(last, position + MAX_HIDDEN);
  for (let candidate = position + 1; candidate <= to; candidate += 1) {
    if (positionCrc(candidate, seed) === wanted) return frameAt(view, at, candidate, seed);
  }
  return undefined;
}

/** For each highest byte of an entry of the table, which entry that is: what running a CRC backwards takes. */
const CRC_BACK = Uint8Array.from({ length: 256 }, (_, high) =>
  CRC_TABLE.findIndex((entry) => entry >>> 24 === high),
);

/** What the checksum was before these bytes, if it is `crc` behind them: one pass in the place of one for each position. */
function crcBefore(bytes: Buffer, crc: number): number {
  let state = ~crc;
  for (let i = bytes.length - 1; i >= 0; i -= 1) {
    const index = CRC_BACK[state >>> 24] as number;
    state = ((state ^ (CRC_TABLE[index] as number)) << 8) | (index ^ (bytes[i] as number));
  }
  return ~state >>> 0;
}
