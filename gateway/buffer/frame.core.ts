/**
 * The form of one group of events in the store: the frames of its events one after another.
 *
 *   frame := crc u32 | length u32 | type u8 | time f64 | value byte[length]      (little endian)
 *
 * The sequence is not stored: the group's key holds the first one and frames follow without holes. It goes into the
 * checksum, so that a frame that stands in the wrong place fails like one with a flipped bit.
 */
import assert from "node:assert";
import { crc32 } from "node:zlib";
import { JOURNAL_TYPES, type JournalType } from "../../events/schema.ts";
import { BufferError, type NewEvent } from "./port.ts";

const HEADER_BYTES = 4 + 4 + 1 + 8;

/** Codes on disk are for ever: append new ones, never renumber. */
const TYPE_CODES: Readonly<Record<JournalType, number>> = {
  "tidegate.reading": 1,
  "tidegate.heartbeat": 2,
  "tidegate.epoch": 3,
  "tidegate.loss": 4,
  "tidegate.rejected-payload": 5,
  "tidegate.clock": 6,
};
const TYPES_BY_CODE = new Map(JOURNAL_TYPES.map((type) => [TYPE_CODES[type], type]));

/** Bytes that the event will take in its group. */
export function frameBytes(event: NewEvent): number {
  return HEADER_BYTES + event.value.length;
}

const sequenceBytes = Buffer.alloc(8);

function checksum(sequence: number, frameAfterCrc: Uint8Array): number {
  sequenceBytes.writeDoubleLE(sequence);
  return crc32(frameAfterCrc, crc32(sequenceBytes));
}

/** @param bytes the sum of `frameBytes` over the events */
export function encodeGroup(first: number, events: readonly NewEvent[], bytes: number): Buffer {
  const group = Buffer.allocUnsafe(bytes);
  let at = 0;
  let sequence = first;
  for (const event of events) {
    const end = at + HEADER_BYTES + event.value.length;
    group.writeUInt32LE(event.value.length, at + 4);
    group[at + 8] = TYPE_CODES[event.type];
    group.writeDoubleLE(event.time, at + 9);
    group.set(event.value, at + HEADER_BYTES);
    group.writeUInt32LE(checksum(sequence, group.subarray(at + 4, end)), at);
    at = end;
    sequence += 1;
  }
  assert.equal(at, bytes, "a group is as long as its frames");
  return group;
}

/**
 * Walks the frames of a group. The values are views into it.
 * @throws BufferError `damaged` at the first frame that is not what was written
 */
export function* decodeGroup(
  first: number,
  group: Uint8Array,
): Generator<NewEvent & { readonly sequence: number }> {
  const view = Buffer.from(group.buffer, group.byteOffset, group.byteLength);
  let at = 0;
  let sequence = first;
  while (at < view.length) {
    const length = at + HEADER_BYTES <= view.length ? view.readUInt32LE(at + 4) : 0;
    const end = at + HEADER_BYTES + length;
    const intact =
      end <= view.length &&
      view.readUInt32LE(at) === checksum(sequence, view.subarray(at + 4, end));
    const type = intact ? TYPES_BY_CODE.get(view[at + 8] ?? 0) : undefined;
    if (type === undefined) {
      throw new BufferError(
        "damaged",
        `the buffer's record ${sequence} does not match its checksum (group ${first}, byte ${at})`,
      );
    }
    const value = view.subarray(at + HEADER_BYTES, end);
    yield { sequence, type, time: view.readDoubleLE(at + 9), value };
    at = end;
    sequence += 1;
  }
}
