/**
 * Opens the LevelDB below an embedded log's directory, which holds
 *
 *   tidegate-log.json   the format marker: { "format": 1 }, written and fsynced after the database was made
 *   db/                 the LevelDB
 *
 * The marker decides whether the database may be made: LevelDB that finds its CURRENT missing would make an empty
 * store and delete the old tables, so `createIfMissing` is only given where no log ever was.
 */
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { EventLogError } from "../port.ts";

export type Level = ClassicLevel<Buffer, Buffer>;
/** @param create whether a database may be made where there is none */
export type LevelOpener = (location: string, create: boolean) => Promise<Level>;

export const FORMAT = 1;
const MARKER = "tidegate-log.json";

/** Memtable, bytes: two of them may be held. Larger ones mean fewer, larger tables to merge on a card. */
const WRITE_BUFFER_BYTES = 8 * 1024 ** 2;
/** Cache of uncompressed blocks, bytes: index and state lookups of the working set. */
const CACHE_BYTES = 16 * 1024 ** 2;

export async function openLevel(location: string, create: boolean): Promise<Level> {
  const level: Level = new ClassicLevel(location, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    createIfMissing: create,
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: CACHE_BYTES,
  });
  await level.open();
  return level;
}

const UNWRITABLE = new Set(["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"]);

/** What LevelDB says, as an error that says what to do. */
export function storageError(directory: string, doing: string, error: unknown): EventLogError {
  if (error instanceof EventLogError) return error;
  const told = error as { cause?: { code?: string; message?: string } } & NodeJS.ErrnoException;
  if (told.cause?.code === "LEVEL_LOCKED") {
    return new EventLogError(
      "in_use",
      `the event log in ${directory} is open in another process; stop that one, or give this one another --data-dir`,
      { cause: error },
    );
  }
  const reason = told.cause?.message ?? told.message ?? String(error);
  const hint = UNWRITABLE.has(told.code ?? "")
    ? "; make it writable for this user, or give another --data-dir"
    : "";
  return new EventLogError(
    "storage",
    `cannot ${doing} the event log in ${directory}: ${reason}${hint}`,
    {
      cause: error,
    },
  );
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeMarker(directory: string): Promise<void> {
  const handle = await open(join(directory, MARKER), "w");
  try {
    await handle.writeFile(`${JSON.stringify({ format: FORMAT })}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(directory);
}

async function checkMarker(directory: string): Promise<void> {
  let format: unknown;
  try {
    const marker: unknown = JSON.parse(await readFile(join(directory, MARKER), "utf8"));
    format = (marker as { format?: unknown } | null)?.format;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (format === FORMAT) return;
  throw new EventLogError(
    "storage",
    typeof format === "number" && format > FORMAT
      ? `the event log in ${directory} has format ${format}, made by a newer version; this one reads format ${FORMAT}`
      : `${join(directory, MARKER)} is not a format marker; restore it from a backup, or write {"format":${FORMAT}} into it`,
  );
}

/** Tables without a marker are somebody's data whose store was damaged: opening could delete them. */
async function refuseUnmarkedTables(directory: string, location: string): Promise<void> {
  const files = existsSync(location) ? await readdir(location) : [];
  if (!files.some((name) => name.endsWith(".ldb") || name.endsWith(".sst"))) return;
  throw new EventLogError(
    "storage",
    `${directory} holds tables but no ${MARKER}: restore it from a backup, or give another data directory`,
  );
}

/** Opens the log's database, or makes it where none ever was. @throws EventLogError `in_use`, `storage` */
export async function openDatabase(directory: string, opener: LevelOpener): Promise<Level> {
  const location = join(directory, "db");
  try {
    if (existsSync(join(directory, MARKER))) {
      await checkMarker(directory);
      return await opener(location, false);
    }
    await mkdir(directory, { recursive: true });
    await refuseUnmarkedTables(directory, location);
    const level = await opener(location, true);
    await writeMarker(directory);
    return level;
  } catch (error) {
    throw storageError(directory, "open", error);
  }
}
