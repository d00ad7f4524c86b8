/**
 * Payloads on a gateway's own disk: a file each, in `payloads/` of the data directory, whole (file-form.core.ts) or not
 * there.
 */
import { readdir, readFile, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { LargePayload } from "../../events/schema.ts";
import { syncDirectory } from "../buffer/directories.ts";
import { makeDirectories, writeDurably } from "./durable-file.ts";
import { decodeFile, encodeTrailer } from "./file-form.core.ts";
import { isPayloadId } from "./keys.core.ts";
import type { FoundPayload, PayloadFiles } from "./port.ts";

export class DiskFiles implements PayloadFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(): Promise<readonly string[]> {
    await makeDirectories(this.#directory);
    const names = await readdir(this.#directory);
    const half = names.filter((name) => name.endsWith(".new"));
    for (const name of half) await rm(join(this.#directory, name), { force: true });
    if (half.length > 0) await syncDirectory(this.#directory);
    return names.filter(isPayloadId).sort();
  }

  async write(
    id: string,
    payload: Uint8Array,
    describe: (sha256: string) => LargePayload,
    wanted: () => boolean,
  ): Promise<LargePayload | undefined> {
    let event: LargePayload | undefined;
    const end = (sha256: string) => {
      event = describe(sha256);
      return encodeTrailer(event);
    };
    return (await writeDurably(this.#path(id), payload, end, wanted)) ? event : undefined;
  }

  async read(id: string): Promise<FoundPayload | undefined> {
    try {
      return decodeFile(await readFile(this.#path(id)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Not synced: one that comes back after a power cut is known to be done with by then. */
  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory);
    return bavail * bsize;
  }

  #path(id: string): string {
    return join(this.#directory, id);
  }
}
