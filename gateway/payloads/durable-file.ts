/** Writing a file so that it is on the disk when it resolves, whole or not there at all. */
import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../buffer/directories.ts";

/**
 * What is written between two syncs. A sync of the buffer waits on many file systems for all that was written before it:
 * without these a reading's acknowledgement would wait for a whole picture.
 */
const STRIDE_BYTES = 512 * 1024;

/**
 * @param end what stands behind the bytes, made once their digest is known
 * @param wanted asked before each stride; where it says no nothing is kept
 * @returns whether it was written
 */
export async function writeDurably(
  path: string,
  bytes: Uint8Array,
  end: (sha256: string) => Uint8Array,
  wanted: () => boolean = () => true,
): Promise<boolean> {
  const making = `${path}.new`;
  const hash = createHash("sha256");
  try {
    const handle = await open(making, "w");
    try {
      for (let at = 0; at < bytes.length; at += STRIDE_BYTES) {
        if (!wanted()) break;
        const stride = bytes.subarray(at, at + STRIDE_BYTES);
        hash.update(stride);
        await writeAll(handle, stride);
        await handle.datasync();
      }
      if (wanted()) {
        await writeAll(handle, end(hash.digest("hex")));
        await handle.sync();
      }
    } finally {
      await handle.close();
    }
    if (!wanted()) {
      await rm(making, { force: true });
      return false;
    }
    await rename(making, path);
    await syncDirectory(dirname(path));
    return true;
  } catch (error) {
    // What is half written takes the room that a full disk lacks.
    await rm(making, { force: true }).catch(() => undefined);
    throw error;
  }
}

interface Writable {
  write(bytes: Uint8Array, offset: number): Promise<{ readonly bytesWritten: number }>;
}

/** A write may take a part, of a disk that is nearly full. */
async function writeAll(handle: Writable, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at);
    if (bytesWritten === 0)
      throw Object.assign(new Error("the disk takes no more"), { code: "ENOSPC" });
    at += bytesWritten;
  }
}

/** A directory and those above it down from a root that is there, each durable in the one above. */
export async function makeDirectories(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}
