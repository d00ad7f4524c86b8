/**
 * One LevelDB store of the buffer: its keys and values, and what opening it may say.
 *
 * Keys are bytes:
 *   "e" + first position u64 (big endian)  → one group of events as in frame.core.ts
 *   "m" + name                             → crc u32 | text: `format`, `chapters`, `released`
 *   "n" + key                              → crc u32 | bytes: a note
 * One value for each group commit, because at the broker that is twice as fast as one for each event. LevelDB checks
 * nothing on a read and cannot be told to, so every value carries a checksum over its key and content.
 *
 * Format 1 had `epoch` in the place of `chapters`, and meta values without a checksum; it is read, and rewritten as 2.
 * Format 3 is 2 with epochs that have an owner: a version that knows of none would send them under another gateway's id.
 */
import { type ChainedBatch, ClassicLevel } from "classic-level";
import { isEpoch } from "../../events/ids.ts";
import { type Chapters, decodeChapters, encodeChapters } from "./chapters.core.ts";
import { viewOf } from "./level-log.core.ts";
import { BufferError, type Note } from "./port.ts";
import { sealed, unsealed } from "./sealed.core.ts";

export type Store = ClassicLevel<Buffer, Buffer>;
type Batch = ChainedBatch<Store, Buffer, Buffer>;

const bytes = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;

/**
 * The smallest tables that LevelDB makes, and the fewest open: it maps those that it has open into memory, and on a board
 * of 512 MB a whole buffer cannot be. Values are not compressed: they are CBOR of a few fields, and read past damage as
 * they stand.
 */
const STORE_OPTIONS = {
  compression: false,
  // While a table is written acknowledgements wait for the disk: small ones, so that none of them waits long.
  writeBufferSize: 1024 * 1024,
  maxFileSize: 1024 * 1024,
  maxOpenFiles: 64,
  cacheSize: 1024 * 1024,
  // Each key stands whole in its table, so that damage to one entry hides none behind it from a salvage.
  blockRestartInterval: 1,
} as const;

export const FORMAT = 3;

/** The lowest format that says it all, so that an earlier version reads what it can. */
function formatFor(chapters: Chapters): number {
  return chapters.some(({ owner }) => owner !== undefined) ? 3 : 2;
}

export const EVENTS_BEGIN: Buffer = Buffer.from("e");
const EVENTS_END = Buffer.from("f");

type Entry = readonly [key: Buffer, value: Buffer];

/** A store of small groups is read in bites of this size, which is what a start with a million of them costs. */
const bites = { highWaterMarkBytes: 256 * 1024 } as const;

export function groupKey(first: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = 0x65;
  key.writeBigUInt64BE(BigInt(first), 1);
  return key;
}

/** First position of the group under a key; undefined for keys of other things. */
export function firstOfKey(key: Uint8Array): number | undefined {
  if (key.length !== 9 || key[0] !== 0x65) return undefined;
  const bytes = viewOf(key);
  const first = bytes.readUInt32BE(1) * 2 ** 32 + bytes.readUInt32BE(5);
  return Number.isSafeInteger(first) && first > 0 ? first : undefined;
}

const metaKey = (name: string) => Buffer.from(`m${name}`);
const noteKey = (key: string) => Buffer.from(`n${key}`);

/** @throws BufferError `in_use`, `unavailable`; `damaged` where LevelDB cannot make sense of the directory */
export async function openStore(directory: string, createIfMissing: boolean): Promise<Store> {
  const store: Store = new ClassicLevel(directory, bytes);
  try {
    await store.open({ createIfMissing, ...STORE_OPTIONS });
  } catch (error) {
    throw openError(error as Error & { cause?: Error & { code?: string } }, directory);
  }
  return store;
}

function openError(
  error: Error & { cause?: Error & { code?: string } },
  directory: string,
): BufferError {
  const cause: Error & { code?: string } = error.cause ?? error;
  if (cause.code === "LEVEL_LOCKED") {
    return new BufferError(
      "in_use",
      `another process has the buffer in ${directory} open; stop it, or start this one with another --data-dir`,
      { cause },
    );
  }
  return storeError(cause, `the buffer in ${directory} cannot be opened`);
}

/** Faults of the disk, which may pass; anything else that LevelDB says is about what is on it. */
const DISK_FAULTS =
  /Read-only|No space|Disk quota|Input\/output error|Too many open files|Cannot allocate memory/i;

export function storeError(cause: Error, what: string): BufferError {
  if (/Permission denied/i.test(cause.message)) {
    return new BufferError("unwritable", `${what}: ${cause.message}`, { cause });
  }
  const code = DISK_FAULTS.test(cause.message) ? "unavailable" : "damaged";
  return new BufferError(code, `${what}: ${cause.message}`, { cause });
}

/** What a store says of itself. Members that are missing or do not match their checksum are undefined. */
export interface Meta {
  readonly format: number | undefined;
  readonly chapters: Chapters | undefined;
  readonly released: number | undefined;
}

export async function readMeta(store: Store): Promise<Meta> {
  const raw = async (name: string) => {
    const key = metaKey(name);
    const value = await store.get(key);
    return value && { key, value };
  };
  const format = await raw("format");
  const text = format?.value.toString();
  if (text === "1") return await readMeta1(store);
  const read = async (name: string) => {
    const found = await raw(name);
    return found && unsealed(found.key, found.value)?.toString();
  };
  const number = (digits: string | undefined) =>
    digits !== undefined && /^\d{1,16}$/.test(digits) ? Number(digits) : undefined;
  const chapters = await read("chapters");
  return {
    format: number(await read("format")),
    chapters: chapters === undefined ? undefined : decodeChapters(chapters),
    released: number(await read("released")),
  };
}

async function readMeta1(store: Store): Promise<Meta> {
  const epoch = (await store.get(metaKey("epoch")))?.toString() ?? "";
  const released = (await store.get(metaKey("released")))?.toString() ?? "0";
  return {
    format: 1,
    chapters: isEpoch(epoch) ? [{ epoch, base: 0, after: 0, format: 1 }] : undefined,
    released: /^\d{1,16}$/.test(released) ? Number(released) : undefined,
  };
}

/** Members that are present are written. */
export interface MetaChange {
  readonly chapters?: Chapters;
  readonly released?: number;
}

export function putMeta(batch: Batch, change: MetaChange): void {
  const put = (name: string, text: string) => {
    const key = metaKey(name);
    batch.put(key, sealed(key, Buffer.from(text)), bytes);
  };
  if (change.chapters) {
    put("format", String(formatFor(change.chapters)));
    put("chapters", encodeChapters(change.chapters));
  }
  if (change.released !== undefined) put("released", String(change.released));
}

export function putGroup(batch: Batch, first: number, group: Buffer): void {
  batch.put(groupKey(first), group, bytes);
}

export function removeGroup(batch: Batch, first: number): void {
  batch.del(groupKey(first), bytes);
}

export function putNotes(batch: Batch, notes: readonly Note[]): void {
  for (const { key, value } of notes) {
    const at = noteKey(key);
    if (value === undefined) batch.del(at, bytes);
    else batch.put(at, sealed(at, value), bytes);
  }
}

/** Groups in the order of their positions. */
export async function* scanGroups(
  store: Store,
  from: number,
): AsyncGenerator<readonly [first: number, group: Buffer]> {
  for await (const page of scanEntries(store, from)) {
    for (const [key, value] of page) {
      const first = firstOfKey(key);
      if (first !== undefined) yield [first, value];
    }
  }
}

/**
 * Values alone, in the order of their positions. To make a buffer of a key takes as long as to look at a small group, so
 * this is for a start with a million of them: where each stands, its checksums say.
 */
export function scanValues(store: Store): AsyncGenerator<readonly Buffer[]> {
  const range = { gte: EVENTS_BEGIN, lt: EVENTS_END, fillCache: false, ...bites, ...bytes };
  return pages(store.values(range));
}

/** First position in the store; undefined where it has no groups. */
export async function firstPosition(store: Store): Promise<number | undefined> {
  for await (const key of store.keys({ gte: EVENTS_BEGIN, lt: EVENTS_END, limit: 1, ...bytes })) {
    return firstOfKey(key);
  }
  return undefined;
}

async function* scanEntries(store: Store, from: number): AsyncGenerator<readonly Entry[]> {
  const gte = from > 0 ? groupKey(from) : EVENTS_BEGIN;
  const range = { gte, lt: EVENTS_END, fillCache: false, ...bites, ...bytes };
  yield* pages(store.iterator(range));
}

/** By the page, because to wait for each costs more than to look at it; the next is read while one is looked at. */
async function* pages<T>(iterator: {
  nextv(size: number): Promise<T[]>;
  close(): Promise<void>;
}): AsyncGenerator<readonly T[]> {
  const read = () => {
    const page = iterator.nextv(300);
    // Whoever asks for it is told; nobody may.
    page.catch(() => {});
    return page;
  };
  try {
    let next = read();
    for (;;) {
      const page = await next;
      if (page.length === 0) return;
      next = read();
      yield page;
    }
  } finally {
    await iterator.close();
  }
}

/** Notes whose checksum holds; the others are forgotten. */
export async function readNotes(
  store: Store,
  prefix: string,
): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
  const found: (readonly [string, Uint8Array])[] = [];
  const range = { gte: noteKey(prefix), lt: Buffer.from("o"), ...bytes };
  for await (const [key, value] of store.iterator(range)) {
    const name = key.toString().slice(1);
    if (!name.startsWith(prefix)) break;
    const content = unsealed(key, value);
    if (content) found.push([name, content]);
  }
  return found;
}
