/**
 * Makes a whole store of a damaged one: every record whose checksum holds, whatever LevelDB makes of the files around
 * it, and for the rest a declared loss in its place. The damaged files are only read.
 *
 * The files are read as bytes (level-log.core.ts, level-table.core.ts), because LevelDB itself gives up far more than is
 * damaged: the rest of a log block, a table without its end. Groups that are whole go into the new store as they are.
 * Frames out of damaged groups stand aside until all files were read, for another file may hold the same group whole.
 * Then one walk over the positions (salvage-walk.ts) drops what is double or released already, and declares what is missing.
 */
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Epoch, GatewayId } from "../../events/ids.ts";
import type { EpochReason, Stamp } from "../../events/schema.ts";
import { type Chapters, chapterOf, decodeChapters, type Owner, seedOf } from "./chapters.core.ts";
import { decodeGroup, encodeGroup, type Framed, frameBytes, salvageGroup } from "./frame.core.ts";
import { loggedEntries, type RawEntry } from "./level-log.core.ts";
import {
  firstOfKey,
  openStore,
  putGroup,
  putMeta,
  putNotes,
  removeGroup,
  type Store,
  scanGroups,
} from "./level-store.ts";
import { tableEntries } from "./level-table.core.ts";
import type { ReadMark } from "./mark.core.ts";
import { closeHoles, type Salvaged } from "./salvage-walk.ts";
import { unsealed } from "./sealed.core.ts";

export interface SalvageOptions {
  /** Directories of damaged files; missing ones are passed over. */
  readonly evidence: readonly string[];
  /** Where the new store is made; must not exist. */
  readonly target: string;
  readonly mark: ReadMark | undefined;
  readonly reason: EpochReason;
  readonly epoch: Epoch;
  /** Whose that is, and under whose id epochs without an owner stand. */
  readonly owner?: Owner | undefined;
  readonly origin?: GatewayId | undefined;
  readonly stamp: () => Stamp;
}

/** Written at once; LevelDB keeps a batch in memory twice. */
const BATCH_BYTES = 1024 * 1024;

/** What an unreadable sector may hide. */
const SECTOR_BYTES = 4096;

export async function salvage(options: SalvageOptions): Promise<Salvaged> {
  const { mark } = options;
  const files = await filesIn(options.evidence);
  // Without a mark nobody says which epochs there were, but the store itself.
  const side = mark ? undefined : await readSide(files);
  const store = await openStore(options.target, true);
  try {
    const work = new Work(store);
    let chapters = mark?.chapters ?? side?.chapters ?? [];
    let found = await takeGroups(files, chapters, mark?.released ?? 0, work);
    const own = found.side.chaptersWith(chapters);
    if (own) {
      // The store began an epoch that the mark had not heard of, or it is another store altogether.
      chapters = own;
      found = await takeGroups(files, chapters, 0, work);
    }
    await work.flush();
    return await finish(options, chapters, found.side, work);
  } finally {
    await store.close();
  }
}

interface EvidenceFile {
  readonly path: string;
  readonly kind: "log" | "table";
}

async function filesIn(directories: readonly string[]): Promise<readonly EvidenceFile[]> {
  const files: EvidenceFile[] = [];
  for (const directory of directories) {
    let names: string[];
    try {
      const entries = await readdir(directory, { withFileTypes: true });
      names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      continue;
    }
    for (const name of names) {
      const path = join(directory, name);
      // Whatever its name: files may have changed places.
      files.push({ path, kind: /\.(ldb|sst)$/.test(name) ? "table" : "log" });
    }
  }
  return files;
}

/** The bytes of a file; what the disk cannot read any more is zeros. */
async function readPastFaults(path: string): Promise<Buffer> {
  const handle = await open(path, "r");
  try {
    try {
      return await handle.readFile();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
      return await readBySectors(handle);
    }
  } finally {
    await handle.close();
  }
}

async function readBySectors(handle: FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += SECTOR_BYTES) {
    try {
      await handle.read(bytes, at, Math.min(SECTOR_BYTES, size - at), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
      bytes.fill(0, at, Math.min(at + SECTOR_BYTES, size));
    }
  }
  return bytes;
}

/**
 * Both readings of a file: where two files changed places, a log has the name of a table. What is no entry of ours is
 * not taken either way.
 */
function* entriesOf(file: EvidenceFile, bytes: Buffer): Generator<RawEntry> {
  const inTurn =
    file.kind === "log" ? [loggedEntries, tableEntries] : [tableEntries, loggedEntries];
  for (const read of inTurn) yield* read(bytes);
}

/** What a store knows beside its groups, the newest of each that is intact. */
class Side {
  /** Every list of epochs that was found, oldest first. */
  readonly #chapters: Chapters[] = [];
  /** Groups that are ours under the epochs that were tried. */
  whole = 0;
  released: number | undefined;
  readonly notes = new Map<string, Uint8Array | undefined>();
  readonly #orders = new Map<string, number>();

  get chapters(): Chapters | undefined {
    return this.#chapters.at(-1);
  }

  /**
   * The epochs to try in the place of these: a list that goes on from them; any other only where nothing was found
   * under these, for then this is another store, and not one file of another among ours.
   */
  chaptersWith(tried: Chapters): Chapters | undefined {
    const last = tried.at(-1)?.epoch;
    // Or one that ends as these do and goes back further: a mark names no more than it has room for.
    const longer = this.#chapters.findLast((list) =>
      list.some(
        ({ epoch }, i) => epoch === last && (i + 1 < list.length || list.length > tried.length),
      ),
    );
    if (longer) return longer;
    const known = (list: Chapters) => tried.some(({ epoch }) => epoch === list.at(-1)?.epoch);
    return this.whole === 0 ? this.#chapters.findLast((list) => !known(list)) : undefined;
  }

  take(entry: RawEntry): void {
    const kind = entry.key[0];
    if ((kind !== 0x6d && kind !== 0x6e) || entry.cut) return;
    const name = entry.key.toString();
    const content = entry.value && unsealed(entry.key, entry.value);
    if (entry.value && !content && !this.#takeFormat1(name, entry.value)) return;
    // Of epochs every list counts: a table of another store brings its own, under the same name.
    if (name !== "mchapters" && (this.#orders.get(name) ?? -1) > entry.order) return;
    this.#orders.set(name, entry.order);
    if (kind === 0x6e) this.notes.set(name.slice(1), content && new Uint8Array(content));
    else if (content) this.#takeMeta(name.slice(1), content.toString());
  }

  #takeMeta(name: string, text: string): void {
    const chapters = name === "chapters" ? decodeChapters(text) : undefined;
    if (chapters) this.#chapters.push(chapters);
    if (name === "released" && /^\d{1,16}$/.test(text)) this.released = Number(text);
  }

  #takeFormat1(name: string, value: Buffer): boolean {
    const text = value.toString();
    const chapters = name === "mepoch" ? decodeChapters(`${text}:0:0:1`) : undefined;
    if (chapters) this.#chapters.unshift(chapters);
    else if (name === "mreleased" && /^\d{1,16}$/.test(text)) this.released = Number(text);
    return name === "mepoch" || name === "mreleased";
  }
}

async function readSide(files: readonly EvidenceFile[]): Promise<Side> {
  const side = new Side();
  for (const file of files) {
    for (const entry of entriesOf(file, await readPastFaults(file.path))) side.take(entry);
  }
  return side;
}

const STRAY_PREFIX = "s";

/** The new store while it is filled: groups under their keys, frames out of damaged groups aside. */
class Work {
  readonly store: Store;
  #batch: ReturnType<Store["batch"]> | undefined;
  #bytes = 0;
  /** First positions of losses: a loss has taken the place of events, never the reverse. */
  readonly #losses = new Map<number, number>();

  constructor(store: Store) {
    this.store = store;
  }

  async putWhole(first: number, frames: readonly Framed[], group: Buffer): Promise<void> {
    const loss = frames.find(({ type }) => type === "tidegate.loss");
    const known = this.#losses.get(first);
    if (known !== undefined && (loss?.span ?? 0) <= known) return;
    if (loss) this.#losses.set(first, loss.span);
    putGroup(this.batch(), first, group);
    await this.wrote(group.length);
  }

  async putStray(frame: Framed, seed: number): Promise<void> {
    const first = frame.position - frame.span + 1;
    const group = encodeGroup(first, seed, [frame], frameBytes(frame));
    this.batch().put(Buffer.from(`${STRAY_PREFIX}${String(first).padStart(16, "0")}`), group);
    await this.wrote(group.length);
  }

  batch(): ReturnType<Store["batch"]> {
    this.#batch ??= this.store.batch();
    return this.#batch;
  }

  async wrote(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes > BATCH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = undefined;
    this.#bytes = 0;
    await batch?.write({ sync: true });
  }
}

async function takeGroups(
  files: readonly EvidenceFile[],
  chapters: Chapters,
  released: number,
  work: Work,
): Promise<{ readonly side: Side }> {
  const side = new Side();
  for (const file of files) {
    for (const entry of entriesOf(file, await readPastFaults(file.path))) {
      side.take(entry);
      const first = firstOfKey(entry.key);
      if (first === undefined || !entry.value || chapters.length === 0) continue;
      const seed = seedOf(chapterOf(chapters, first));
      const { frames, intact } = decodeGroup(first, seed, entry.value);
      if (intact && !entry.cut) {
        side.whole += 1;
        if ((frames.at(-1)?.position ?? 0) > released) {
          await work.putWhole(first, frames, entry.value);
        }
        continue;
      }
      for (const frame of salvageGroup(first, seed, entry.value, Number.POSITIVE_INFINITY)) {
        if (frame.position > released) await work.putStray(frame, seed);
      }
    }
  }
  return { side };
}

/** Walks over everything that was found, in order, closes what is open, and makes a store of it. */
async function finish(
  options: SalvageOptions,
  known: Chapters,
  side: Side,
  work: Work,
): Promise<Salvaged> {
  const { previous, lost, saved, chapters, released } = await closeHoles(
    { ...options, chapters: known, storedRelease: side.released },
    {
      found: () => inOrder(work.store),
      put: async (first, group) => {
        putGroup(work.batch(), first, group);
        await work.wrote(group.length);
      },
      remove: (first) => removeGroup(work.batch(), first),
    },
  );
  putNotes(
    work.batch(),
    [...side.notes].map(([key, value]) => ({ key, value })),
  );
  putMeta(work.batch(), { chapters, released });
  await work.flush();
  await work.store.clear({
    gte: Buffer.from(STRAY_PREFIX),
    lt: Buffer.from("t"),
    keyEncoding: "buffer",
  });
  return { previous, lost, saved };
}

/** Groups and strays by their first positions; at the same one the group comes first. */
async function* inOrder(
  store: Store,
): AsyncGenerator<readonly [first: number, group: Buffer, stray: boolean]> {
  const groups = scanGroups(store, 0);
  let group = await groups.next();
  const strays = store.iterator({
    gte: Buffer.from(STRAY_PREFIX),
    lt: Buffer.from("t"),
    keyEncoding: "buffer",
    valueEncoding: "buffer",
  });
  for await (const [key, value] of strays) {
    const first = Number(key.toString().slice(1));
    for (; !group.done && group.value[0] <= first; group = await groups.next()) {
      yield [group.value[0], group.value[1], false];
    }
    yield [first, value, true];
  }
  for (; !group.done; group = await groups.next()) yield [group.value[0], group.value[1], false];
}
