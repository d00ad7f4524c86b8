/**
 * The buffer's storage on LevelDB: a store, a mark beside it, and what it takes to trust them.
 *
 * Beside each other in the gateway's data directory:
 *   buffer/             the LevelDB store (level-store.ts)
 *   buffer.mark         how far was acknowledged (mark.ts), written after each synced change and before its acknowledgements
 *   buffer.lock/        held by the process that has the buffer, from before it looks at anything (directory-lock.ts)
 *   buffer.secured/     the store as it was before this start opened it; gone once it was found whole
 *   buffer.salvaged/    a new store, made of a damaged one, about to take its place
 *   buffer.quarantine/  damaged originals, the newest few, for whoever wants to look
 *
 * Opening. The store is secured as it is, because LevelDB rewrites what it opens and is silent about what it drops. Then
 * it is opened and looked over from end to end, and compared with the mark. If it is whole, it is taken; if not, a new one
 * is made of the secured files, with every record that can be saved, declared losses for the rest, and a new epoch
 * behind them. A store that is missing although the mark or the caller knows of it is a damaged one: never an empty new
 * one. At every step a power cut leaves either the old state or one that the next start can finish.
 */
import assert from "node:assert";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import {
  type Chapters,
  newest,
  type Owner,
  sameOwner,
  seedOf,
  withChapter,
} from "./chapters.core.ts";
import {
  directoryBytes,
  exists,
  freeBytes,
  moveDirectory,
  removeDirectory,
  removeWhole,
  secureCopy,
  syncDirectory,
} from "./directories.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { encodeGroup, frameBytes } from "./frame.core.ts";
import { type Inspection, inspectStore } from "./inspect.ts";
import { refuseDamagedTables } from "./level-check.ts";
import {
  groupKey,
  openStore,
  putGroup,
  putMeta,
  putNotes,
  readNotes,
  removeGroup,
  type Store,
  scanGroups,
  storeError,
} from "./level-store.ts";
import type { ReadMark } from "./mark.core.ts";
import { MarkFile } from "./mark.ts";
import { beginEpoch } from "./new-epoch.core.ts";
import { epochEvent } from "./own-events.ts";
import { BufferError } from "./port.ts";
import { salvage } from "./salvage.ts";
import type { Change, Damage, GroupStorage, Opened, Usage } from "./storage.ts";

export interface LevelStorageOptions {
  /** Of the store; what stands beside it begins with the same name. Owned by the buffer alone. */
  readonly directory: string;
  /** True only at the very first start of a gateway: a store that went missing must not become an empty one. */
  readonly createIfMissing: boolean;
  /** For a new store, and whenever sequences could repeat. */
  readonly makeEpoch: () => Epoch;
  /** Whose epochs begin now; undefined for the gateway and the hardware that the store was made for. */
  readonly owner?: Owner | undefined;
  /** Id of that gateway. */
  readonly origin?: GatewayId | undefined;
  readonly stamp: () => Stamp;
}

/** Damaged originals that are kept. */
const QUARANTINES = 2;

/** What LevelDB may keep mapped after a start without anybody minding. */
const MAPPED_BYTES = 8 * 1024 * 1024;

/** Openings that fail with a read error before the sectors are given up: a cable may be loose, a card worn out is. */
const READ_ERRORS = 3;

export function besideStore(directory: string): Readonly<Record<Beside, string>> {
  return {
    mark: `${directory}.mark`,
    lock: `${directory}.lock`,
    secured: `${directory}.secured`,
    earlier: `${directory}.secured.earlier`,
    salvaged: `${directory}.salvaged`,
    quarantine: `${directory}.quarantine`,
  };
}
type Beside = "mark" | "lock" | "secured" | "earlier" | "salvaged" | "quarantine";

interface Live {
  readonly store: Store;
  readonly mark: MarkFile;
  readonly chapters: Chapters;
  accepted: number;
  released: number;
}

export class LevelStorage implements GroupStorage {
  readonly #options: LevelStorageOptions;
  readonly #paths: Readonly<Record<Beside, string>>;
  readonly #lock: DirectoryLock;
  #live: Live | undefined;
  #readErrors = 0;

  constructor(options: LevelStorageOptions) {
    this.#options = options;
    this.#paths = besideStore(options.directory);
    this.#lock = new DirectoryLock(this.#paths.lock);
  }

  async open(): Promise<Opened> {
    assert(!this.#live, "a storage is opened once");
    try {
      return await this.#openWhole();
    } catch (error) {
      // The dead make room for the living: what a person may want to look at goes before what waits to be stored.
      if (/No space|ENOSPC/.test((error as Error).message)) {
        await removeDirectory(this.#paths.quarantine).catch(() => undefined);
      }
      throw this.#told(error as NodeJS.ErrnoException);
    }
  }

  async write(change: Change): Promise<void> {
    const batch = this.#opened().store.batch();
    for (const first of change.remove) removeGroup(batch, first);
    for (const { first, group } of change.put) putGroup(batch, first, group);
    if (change.released !== undefined) putMeta(batch, { released: change.released });
    putNotes(batch, change.notes);
    await batch.write({ sync: true });
    if (change.released !== undefined) this.#opened().released = change.released;
  }

  async confirm(accepted: number, released: number): Promise<void> {
    const live = this.#opened();
    await live.mark.write({ chapters: live.chapters, accepted, released });
    live.accepted = accepted;
  }

  groups(from: number): AsyncIterable<readonly [first: number, group: Uint8Array]> {
    return scanGroups(this.#opened().store, from);
  }

  async noted(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return await readNotes(this.#opened().store, prefix);
  }

  async compact(below: number): Promise<void> {
    const { store } = this.#opened();
    await store.compactRange(groupKey(0), groupKey(below), { keyEncoding: "buffer" });
  }

  async usage(): Promise<Usage> {
    const { directory } = this.#options;
    const parent = dirname(directory);
    const diskBytes = this.#live ? await directoryBytes(directory) : 0;
    return { diskBytes, freeBytes: await freeBytes(parent) };
  }

  async close(clean: boolean): Promise<void> {
    const live = this.#live;
    if (!live) return;
    this.#live = undefined;
    try {
      if (clean) {
        const { chapters, accepted, released } = live;
        await live.mark.write({ chapters, accepted, released });
      }
    } finally {
      await live.mark.close();
      await live.store.close();
    }
  }

  async end(): Promise<void> {
    await this.#lock.release();
  }

  #opened(): Live {
    if (!this.#live) throw new BufferError("unavailable", "the store is not open");
    return this.#live;
  }

  async #openWhole(): Promise<Opened> {
    const { directory, createIfMissing } = this.#options;
    await mkdir(dirname(directory), { recursive: true });
    await this.#lock.acquire();
    await this.#finishMove();
    const mark = await MarkFile.read(this.#paths.mark);
    const there = await holdsStore(directory);
    if (!there && !mark && createIfMissing) return await this.#create();

    const evidence = await this.#secure(there);
    let found: Inspection | undefined;
    let store: Store | undefined;
    if (there) {
      try {
        await refuseDamagedTables(directory);
        store = await openStore(directory, false);
        found = await inspectStore(store, mark);
      } catch (error) {
        await store?.close();
        store = undefined;
        if (!this.#isDamage(error as BufferError)) throw error;
        return await this.#salvage(mark, evidence, [(error as Error).message]);
      }
    }
    if (!store || !found) {
      return await this.#salvage(mark, evidence, ["the store is not there"]);
    }
    // Made by a first start that ended before it could say so: nothing was acknowledged from it.
    const unborn = createIfMissing && !mark && found.groups.length === 0 && !found.chapters;
    if (found.damage.length > 0) {
      await store.close();
      if (!unborn) return await this.#salvage(mark, evidence, found.damage);
      await removeDirectory(directory);
      return await this.#create();
    }
    const renew = createIfMissing && !mark ? undefined : found.renew;
    // A copy of it may count on under the newest epoch, on the hardware that began it.
    const isOurs = sameOwner(found.chapters?.at(-1)?.owner, this.#options.owner);
    const whole = await this.#unmapped(store, found);
    const damage = renew && renewed(renew, found);
    return await this.#adopt(whole, found, isOurs ? renew : "moved", damage);
  }

  async #create(): Promise<Opened> {
    const { directory, makeEpoch, stamp } = this.#options;
    const store = await openStore(directory, true);
    const chapters = withChapter([], makeEpoch(), 0, 0, this.#options.owner);
    const event = epochEvent(stamp(), { reason: "first-start" });
    const group = encodeGroup(1, seedOf(newest(chapters)), [event], frameBytes(event));
    const batch = store.batch();
    putMeta(batch, { chapters, released: 0 });
    putGroup(batch, 1, group);
    await batch.write({ sync: true });
    await syncDirectory(directory);
    const found = await inspectStore(store, undefined);
    return await this.#adopt(store, found, undefined);
  }

  /**
   * A store that is secured already is of a start that did not come to its end: the earliest of them is kept beside the
   * newest, for LevelDB has been at everything since.
   * @returns all places where files of the store are to be found
   */
  async #secure(there: boolean): Promise<readonly string[]> {
    const { directory } = this.#options;
    const { secured, earlier } = this.#paths;
    if (there) {
      if ((await exists(secured)) && !(await exists(earlier)))
        await moveDirectory(secured, earlier);
      await removeWhole(secured);
      await secureCopy(directory, secured);
    }
    return [secured, earlier, directory];
  }

  /**
   * The store opened once more after it was read from end to end: LevelDB keeps the tables that it read mapped into
   * memory, which is what a whole buffer would take of a small board.
   */
  async #unmapped(store: Store, found: Inspection): Promise<Store> {
    if (found.groups.bytes < MAPPED_BYTES) return store;
    await store.close();
    return await openStore(this.#options.directory, false);
  }

  /** A whole store becomes the live one. */
  async #adopt(
    store: Store,
    found: Inspection,
    renew: EpochReason | undefined,
    damage?: Damage,
  ): Promise<Opened> {
    assert(found.chapters, "a whole store has chapters");
    const { makeEpoch, stamp, owner, origin } = this.#options;
    const { released, groups } = found;
    let { chapters, accepted } = found;
    let mark: MarkFile | undefined;
    try {
      const batch = store.batch();
      if (renew) {
        // Nothing is lost, but sequences could repeat.
        const epoch = makeEpoch();
        const old = { chapters, highest: accepted, released, owner, origin };
        const begun = beginEpoch({ ...old, epoch, reason: renew, stamp: stamp() });
        putGroup(batch, begun.first, begun.group);
        groups.push(begun.first, begun.first, begun.group.length, "epoch");
        chapters = begun.chapters;
        accepted = begun.first;
      }
      putMeta(batch, { chapters, released });
      await batch.write({ sync: true });
      mark = await MarkFile.open(this.#paths.mark);
      await mark.write({ chapters, accepted, released });
      await syncDirectory(dirname(this.#options.directory));
      await removeWhole(this.#paths.secured);
      await removeWhole(this.#paths.earlier);
    } catch (error) {
      await mark?.close();
      await store.close();
      throw error;
    }
    this.#live = { store, mark, chapters, accepted, released };
    this.#readErrors = 0;
    return { chapters, accepted, released, groups, damage };
  }

  async #salvage(
    mark: ReadMark | undefined,
    evidence: readonly string[],
    found: readonly string[],
  ): Promise<Opened> {
    const { directory, makeEpoch, stamp, owner, origin } = this.#options;
    const making = `${this.#paths.salvaged}.new`;
    await removeDirectory(making);
    const reason = mark?.copied ? "restored" : "salvage";
    const result = await salvage({
      evidence,
      target: making,
      mark,
      reason,
      epoch: makeEpoch(),
      ...{ owner, origin, stamp },
    });
    await syncDirectory(making);
    await moveDirectory(making, this.#paths.salvaged);
    const quarantine = await this.#finishMove();
    const store = await openStore(directory, false);
    const inspection = await inspectStore(store, undefined);
    assert.deepEqual(inspection.damage, [], "a salvaged store is whole");
    const damage = { ...result, found, reason, quarantine } as const;
    return await this.#adopt(store, inspection, undefined, damage);
  }

  /**
   * Puts a salvaged store in the place of the damaged one, which goes into quarantine. It can be cut off anywhere and is
   * then finished by the next start: while `salvaged` is there, it is the truth.
   */
  async #finishMove(): Promise<string | undefined> {
    const { directory } = this.#options;
    const { salvaged, secured, earlier } = this.#paths;
    if (!(await exists(salvaged))) return undefined;
    if (!(await isWholeStore(salvaged))) {
      // Not one of ours: the store that is there is worth more.
      await removeDirectory(salvaged);
      return undefined;
    }
    const kept = await this.#quarantine([earlier, secured, directory]);
    await moveDirectory(salvaged, directory);
    return kept;
  }

  /** Keeps directories aside, the first of them as the original and others within it, and the mark that goes with them. */
  async #quarantine(directories: readonly string[]): Promise<string | undefined> {
    const { quarantine, mark } = this.#paths;
    let kept: string | undefined;
    for (const each of directories) {
      if (!(await exists(each))) continue;
      if (kept) await moveDirectory(each, join(kept, basename(each)));
      else {
        await mkdir(quarantine, { recursive: true });
        const old = (await readdir(quarantine)).map(Number).filter(Number.isInteger);
        kept = join(quarantine, String(Math.max(0, ...old) + 1));
        await moveDirectory(each, kept);
        await copyFile(mark, join(kept, "mark")).catch(() => undefined);
        for (const number of old.sort((a, b) => b - a).slice(QUARANTINES - 1)) {
          await removeDirectory(join(quarantine, String(number)));
        }
      }
    }
    return kept;
  }

  /** Whether a failed opening says that the store is damaged, or that the disk may come back. */
  #isDamage(error: BufferError): boolean {
    if (error.code === "damaged") return true;
    if (error.code !== "unavailable" || !/Input\/output/i.test(error.message)) return false;
    this.#readErrors += 1;
    return this.#readErrors >= READ_ERRORS;
  }

  /** What goes wrong with files around the store, as the port has it. */
  #told(error: NodeJS.ErrnoException): Error {
    if (error instanceof BufferError || error.name === "AssertionError") return error;
    const { directory } = this.#options;
    if (/^(EACCES|EPERM|ENOTDIR|EEXIST)$/.test(error.code ?? "")) {
      return new BufferError(
        "unwritable",
        `the buffer in ${directory} cannot be written (${error.message}). Give this user the right to it, or choose another directory with --data-dir`,
        { cause: error },
      );
    }
    return error.code === undefined
      ? storeError(error, `the buffer in ${directory} cannot be opened`)
      : new BufferError(
          "unavailable",
          `the buffer in ${directory} cannot be opened: ${error.message}`,
          { cause: error },
        );
  }
}

/** What a new epoch behind a whole store has to say. */
function renewed(reason: "salvage" | "restored", { chapters, groups }: Inspection): Damage {
  const why =
    reason === "restored"
      ? "the data directory is a copy put back: what was acknowledged after it was made is not in it"
      : "the high-water mark is lost: whether anything was acknowledged beyond what is here is not known";
  const previous = chapters?.at(-1)?.epoch;
  return { found: [why], reason, previous, lost: [], saved: groups.events, quarantine: undefined };
}

async function isWholeStore(directory: string): Promise<boolean> {
  let store: Store | undefined;
  try {
    store = await openStore(directory, false);
    const { damage, chapters } = await inspectStore(store, undefined);
    return damage.length === 0 && chapters !== undefined;
  } catch (error) {
    if ((error as BufferError).code === "damaged") return false;
    throw error;
  } finally {
    await store?.close();
  }
}

/** Whether there is anything of LevelDB's in a directory: CURRENT alone may be missing. */
export async function holdsStore(directory: string): Promise<boolean> {
  try {
    const names = await readdir(directory);
    return names.some((name) => /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst))$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
