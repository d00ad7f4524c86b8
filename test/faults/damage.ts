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

/** The devices' readings take more than this in the store. */
const LEAST_READING_BYTES = 100;
/**
 * What may go with the bytes that were touched: in a log the rest of a block of LevelDB's; in a table the entries up to the
 * next whole key, which is every 16th, each a group of some kilobytes. Beyond that nothing depends on them.
 */
const GONE_WITH_THEM: Readonly<Record<"log" | "table", number>> = {
  log: 32 * 1024,
  table: 64 * 1024,
};
/** A reading that is hit at its first or its last byte. */
const AT_THE_EDGES = 2;

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

export function strike(
  dataDir: string,
  target: Target,
  action: Action,
  random: () => number,
): Damage {
  const files = filesOf(dataDir, target);
  const file = oneOf(random, files);
  if (target === "directory") {
    rmSync(file, { recursive: true });
    return { target, action, file, mayLose: Number.POSITIVE_INFINITY };
  }
  const touched = damageFile(file, files, action, random);
  // Tables and logs are the readings; what else there is says only how they lie, and can be made again.
  const mayLose =
    target === "log" || target === "table"
      ? Math.ceil((touched + GONE_WITH_THEM[target]) / LEAST_READING_BYTES) + AT_THE_EDGES
      : 0;
  return { target, action, file, mayLose };
}

/** @returns bytes from the first to the last that was touched */
function damageFile(
  file: string,
  files: readonly string[],
  action: Action,
  random: () => number,
): number {
  const { size } = statSync(file);
  const from = Math.floor(random() * size);
  const to = Math.min(size, from + between(random, 1, 5000));
  switch (action) {
    case "flip": {
      const byte = (readFileSync(file)[from] ?? 0) ^ (1 << between(random, 0, 7));
      overwrite(file, from, Buffer.of(byte));
      return 1;
    }
    case "cut":
      truncateSync(file, from);
      return size - from;
    case "zero":
      overwrite(file, from, Buffer.alloc(to - from));
      return to - from;
    case "garbage":
      overwrite(file, from, Buffer.from(Array.from({ length: to - from }, () => random() * 256)));
      return to - from;
    case "swap": {
      const other = oneOf(
        random,
        files.filter((one) => one !== file),
      );
      renameSync(file, `${file}.swap`);
      renameSync(other, file);
      renameSync(`${file}.swap`, other);
      // Whatever they are called, they hold what they held.
      return 0;
    }
    case "empty":
      truncateSync(file, 0);
      return size;
    case "delete":
      rmSync(file);
      return size;
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
