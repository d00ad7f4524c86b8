/** Whole directories of a store: copies that share what never changes, moves that are on disk when they resolve, sizes. */
import { constants } from "node:fs";
import {
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { nextFileNumber } from "./level-manifest.core.ts";

/** Makes what was created, renamed or removed in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Durable, replacing nothing. */
export async function moveDirectory(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

/**
 * Gone at once: a power cut leaves the directory as it was or none of that name, and never a part of it, which would be
 * taken for all there was.
 */
export async function removeWhole(directory: string): Promise<void> {
  if (!(await exists(directory))) return;
  const junk = `${directory}.gone`;
  await removeDirectory(junk);
  await moveDirectory(directory, junk);
  await removeDirectory(junk);
}

export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** With less left than this a copy of the log could take the room that LevelDB needs to open the store. */
const COPY_ROOM_BYTES = 32 * 1024 * 1024;

/**
 * Secures a store as it is: tables are hard-linked, because LevelDB never changes them, and takes no number twice that
 * its MANIFEST knows of; everything else is copied. On disk when it resolves, whole or not there at all. Where the disk
 * has no room for a copy the file is linked too: LevelDB only reads an older log or manifest, and writes new ones.
 */
export async function secureCopy(from: string, to: string): Promise<void> {
  const making = `${to}.new`;
  await removeDirectory(making);
  await mkdir(making, { recursive: true });
  const next = await nextFile(from);
  const tight = (await freeBytes(dirname(to))) < COPY_ROOM_BYTES;
  const linked = tight ? /^\d+\.(ldb|sst|log)$/ : /^\d+\.(ldb|sst)$/;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry;
    // What is no file is none of ours: lost+found, a pipe, a link that leads nowhere.
    if (!entry.isFile()) continue;
    // The lock is a file that says nothing, and LevelDB's own notes are of no use.
    if (name === "LOCK" || name === "LOG" || name === "LOG.old") continue;
    const [source, target] = [join(from, name), join(making, name)];
    if (linked.test(name) && Number.parseInt(name, 10) < next) await linkOrCopy(source, target);
    else await copyOrLink(source, target);
  }
  await syncDirectory(making);
  await moveDirectory(making, to);
}

/** @returns from which number on LevelDB may make files anew; 0 where that cannot be told */
async function nextFile(store: string): Promise<number> {
  try {
    const current = (await readFile(join(store, "CURRENT"), "latin1")).trim();
    if (!/^MANIFEST-\d+$/.test(current)) return 0;
    return nextFileNumber(await readFile(join(store, current)));
  } catch {
    // What cannot be read is for LevelDB to tell; until then nothing is taken for safe.
    return 0;
  }
}

/** What file systems say that have no links, or that the copy is to be on another one. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EMLINK", "EXDEV"]);

async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!NO_LINKS.has(code ?? "")) throw error;
    await copyFile(source, target);
    await syncFile(target);
  }
}

async function copyOrLink(source: string, target: string): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL);
    await syncFile(target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    await rm(target, { force: true });
    await link(source, target);
  }
}

/** Bytes that the files of a directory take, by their length. */
export async function directoryBytes(directory: string): Promise<number> {
  let total = 0;
  for (const name of await readdir(directory)) {
    try {
      total += (await stat(join(directory, name))).size;
    } catch (error) {
      // LevelDB removes files while we look.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return total;
}

/** Bytes that the disk of a directory has left for this user. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
