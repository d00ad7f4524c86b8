/** Payloads on a disk that is a map, for tests and simulations: what is in it is what was synced. */
import { createHash } from "node:crypto";
import type { LargePayload } from "../../events/schema.ts";
import { decodeFile, encodeTrailer } from "./file-form.core.ts";
import type { FoundPayload, PayloadFiles } from "./port.ts";

export class MemoryFiles implements PayloadFiles {
  /** Outlives the process: hand it to the next one. */
  readonly disk: Map<string, Buffer>;
  diskBytes = Number.POSITIVE_INFINITY;
  /** The next writes that fail, by their errors. */
  readonly failures: Error[] = [];
  /** The next reads that fail. */
  failReads = 0;
  /** What a write waits for before it is on the disk. */
  hold: Promise<void> | undefined;

  constructor(disk: Map<string, Buffer> = new Map()) {
    this.disk = disk;
  }

  async open(): Promise<readonly string[]> {
    return [...this.disk.keys()].sort();
  }

  async write(
    id: string,
    payload: Uint8Array,
    describe: (sha256: string) => LargePayload,
    wanted: () => boolean,
  ): Promise<LargePayload | undefined> {
    await this.hold;
    const failure = this.failures.shift();
    if (failure) throw failure;
    if (payload.length > (await this.freeBytes()))
      throw new Error("ENOSPC: no space left on device");
    if (!wanted()) return undefined;
    const event = describe(createHash("sha256").update(payload).digest("hex"));
    this.disk.set(id, Buffer.concat([payload, encodeTrailer(event)]));
    return event;
  }

  async read(id: string): Promise<FoundPayload | undefined> {
    if (this.failReads > 0) {
      this.failReads -= 1;
      throw new Error("EIO: i/o error, read");
    }
    const file = this.disk.get(id);
    return file && decodeFile(file);
  }

  async remove(id: string): Promise<void> {
    this.disk.delete(id);
  }

  async freeBytes(): Promise<number> {
    let used = 0;
    for (const file of this.disk.values()) used += file.length;
    return this.diskBytes - used;
  }
}
