/**
 * Looks at a buffer that no gateway has open, without changing it: for `tidegate buffer`.
 *
 * LevelDB rewrites what it opens, so a private copy is opened in its place: in a folder of its own in the data directory,
 * where tables can be linked, or in the system's temporary one where that cannot be written. It is removed by close(), and
 * what a killed process left by the next examination.
 *
 * What a start would do about a damaged store is found out by doing it, to the copy. So what is told here, and what the
 * events are, is what a start would save and declare.
 */
import { link, mkdir, mkdtemp, readdir, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type Epoch, type GatewayId, makeEpoch } from "../../events/ids.ts";
import type { Stamp } from "../../events/schema.ts";
import { type Chapters, chapterOf, endOf, seedOf, splitByChapter } from "./chapters.core.ts";
import { directoryBytes, exists, freeBytes, removeDirectory, secureCopy } from "./directories.ts";
import { decodeGroup } from "./frame.core.ts";
import { type Inspection, inspectStore } from "./inspect.ts";
import { refuseDamagedTables } from "./level-check.ts";
import { besideStore, holdsStore } from "./level-storage.ts";
import { openStore, type Store, scanGroups } from "./level-store.ts";
import type { ReadMark } from "./mark.core.ts";
import { MarkFile } from "./mark.ts";
import { BufferError, type BufferedEvent } from "./port.ts";
import { salvage } from "./salvage.ts";

/** Sequences of one epoch, both included. */
export interface SequencesOf {
  readonly epoch: Epoch;
  readonly from: number;
  readonly to: number;
}

export interface EpochHeld {
  readonly epoch: Epoch;
  /** Whose it is; undefined for the gateway that the buffer was made for. */
  readonly gateway?: GatewayId;
  /** Highest sequence; 0 where there is none. */
  readonly highest: number;
  /** What waits of it; undefined where all of it is released. */
  readonly waiting: { readonly from: number; readonly to: number } | undefined;
}

/** What a start would do: nothing, finish a salvage that was cut off, begin a new epoch, or salvage. */
export type NextStart = "nothing" | "finish-salvage" | "new-epoch" | "salvage";

export interface Examination {
  /** 1 to 3; undefined where that cannot be read. */
  readonly format: number | undefined;
  /** None where neither the mark nor the store says which there were: then no record of it can be verified. */
  readonly epochs: readonly EpochHeld[];
  /** Where the cursor stands: released up to here. */
  readonly cursor: { readonly epoch: Epoch; readonly sequence: number } | undefined;
  /** Highest that may have been acknowledged, as the mark beside the store has it. */
  readonly mark:
    | { readonly epoch: Epoch; readonly sequence: number; readonly copied: boolean }
    | undefined;
  readonly groups: number;
  /** Of the events that wait. */
  readonly bytes: number;
  readonly diskBytes: number;
  readonly freeBytes: number;
  /** What is not as it was written, in words. */
  readonly damage: readonly string[];
  /** What a start would declare lost. */
  readonly lost: readonly SequencesOf[];
  /** Events that a salvage would save; undefined where there is nothing to salvage. */
  readonly saved: number | undefined;
  readonly start: NextStart;
}

export interface ExaminedBuffer {
  readonly examination: Examination;
  /** What waits, in order; of a damaged store what can be saved, and the losses that would be declared. */
  events(): AsyncIterable<BufferedEvent>;
  close(): Promise<void>;
}

const PREFIX = ".tidegate-look-";
const LEFTOVER = /^\.tidegate-look-(\d+)-(?:([0-9a-z]+)-)?/;

/** Of the epoch that a salvage begins behind what it saved: it is ours, and nobody gets to see it. */
const NOBODYS_EPOCH = makeEpoch(new Uint8Array(10));

/**
 * @param directory of the store, as the gateway has it
 * @param stamp of the losses that are declared on the way
 * @returns undefined where there is no buffer at all
 * @throws BufferError `in_use` where a gateway has it open; `format`; `unavailable` where it cannot be looked at
 */
export async function examineBuffer(
  directory: string,
  stamp: () => Stamp,
): Promise<ExaminedBuffer | undefined> {
  const paths = besideStore(directory);
  const mark = await MarkFile.read(paths.mark);
  // While a salvaged store stands there, it is the truth, and a start puts it in its place.
  const unfinished = await exists(paths.salvaged);
  const source = unfinished ? paths.salvaged : directory;
  const there = await holdsStore(source);
  if (!there && !mark && !(await exists(paths.secured))) return undefined;
  return await look(dirname(directory), async (folder) => {
    // While a gateway salvages, or waits for its disk, it has the store closed, and holds the lock beside it.
    await refuseLocked(directory, directory, join(folder, "probe"));
    await refuseLocked(directory, paths.lock, join(folder, "probe-beside"));
    const copy = join(folder, "copy");
    const before = await footprint(source);
    if (there) await secureCopy(source, copy);
    if ((await footprint(source)) !== before) throw inUse(directory);
    const secured = !unfinished && (await exists(paths.secured)) ? paths.secured : undefined;
    return await examineCopy({
      directory,
      folder,
      copy: there ? copy : undefined,
      evidence: [secured ?? (await evidenceOf(there, copy, folder))],
      mark,
      unfinished,
      stamp,
    });
  });
}

/** Of a damaged original that a start has put aside. @throws BufferError */
export async function examineQuarantined(
  directory: string,
  number: number,
  stamp: () => Stamp,
): Promise<ExaminedBuffer | undefined> {
  const original = join(besideStore(directory).quarantine, String(number));
  if (!(await exists(original))) return undefined;
  // The start that put it aside left the mark as it was with it, and what else it had secured in folders of their own.
  // Without the mark nothing is known to be missing, and where the store's own record of its epochs is gone too, no
  // frame can be verified.
  const mark = await MarkFile.read(join(original, "mark"));
  const within = (await readdir(original, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(original, name));
  return await look(dirname(directory), (folder) =>
    examineCopy({
      directory: original,
      folder,
      copy: undefined,
      evidence: [original, ...within],
      mark: mark && { ...mark, copied: false },
      unfinished: false,
      stamp,
    }),
  );
}

export interface Quarantined {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  /** When it was put aside, ms since 1970. */
  readonly at: number;
}

/** Damaged originals that starts have put aside, the oldest first. */
export async function quarantined(directory: string): Promise<readonly Quarantined[]> {
  const { quarantine } = besideStore(directory);
  if (!(await exists(quarantine))) return [];
  const numbers = (await readdir(quarantine)).map(Number).filter(Number.isInteger);
  return await Promise.all(
    numbers
      .sort((a, b) => a - b)
      .map(async (number) => {
        const path = join(quarantine, String(number));
        const { ctimeMs } = await stat(path);
        return { number, path, bytes: await directoryBytes(path), at: ctimeMs };
      }),
  );
}

/**
 * Runs with a folder of its own, which is removed when the work fails, or by close(): beside the store, where tables can be
 * linked; in the system's temporary one where that cannot be written, or its disk is full, which is when people look.
 */
async function look(
  beside: string,
  work: (folder: string) => Promise<ExaminedBuffer>,
): Promise<ExaminedBuffer> {
  await removeLeftovers(beside);
  await removeLeftovers(tmpdir());
  const near = await makeFolder(beside).catch(() => undefined);
  if (near !== undefined) {
    try {
      return await lookIn(near, work);
    } catch (error) {
      if (!/No space|ENOSPC|Disk quota/i.test((error as Error).message)) throw error;
    }
  }
  return await lookIn(await makeFolder(tmpdir()), work);
}

async function lookIn(
  folder: string,
  work: (folder: string) => Promise<ExaminedBuffer>,
): Promise<ExaminedBuffer> {
  try {
    const examined = await work(folder);
    const close = async () => {
      await examined.close();
      await removeDirectory(folder);
    };
    return { ...examined, close };
  } catch (error) {
    await removeDirectory(folder);
    throw error;
  }
}

async function makeFolder(beside: string): Promise<string> {
  const began = await beginOf(process.pid);
  return await mkdtemp(join(beside, `${PREFIX}${process.pid}-${began ?? "unknown"}-`));
}

/** What a killed process left. One that cannot be removed, another user's for one, keeps nobody from looking. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid, began] = LEFTOVER.exec(name) ?? [];
    if (pid === undefined || (await isAlive(Number(pid), began))) continue;
    await removeDirectory(join(folder, name)).catch(() => undefined);
  }
}

/** The number of a process that was killed may be another's by now; in a container it is so nearly every time. */
async function isAlive(pid: number, began: string | undefined): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const now = await beginOf(pid);
  return now === undefined || now === began;
}

/** When a process began, in ticks since the boot; undefined where the system does not tell. */
async function beginOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "latin1");
    // The second field is the name of the program, which may hold anything, in brackets.
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/**
 * LevelDB holds a lock on its LOCK file. A lock is on the file and not on its name, so that a store of ours under the same
 * file cannot be opened while a gateway has the real one open; and nothing of the real one is touched. Never to be called
 * by the process that has the store open itself: it would not be refused, and would lose its own lock (POSIX).
 */
async function refuseLocked(directory: string, locked: string, probe: string): Promise<void> {
  await mkdir(probe);
  try {
    await link(join(locked, "LOCK"), join(probe, "LOCK"));
  } catch {
    // There is none, or it is on another disk: then what happens to the files while they are copied must tell.
    return;
  }
  try {
    const store = await openStore(probe, true);
    await store.close();
  } catch (error) {
    // What else may be wrong, a full disk for one, comes after the lock was had.
    if ((error as BufferError).code === "in_use") throw inUse(directory);
  }
}

function inUse(directory: string): BufferError {
  return new BufferError("in_use", `a gateway has the buffer in ${directory} open`);
}

/** Names, sizes and times of the files; what LevelDB only notes for people is left out. */
async function footprint(directory: string): Promise<string> {
  if (!(await exists(directory))) return "";
  const lines: string[] = [];
  for (const name of (await readdir(directory)).sort()) {
    if (name === "LOG" || name === "LOG.old" || name === "LOCK") continue;
    try {
      const { size, mtimeMs, ino } = await stat(join(directory, name));
      lines.push(`${name} ${size} ${mtimeMs} ${ino}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      lines.push(`${name} gone`);
    }
  }
  return lines.join("\n");
}

/** LevelDB changes the copy that it opens; a salvage reads one that it has not seen. */
async function evidenceOf(there: boolean, copy: string, folder: string): Promise<string> {
  const evidence = join(folder, "evidence");
  if (there) await secureCopy(copy, evidence);
  return evidence;
}

interface Work {
  /** As the user knows it. */
  readonly directory: string;
  readonly folder: string;
  /** To be opened; undefined where there is nothing that LevelDB could open. */
  readonly copy: string | undefined;
  /** Files that LevelDB has not touched. */
  readonly evidence: readonly string[];
  readonly mark: ReadMark | undefined;
  readonly unfinished: boolean;
  readonly stamp: () => Stamp;
}

async function examineCopy(work: Work): Promise<ExaminedBuffer> {
  const { directory, copy, mark, unfinished } = work;
  let store: Store | undefined;
  let found: Inspection | undefined;
  let damage: readonly string[] = [];
  if (copy === undefined) damage = ["the store is not there"];
  else {
    try {
      await refuseDamagedTables(copy);
      store = await openStore(copy, false);
      // A salvaged store was made by what the mark said, and the mark is written anew with it.
      found = await inspectStore(store, unfinished ? undefined : mark);
      damage = found.damage;
    } catch (error) {
      await store?.close();
      store = undefined;
      if (!(error instanceof BufferError) || error.code !== "damaged") throw error;
      damage = [error.message.replace(copy, directory)];
    }
  }
  const places = { diskBytes: await bytesOf(directory), freeBytes: await freeOf(directory) };
  if (store && found?.chapters && damage.length === 0) {
    const start = unfinished ? "finish-salvage" : found.renew ? "new-epoch" : "nothing";
    const about = { ...places, damage, lost: [], saved: undefined, start } as const;
    return examined(store, found, found.chapters, found.format, mark, about);
  }
  await store?.close();
  return await examineSalvaged(work, found?.format, damage, places);
}

async function examineSalvaged(
  { folder, evidence, mark, stamp }: Work,
  format: number | undefined,
  damage: readonly string[],
  places: { readonly diskBytes: number; readonly freeBytes: number },
): Promise<ExaminedBuffer> {
  const target = join(folder, "salvaged");
  const { lost, saved } = await salvage({
    evidence,
    target,
    mark,
    reason: "salvage",
    epoch: NOBODYS_EPOCH,
    stamp,
  });
  const store = await openStore(target, false);
  const found = await inspectStore(store, undefined);
  const all = found.chapters ?? [];
  const chapters = all.filter(({ epoch }) => epoch !== NOBODYS_EPOCH);
  const ranges = lost.flatMap(([from, to]) =>
    splitByChapter(all, from, to).map((part) => ({
      epoch: part.chapter.epoch,
      from: part.from - part.chapter.base,
      to: part.to - part.chapter.base,
    })),
  );
  const about = { ...places, damage, lost: ranges, saved, start: "salvage" } as const;
  // Without the event that opens the epoch of nobody.
  return examined(store, { ...found, accepted: found.accepted - 1 }, chapters, format, mark, about);
}

type About = Pick<Examination, "damage" | "lost" | "saved" | "start" | "diskBytes" | "freeBytes">;

function examined(
  store: Store,
  { released, accepted, groups }: Inspection,
  chapters: Chapters,
  format: number | undefined,
  mark: ReadMark | undefined,
  about: About,
): ExaminedBuffer {
  const epochs = chapters.map((chapter): EpochHeld => {
    const { epoch, base, after, owner } = chapter;
    const end = Math.min(endOf(chapters, chapter), accepted);
    const from = Math.max(after, released) + 1;
    const waiting = from > end ? undefined : { from: from - base, to: end - base };
    const whose = owner ? { gateway: owner.gateway } : {};
    return { epoch, ...whose, highest: Math.max(0, end - base), waiting };
  });
  const at = chapters.length > 0 ? chapterOf(chapters, Math.max(released, 1)) : undefined;
  const top = mark && chapterOf(mark.chapters, Math.max(mark.accepted, 1));
  let held = 0;
  let bytes = 0;
  for (let i = 0; i < groups.length; i += 1) {
    const group = groups.at(i);
    if (!group || group.last <= released || group.first > accepted) continue;
    held += 1;
    bytes += group.bytes;
  }
  return {
    examination: {
      ...about,
      format,
      epochs,
      cursor: at && { epoch: at.epoch, sequence: Math.max(0, released - at.base) },
      mark: mark &&
        top && {
          epoch: top.epoch,
          sequence: Math.max(0, mark.accepted - top.base),
          copied: mark.copied,
        },
      groups: held,
      bytes,
    },
    events: () => eventsOf(store, chapters, released, accepted),
    close: () => store.close(),
  };
}

async function* eventsOf(
  store: Store,
  chapters: Chapters,
  released: number,
  accepted: number,
): AsyncGenerator<BufferedEvent> {
  for await (const [first, group] of scanGroups(store, 0)) {
    if (first > accepted) return;
    const chapter = chapterOf(chapters, first);
    for (const { position, span: _, ...event } of decodeGroup(first, seedOf(chapter), group)
      .frames) {
      if (position <= released) continue;
      const place = { position, epoch: chapter.epoch, sequence: position - chapter.base };
      const { owner } = chapter;
      yield { ...event, ...place, ...(owner ? { gateway: owner.gateway } : {}) };
    }
  }
}

async function bytesOf(directory: string): Promise<number> {
  return (await exists(directory)) ? await directoryBytes(directory) : 0;
}

/** Of the disk that holds the directory, or would. */
async function freeOf(directory: string): Promise<number> {
  const place = (await exists(directory)) ? directory : dirname(directory);
  return await freeBytes(basename(place) === "" ? "/" : place);
}
