/**
 * Damage to the files of a stopped gateway: what broken cards, torn sectors and people do to them. Each damage says which file
 * it hit, how, and how many readings it can have reached, so that what is declared can be held against what was done.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { between, oneOf } from "./kind.ts";

export const TARGETS = ["log", "table", "manifest", "current", "mark", "directory"] as const;
export type Target = (typeof TARGETS)[number];

export const ACTIONS = ["flip", "cut", "zero", "garbage", "swap", "empty", "delete"] as const;
export type Action = (typeof ACTIONS)[number];

export interface Damage {
  readonly target: Target;
  readonly action: Action;
  readonly file: string;
  /** Most readings that it can have taken away. */
  readonly mayLose: number;
}

/** A reading in the store is never smaller, compressed in a table with all those that are like it. */
const LEAST_READING_BYTES = 16;
/** LevelDB's log is written in blocks of this size, and a broken record costs the rest of its block. */
const LOG_BLOCK_BYTES = 32 * 1024;
/** A table's block is this large, or as large as the one group that is in it. */
const TABLE_BLOCK_BYTES = 4096;

const PATTERNS: Readonly<Record<Exclude<Target, "directory" | "mark">, RegExp>> = {
  log: /^\d+\.log$/,
  table: /^\d+\.(ldb|sst)$/,
  manifest: /^MANIFEST-\d+$/,
  current: /^CURRENT$/,
};

/** The files of one sort that are there and hold something. */
export function filesOf(dataDir: string, target: Target): string[] {
  const buffer = join(dataDir, "buffer");
  if (target === "directory") return [buffer];
  if (target === "mark") return [join(dataDir, "buffer.mark")].filter((file) => existsSync(file));
  return readdirSync(buffer)
    .filter((name) => PATTERNS[target].test(name))
    .map((name) => join(buffer, name))
    .filter((file) => statSync(file).size > 0);
}

/** What can be done to a target: a directory can only be deleted, a single file not be swapped. */
export function actionsOn(dataDir: string, target: Target): readonly Action[] {
  const files = filesOf(dataDir, target);
  if (files.length === 0) return [];
  if (target === "directory") return ["delete"];
  return ACTIONS.filter((action) => action !== "swap" || files.length > 1);
}

export interface Limits {
  /** Most readings in one group commit. */
  readonly group: number;
}

export function strike(
  dataDir: string,
  target: Target,
  action: Action,
  random: () => number,
  { group }: Limits,
): Damage {
  const files = filesOf(dataDir, target);
  const file = oneOf(random, files);
  if (target === "directory") {
    rmSync(file, { recursive: true });
    return { target, action, file, mayLose: Number.POSITIVE_INFINITY };
  }
  const { size } = statSync(file);
  const touched = damageFile(file, files, action, random);
  return { target, action, file, mayLose: most(target, size, touched, group) };
}

/** @returns bytes from the first to the last that was touched, as they lay in the file */
function damageFile(
  file: string,
  files: readonly string[],
  action: Action,
  random: () => number,
): { readonly from: number; readonly to: number } {
  const { size } = statSync(file);
  const from = Math.floor(random() * size);
  const to = Math.min(size, from + between(random, 1, 5000));
  switch (action) {
    case "flip": {
      const byte = (readFileSync(file)[from] ?? 0) ^ (1 << between(random, 0, 7));
      overwrite(file, from, Buffer.of(byte));
      return { from, to: from + 1 };
    }
    case "cut":
      truncateSync(file, from);
      return { from, to: size };
    case "zero":
      overwrite(file, from, Buffer.alloc(to - from));
      return { from, to };
    case "garbage":
      overwrite(file, from, Buffer.from(Array.from({ length: to - from }, () => random() * 256)));
      return { from, to };
    case "swap": {
      const other = oneOf(
        random,
        files.filter((one) => one !== file),
      );
      renameSync(file, `${file}.swap`);
      renameSync(other, file);
      renameSync(`${file}.swap`, other);
      return { from: 0, to: Number.POSITIVE_INFINITY };
    }
    case "empty":
      truncateSync(file, 0);
      return { from: 0, to: size };
    case "delete":
      rmSync(file);
      return { from: 0, to: size };
  }
}

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const fd = openSync(file, "r+");
  try {
    writeSync(fd, bytes, 0, bytes.length, at);
  } finally {
    closeSync(fd);
  }
}

function most(
  target: Target,
  size: number,
  { from, to }: { readonly from: number; readonly to: number },
  group: number,
): number {
  // Tables and logs are the readings; what else there is says only how they lie, and can be made again.
  if (target !== "log" && target !== "table") return 0;
  const block = target === "log" ? LOG_BLOCK_BYTES : TABLE_BLOCK_BYTES;
  const first = Math.floor(from / block) * block;
  const last = Math.min(size, Math.ceil(to / block) * block);
  // Without its index at the end a table cannot be read in order: all of it may be gone.
  const whole = target === "table" && to > size - 2 * block;
  const bytes = whole || to === Number.POSITIVE_INFINITY ? size : last - first;
  return Math.ceil(bytes / LEAST_READING_BYTES) + 2 * group;
}
