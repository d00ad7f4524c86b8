/**
 * The high-water mark: how far this gateway has acknowledged, in a file of its own beside the store. LevelDB may lose
 * the end of its log, or all of it, and open without a word; the mark knows what must be there.
 *
 * Two slots of 4 KiB are written in turn, so that a torn write leaves the other one. Each write is on disk when it
 * resolves (O_DSYNC, in place: no metadata of the file system has to follow). The file also remembers its own inode and
 * birth, which no copy has: a data directory that was restored from a backup, or cloned, is told by that.
 *
 *   slot := "TGMARK01" | counter u64 | accepted f64 | released f64 | inode u64 | birth u64 | length u16 | chapters | crc u32
 */
import { constants, write as writeAt } from "node:fs";
import { type FileHandle, lstat, open, rename } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { type Chapters, decodeChapters, encodeChapters } from "./chapters.core.ts";
import type { Mark, ReadMark } from "./mark.core.ts";

const SLOT_BYTES = 4096;
const MAGIC = "TGMARK01";
const CHAPTERS_AT = 8 + 8 + 8 + 8 + 8 + 8 + 2;

interface Slot extends Mark {
  readonly counter: bigint;
  readonly inode: bigint;
  readonly birth: bigint;
}

/** The newest epochs that fit into a slot: a larger one would go over the other slot, and be the end of both. */
function fitting(all: Chapters): Chapters {
  let chapters = all;
  const room = SLOT_BYTES - CHAPTERS_AT - 4;
  while (chapters.length > 1 && encodeChapters(chapters).length > room)
    chapters = chapters.slice(1);
  return chapters;
}

function encodeSlot(slot: Slot): Buffer {
  const chapters = Buffer.from(encodeChapters(fitting(slot.chapters)));
  const bytes = Buffer.alloc(CHAPTERS_AT + chapters.length + 4);
  bytes.write(MAGIC, 0, "latin1");
  bytes.writeBigUInt64LE(slot.counter, 8);
  bytes.writeDoubleLE(slot.accepted, 16);
  bytes.writeDoubleLE(slot.released, 24);
  bytes.writeBigUInt64LE(slot.inode, 32);
  bytes.writeBigUInt64LE(slot.birth, 40);
  bytes.writeUInt16LE(chapters.length, 48);
  bytes.set(chapters, CHAPTERS_AT);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

function decodeSlot(bytes: Buffer): Slot | undefined {
  if (bytes.length < CHAPTERS_AT || bytes.toString("latin1", 0, 8) !== MAGIC) return undefined;
  const end = CHAPTERS_AT + bytes.readUInt16LE(48);
  if (end + 4 > bytes.length) return undefined;
  if (bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end))) return undefined;
  const chapters = decodeChapters(bytes.toString("latin1", CHAPTERS_AT, end));
  if (!chapters || !isPosition(bytes.readDoubleLE(16)) || !isPosition(bytes.readDoubleLE(24))) {
    return undefined;
  }
  return {
    chapters,
    counter: bytes.readBigUInt64LE(8),
    accepted: bytes.readDoubleLE(16),
    released: bytes.readDoubleLE(24),
    inode: bytes.readBigUInt64LE(32),
    birth: bytes.readBigUInt64LE(40),
  };
}

function isPosition(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0;
}

function newestSlot(file: Buffer): Slot | undefined {
  const slots = [file.subarray(0, SLOT_BYTES), file.subarray(SLOT_BYTES)].map(decodeSlot);
  const [a, b] = slots;
  if (a && b) return a.counter > b.counter ? a : b;
  return a ?? b;
}

export class MarkFile {
  readonly #file: FileHandle;
  readonly #inode: bigint;
  readonly #birth: bigint;
  #counter: bigint;

  private constructor(file: FileHandle, slot: Pick<Slot, "counter" | "inode" | "birth">) {
    this.#file = file;
    this.#counter = slot.counter;
    this.#inode = slot.inode;
    this.#birth = slot.birth;
  }

  /** @returns the mark; undefined where there is no file or neither slot can be read */
  static async read(path: string): Promise<ReadMark | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    try {
      // Something else of that name is no mark; open() moves it out of the way.
      if (!(await file.stat()).isFile()) return undefined;
      const slot = newestSlot(await file.readFile());
      if (!slot) return undefined;
      const { chapters, accepted, released } = slot;
      const stats = await file.stat({ bigint: true });
      const copied =
        stats.ino !== slot.inode || (slot.birth !== 0n && stats.birthtimeNs !== slot.birth);
      return { chapters, accepted, released, copied };
    } finally {
      await file.close();
    }
  }

  /** Opens the file for writing; makes it where there is none. What it held stays until the first write. */
  static async open(path: string): Promise<MarkFile> {
    const { O_RDWR, O_CREAT, O_DSYNC } = constants;
    const there = await lstat(path).catch(() => undefined);
    if (there && !there.isFile()) await rename(path, `${path}.aside-${process.pid}`);
    const file = await open(path, O_RDWR | O_CREAT | O_DSYNC, 0o644);
    try {
      const content = await file.readFile();
      if (content.length < 2 * SLOT_BYTES) {
        await file.write(Buffer.alloc(2 * SLOT_BYTES - content.length), 0, null, content.length);
        await file.sync();
      }
      const { ino, birthtimeNs, ctimeNs } = await file.stat({ bigint: true });
      // Where the file system keeps no birth, the time of the last change is told in its place.
      const birth = birthtimeNs === ctimeNs ? 0n : birthtimeNs;
      const counter = newestSlot(content)?.counter ?? 0n;
      return new MarkFile(file, { counter, inode: ino, birth });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** On disk when it resolves. One at a time. */
  write(mark: Mark): Promise<void> {
    this.#counter += 1n;
    const slot = { ...mark, counter: this.#counter, inode: this.#inode, birth: this.#birth };
    const bytes = encodeSlot(slot);
    const at = (this.#counter & 1n) === 0n ? 0 : SLOT_BYTES;
    return new Promise((resolve, reject) => {
      writeAt(this.#file.fd, bytes, 0, bytes.length, at, (error, written) => {
        if (error) reject(error);
        else if (written !== bytes.length) reject(new Error("the high-water mark was cut short"));
        else resolve();
      });
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
