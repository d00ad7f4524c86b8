import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { afterEach, describe, expect, test, vi } from "vitest";
import { bufferConformance, EPOCH, event, FIRST_EVENT } from "./conformance.ts";
import { LevelBuffer } from "./leveldb.ts";

function temporary() {
  return mkdtempSync(join(tmpdir(), "tidegate-buffer-"));
}

function levelBuffer(directory: string, options: { createIfMissing?: boolean; cap?: number } = {}) {
  return new LevelBuffer({
    directory,
    createIfMissing: options.createIfMissing ?? true,
    firstEpoch: EPOCH,
    firstEvent: FIRST_EVENT,
    capacityBytes: options.cap ?? 1e9,
  });
}

bufferConformance({
  name: "LevelDB",
  make(capacityBytes) {
    const directory = temporary();
    return {
      open: () => levelBuffer(directory, { cap: capacityBytes }),
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
});

describe("LevelDB buffer", () => {
  const directories: string[] = [];
  const buffers: LevelBuffer[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const buffer of buffers.splice(0)) await buffer.stop();
    for (const directory of directories.splice(0)) {
      await rm(directory, { recursive: true, force: true });
    }
  });

  function make(directory = temporary(), options: { createIfMissing?: boolean } = {}) {
    if (!directories.includes(directory)) directories.push(directory);
    const buffer = levelBuffer(directory, options);
    buffers.push(buffer);
    return { buffer, directory };
  }

  test("everything that waits shares one synced write", async () => {
    const { buffer } = make();
    await buffer.start();
    const before = buffer.stats().commits;
    await Promise.all(Array.from({ length: 500 }, (_, i) => buffer.append([event(`d${i}`)])));
    expect(buffer.stats().commits - before).toBe(1);
  });

  test("a second process is told who is in its way", async () => {
    const { buffer, directory } = make();
    await buffer.start();
    const second = levelBuffer(directory);
    await expect(second.start()).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringContaining("--data-dir"),
    });
  });

  test("a store that went missing is an error, not a new store", async () => {
    const { buffer } = make(temporary(), { createIfMissing: false });
    await expect(buffer.start()).rejects.toMatchObject({ code: "damaged" });
  });

  test("a directory that cannot be made is named", async () => {
    const parent = temporary();
    directories.push(parent);
    await writeFile(join(parent, "file"), "");
    const { buffer } = make(join(parent, "file", "buffer"));
    await expect(buffer.start()).rejects.toMatchObject({ code: "unwritable" });
  });

  test("a flipped bit in a stored group is found", async () => {
    const { buffer, directory } = make();
    await buffer.start();
    await buffer.append([event("sentinel-device")]);
    await buffer.stop();
    // Through LevelDB, so that its own checksum is right and only ours can tell.
    const store = new ClassicLevel<Buffer, Buffer>(directory, {
      keyEncoding: "buffer",
      valueEncoding: "buffer",
    });
    let flips = 0;
    for await (const [key, value] of store.iterator()) {
      const inside = value.indexOf("sentinel-device");
      if (inside < 0) continue;
      const flipped = Buffer.from(value);
      flipped[inside] = (flipped[inside] ?? 0) ^ 1;
      await store.put(key, flipped);
      flips += 1;
    }
    await store.close();
    expect(flips).toBe(1);
    const again = levelBuffer(directory, { createIfMissing: false });
    await expect(again.start()).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining("record 2"),
    });
  });

  test("after a failed write nothing is accepted until the store was reopened; nothing acknowledged is lost", async () => {
    const { buffer, directory } = make();
    await buffer.start();
    await buffer.append([event("before")]);
    const batch = vi.spyOn(ClassicLevel.prototype, "batch").mockImplementationOnce(() => {
      throw new Error("No space left on device");
    });
    const failed = buffer.append([event("failed")]);
    await expect(failed).rejects.toMatchObject({ code: "unavailable" });
    expect(batch).toHaveBeenCalled();
    await expect(buffer.append([event("too early")])).rejects.toMatchObject({
      code: "unavailable",
    });
    await buffer.waitBeyond(0, AbortSignal.timeout(10_000));
    expect(await buffer.append([event("after")])).toEqual({ from: 3, to: 3 });
    await buffer.stop();
    const { buffer: again } = make(directory, { createIfMissing: false });
    await again.start();
    expect(again.stats()).toMatchObject({ accepted: 3 });
  });

  test("sequences go on after everything was released and the store reopened", async () => {
    const { buffer, directory } = make();
    await buffer.start();
    await buffer.append([event("a")]);
    await buffer.release(2);
    await buffer.stop();
    const { buffer: again } = make(directory, { createIfMissing: false });
    await again.start();
    expect(await again.append([event("b")])).toEqual({ from: 3, to: 3 });
  });
});
