/** Where a program's rebuilds have their copies, and what they leave of the disk. */
import { join } from "node:path";
import { Scratch } from "../stream/rebuild/scratch.ts";
import type { Part } from "./lifetime.ts";

const DIRECTORY = "rebuild";
/** A buffer stops growing at its floor: a rebuild ends well before. */
const SPARE_BYTES = 256 * 1024 ** 2;

export interface RoomSettings {
  readonly data_dir: string;
  /** Of a program with a gateway. */
  readonly buffer?: { readonly free_floor_bytes: number };
}

export function rebuildRoom({ data_dir, buffer }: RoomSettings) {
  const minFreeBytes = (buffer?.free_floor_bytes ?? 0) + SPARE_BYTES;
  return { directory: join(data_dir, DIRECTORY), minFreeBytes };
}

/** Removes at a program's start what a killed rebuild left. */
export function rebuildSweep(settings: RoomSettings): Part {
  return {
    // What is left over is in nobody's way: it goes while the others start.
    start: async () => void Scratch.sweep(rebuildRoom(settings).directory).catch(() => {}),
    stop: async () => {},
  };
}
