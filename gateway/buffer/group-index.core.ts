/**
 * What groups wait in the store, oldest first: first position, bytes, kind. Pure, and small: at one reading a commit a
 * million groups wait, so they are numbers in flat arrays (13 bytes a group) and no objects.
 */
import assert from "node:assert";
import { FRAME_HEADER_BYTES, GROUP_KINDS, type GroupKind } from "./frame.core.ts";

export interface GroupEntry {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly kind: GroupKind;
}

const INITIAL_SLOTS = 1024;

function eventsOf({ first, last, kind }: Omit<GroupEntry, "bytes">): number {
  return kind === "loss" ? 1 : last - first + 1;
}

export class GroupIndex {
  #firsts = new Float64Array(INITIAL_SLOTS);
  #sizes = new Uint32Array(INITIAL_SLOTS);
  #kinds = new Uint8Array(INITIAL_SLOTS);
  #begin = 0;
  #end = 0;
  /** Last position of the newest group. */
  #last = 0;
  #bytes = 0;
  #events = 0;

  /** Of all groups; a declared loss is one event, whatever it stands for. */
  get events(): number {
    return this.#events;
  }

  get length(): number {
    return this.#end - this.#begin;
  }

  /** Of all groups. */
  get bytes(): number {
    return this.#bytes;
  }

  at(i: number): GroupEntry | undefined {
    if (i < 0 || i >= this.length) return undefined;
    const slot = this.#begin + i;
    return {
      first: this.#firsts[slot] as number,
      last: i + 1 < this.length ? (this.#firsts[slot + 1] as number) - 1 : this.#last,
      bytes: this.#sizes[slot] as number,
      kind: GROUP_KINDS[this.#kinds[slot] as number] as GroupKind,
    };
  }

  /** The newest group from now on. Groups follow each other without holes. */
  push(first: number, last: number, bytes: number, kind: GroupKind): void {
    assert(this.length === 0 || first === this.#last + 1, "groups follow without holes");
    if (this.#end === this.#firsts.length) this.#makeRoom();
    this.#firsts[this.#end] = first;
    this.#sizes[this.#end] = bytes;
    this.#kinds[this.#end] = GROUP_KINDS.indexOf(kind);
    this.#end += 1;
    this.#last = last;
    this.#bytes += bytes;
    this.#events += eventsOf({ first, last, kind });
  }

  /** Forgets the oldest groups. */
  shift(count: number): void {
    assert(count <= this.length, "only groups that are there can go");
    for (let i = 0; i < count; i += 1) this.#forget(i);
    this.#begin += count;
  }

  /**
   * Puts one group in the place of `count` that follow each other. What stands before them moves, so this is for the
   * old end, where few stand before.
   */
  replace(i: number, count: number, bytes: number, kind: GroupKind): void {
    assert(count >= 1 && i + count <= this.length, "only groups that are there can be replaced");
    const slot = this.#begin + i;
    const first = this.#firsts[slot] as number;
    for (let k = 0; k < count; k += 1) this.#forget(i + k);
    const gone = count - 1;
    for (const array of [this.#firsts, this.#sizes, this.#kinds]) {
      array.copyWithin(this.#begin + gone, this.#begin, slot);
    }
    this.#begin += gone;
    this.#firsts[slot + gone] = first;
    this.#sizes[slot + gone] = bytes;
    this.#kinds[slot + gone] = GROUP_KINDS.indexOf(kind);
    this.#bytes += bytes;
    this.#events += eventsOf(this.at(i) as GroupEntry);
  }

  #forget(i: number): void {
    const group = this.at(i) as GroupEntry;
    this.#bytes -= group.bytes;
    this.#events -= eventsOf(group);
  }

  /** Index of the group that holds the position; of the next newer where none does; `length` beyond the newest. */
  find(position: number): number {
    if (this.length === 0 || position > this.#last) return this.length;
    let low = 0;
    let high = this.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#firsts[this.#begin + middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Last position that a read of so much from this group on can hand out. */
  reach(index: number, limit: { readonly events: number; readonly bytes: number }): number {
    let bytes = 0;
    let events = 0;
    let reach = 0;
    for (let i = index; ; i += 1) {
      const group = this.at(i);
      if (!group) return reach;
      reach = group.last;
      // The first may be read from its middle on.
      if (i === index) continue;
      const count = group.kind === "loss" ? 1 : group.last - group.first + 1;
      events += count;
      bytes += group.bytes - count * FRAME_HEADER_BYTES;
      if (bytes > limit.bytes || events > limit.events) return reach;
    }
  }

  #makeRoom(): void {
    const length = this.length;
    const slots =
      this.#begin > this.#firsts.length / 2 ? this.#firsts.length : this.#firsts.length * 2;
    const firsts = new Float64Array(slots);
    const sizes = new Uint32Array(slots);
    const kinds = new Uint8Array(slots);
    firsts.set(this.#firsts.subarray(this.#begin, this.#end));
    sizes.set(this.#sizes.subarray(this.#begin, this.#end));
    kinds.set(this.#kinds.subarray(this.#begin, this.#end));
    this.#firsts = firsts;
    this.#sizes = sizes;
    this.#kinds = kinds;
    this.#begin = 0;
    this.#end = length;
  }
}
